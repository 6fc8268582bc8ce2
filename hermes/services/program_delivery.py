"""
The agent for programs: its next hop is a command, which gets the message at its standard input.

Only commands run that stand in the administrator's files at that moment, and none unless the settings allow it. Nothing of
the message becomes part of the command: sender, recipient and queue id are in the environment (``SENDER``, ``RECIPIENT``,
``QUEUE_ID``). What the exit code means is that of ``sysexits.h``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import FAULT, STOPPED, Outcome, Result
from hermes.core.printable import one_line
from hermes.interfaces import IDeliveryAgent
from hermes.services.bounded_process import BoundedProcess

#: What is kept of a program's output, for the report and the trace; the rest is read and forgotten.
MAX_OUTPUT_OCTETS = 1024

#: Programs at once, all together and of one command: each is a process, and few are written to run beside themselves.
PROGRAMS = 4
PROGRAMS_OF_A_COMMAND = 1

# A session of its own, so that everything the command starts can be ended with it.
_START = "import os, sys; os.setsid(); os.execv('/bin/sh', ['/bin/sh', '-c', sys.argv[1]])"

#: sysexits.h. What is not listed, a signal included, is a fault that may be mended.
_CODES = {
    64: "5.3.5",  # EX_USAGE
    65: "5.6.0",  # EX_DATAERR
    66: "5.3.0",  # EX_NOINPUT
    67: "5.1.1",  # EX_NOUSER
    68: "5.1.2",  # EX_NOHOST
    69: "5.3.0",  # EX_UNAVAILABLE
    70: "5.3.0",  # EX_SOFTWARE
    72: "5.3.0",  # EX_OSFILE
    73: "5.2.0",  # EX_CANTCREAT
    76: "5.5.0",  # EX_PROTOCOL
    77: "5.7.1",  # EX_NOPERM
    78: "5.3.5",  # EX_CONFIG
}


def outcome_of(code: int | None, output: str) -> Outcome:
    """What an exit code says; None stands for a program that was ended by a signal."""
    said = f": {output}" if output else ""
    if code == 0:
        return Outcome(Result.DELIVERED, "taken by the program", "2.0.0")
    if code is None:
        return Outcome.deferred(f"the program was ended by a signal{said}", "4.3.0")
    status = _CODES.get(code)
    if status is None:
        return Outcome.deferred(f"the program ended with {code}{said}", "4.3.0")
    return Outcome.failed(f"the program ended with {code}{said}", status)


@implementer(IDeliveryAgent)
class ProgramDelivery:
    """
    Runs commands in ``directory``, each for at most ``seconds``.

    ``allowed`` gives the commands that may be run now.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, allowed: Callable[[], Awaitable[Collection[str]]], directory: str, seconds: float
    ) -> None:
        self._reactor = reactor
        self._allowed = allowed
        self._directory = directory
        self._seconds = seconds

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Run the command ``next_hop`` once for each recipient."""
        if next_hop not in await self._allowed():
            gone = Outcome.deferred("the program is not in the configuration any more", "4.3.5")
            return [gone] * len(recipients)
        outcomes: list[Outcome] = []
        for recipient in recipients:
            try:
                outcomes.append(await self._run(next_hop, message, recipient))
            except CancelledError:
                # Those before have it: they would get it again.
                if not outcomes:
                    raise
                return outcomes + [STOPPED] * (len(recipients) - len(outcomes))
            except Exception:
                self._log.failure("The program for {queue_id} could not be run", queue_id=message.queue_id)
                outcomes.append(FAULT)
        return outcomes

    async def _run(self, command: str, message: QueuedMessage, recipient: QueuedRecipient) -> Outcome:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": self._directory,
            "SENDER": _word(message.envelope.reverse_path),
            "RECIPIENT": _word(recipient.address),
            "QUEUE_ID": message.queue_id,
        }
        content = message.content
        source = None if content.path is None else os.open(content.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            running = _Running(self._reactor, content.data, self._seconds)
            arguments = [sys.executable, "-I", "-S", "-c", _START, command]
            descriptors = {0: "w" if source is None else source, 1: "r", 2: "r"}
            self._reactor.spawnProcess(
                running, sys.executable, arguments, environment, self._directory, childFDs=descriptors
            )
        finally:
            if source is not None:
                os.close(source)
        return await running.end()


class _Running(BoundedProcess[Outcome]):
    def __init__(self, clock: IReactorTime, octets: bytes | None, seconds: float) -> None:
        super().__init__(clock, seconds, MAX_OUTPUT_OCTETS)
        self._octets = octets

    @override
    def connectionMade(self) -> None:
        super().connectionMade()
        if self._octets is not None and self.transport is not None:
            self.transport.write(self._octets)
            self.transport.closeStdin()

    @override
    def conclude(self, reason: Failure) -> Outcome:
        code = 0 if reason.check(ProcessDone) else getattr(reason.value, "exitCode", None)
        if self.is_late and code is None:
            return Outcome.deferred(f"the program took longer than {self.seconds} s", "4.3.0")
        return outcome_of(code, one_line(self.output.decode("utf-8", "replace"), 500).strip())


def _word(text: str) -> str:
    """What can be in an environment."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
