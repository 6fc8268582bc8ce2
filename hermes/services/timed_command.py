"""
A command of the administrator's that may take only so long, and whose output is kept for the log.

It is started without a shell, in a session of its own, so that everything that it starts can be ended with it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from typing_extensions import override

from hermes.core.printable import one_line

#: What is kept of the output: some lines of a dialer. The rest is read and forgotten.
MAX_OUTPUT_OCTETS = 4096

#: How long what a command leaves behind may hold its output open: a daemon that it has started may go on.
LEFT_BEHIND_SECONDS = 2.0

_START = """\
import os, sys
os.setsid()
try:
    os.execvp(sys.argv[1], sys.argv[1:])
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error.strerror}")
"""


@attrs.frozen
class Ran:
    """How a command ended: ``problem`` says what went wrong, or is empty; ``lines`` are its output."""

    problem: str = ""
    lines: tuple[str, ...] = ()


async def run_command(reactor: Any, command: str, seconds: float, directory: str) -> Ran:
    """Run a command, split into words as a shell would split it, for at most so long."""
    running = _Running(reactor, seconds)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": directory}
    arguments = [sys.executable, "-I", "-S", "-c", _START, *shlex.split(command)]
    with open(os.devnull, "rb") as nothing:
        descriptors = {0: nothing.fileno(), 1: "r", 2: "r"}
        reactor.spawnProcess(running, sys.executable, arguments, environment, directory, childFDs=descriptors)
    try:
        ran: Ran = await running.ended
    except CancelledError:
        # The server stops: nothing of it is left behind.
        running.kill()
        await running.gone
        raise
    return ran


class _Running(ProcessProtocol):
    """``ended`` fires with how it ended, and then ``gone``."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._output = b""
        self._seconds = seconds
        self._timer = clock.callLater(seconds, self._too_long)
        self._is_late = False
        self._exited: Failure | None = None
        self._pid: int | None = None
        self.ended: Deferred[Ran] = Deferred()
        self.gone: Deferred[None] = Deferred()

    @override
    def connectionMade(self) -> None:
        self._pid = None if self.transport is None else self.transport.pid

    @override
    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._output += data[: MAX_OUTPUT_OCTETS - len(self._output)]

    def _too_long(self) -> None:
        if self._exited is None:
            self._is_late = True
            self.kill()
        elif self.transport is not None:
            # What it has left in the background keeps its output open, and may go on.
            self.transport.loseConnection()

    def kill(self) -> None:
        """End it with all that it has started."""
        if self._pid is not None:
            # Before it has a session of its own there is no such group, and nothing that it could have started.
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(self._pid, signal.SIGKILL)

    @override
    def processExited(self, reason: Failure) -> None:
        self._exited = reason
        if self._timer.active():
            self._timer.reset(min(self._seconds, LEFT_BEHIND_SECONDS))

    @override
    def processEnded(self, reason: Failure) -> None:
        if self._timer.active():
            self._timer.cancel()
        text = self._output.decode("utf-8", "replace")
        lines = tuple(one_line(line, 500) for line in text.splitlines() if line.strip())
        if not self.ended.called:
            self.ended.callback(Ran(self._problem(reason), lines))
        self.gone.callback(None)

    def _problem(self, reason: Failure) -> str:
        if self._is_late:
            return f"it took longer than {self._seconds:g} s"
        code, signalled = getattr(reason.value, "exitCode", None), getattr(reason.value, "signal", None)
        if signalled is not None:
            return f"it was ended by signal {signalled}"
        return f"it ended with {code}" if code else ""
