"""
A process that takes everything that waits at once.

A thread gives Python's lock away and gets it back at each call of the system, and each time the reactor waits for it. Where
the calls are many that is more than the work itself (``docs/decisions.md``); a process has a lock of its own.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from hermes.interfaces import IGroupWorker
from hermes.net.performing import LENGTH_OCTETS, name_of, packed, unpacked
from hermes.net.prompt import write_now
from hermes.net.worker import deliver

#: Items taken at once. They are copied to the process, so that many large ones would need memory twice.
MAX_GROUP = 64

Waiting = list[tuple[Any, Deferred[Any]]]


@implementer(IGroupWorker)
class ProcessWorker:
    """
    One process, one group at a time; see :class:`hermes.interfaces.IGroupWorker`.

    What it performs is a function of a module, by which the process finds it; items and results must be such as can be
    pickled. The process is started when it has something to do. When it dies, the items that it had fail with
    :class:`OSError`, and the next ones get a new process.
    """

    _log = Logger()

    def __init__(self, reactor: Any, name: str, max_group: int = MAX_GROUP) -> None:
        self._reactor = reactor
        self._name = name
        self._max_group = max_group
        self._function = ""
        self._waiting: Waiting = []
        self._at_work: Waiting = []
        self._process: _Process | None = None
        self._stopping = False
        self._finished: Deferred[None] | None = None

    def start(self, perform: Callable[[list[Any]], list[Any]]) -> None:
        """Take note of what it shall do."""
        self._function = name_of(perform)

    def submit(self, item: Any) -> Deferred[Any]:
        """Hand over an item."""
        if self._stopping:
            raise RuntimeError(f"worker {self._name} is stopping")
        done: Deferred[Any] = Deferred()
        self._waiting.append((item, done))
        self._go_on()
        return done

    def submit_patiently(self, item: Any, seconds: float) -> Deferred[Any]:
        """The same: what comes while the process is at work goes together anyhow."""
        return self.submit(item)

    async def stop(self) -> None:
        """Finish what waits, then end the process."""
        self._stopping = True
        if self._at_work or self._waiting:
            if self._finished is None:
                self._finished = Deferred()
            await self._finished
        if self._process is not None:
            await self._process.end()

    def _go_on(self) -> None:
        if self._at_work or not self._waiting:
            return
        self._at_work, self._waiting = self._waiting[: self._max_group], self._waiting[self._max_group :]
        try:
            octets = packed([item for item, _ in self._at_work])
            if self._process is None:
                self._process = self._new_process()
        except Exception as error:
            # Whoever submits does not expect an answer before the call is over.
            self._reactor.callLater(0, self._done, [error] * len(self._at_work))
        else:
            self._process.send(octets)

    def _new_process(self) -> _Process:
        process = _Process(self._done, self._ended)
        # Wherever this process found its modules, that one finds them as well.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-P", "-m", "hermes.net.performing", self._function, str(os.getpid())]
        self._reactor.spawnProcess(process, sys.executable, command, environment, childFDs={0: "w", 1: "r", 2: 2})
        return process

    def _ended(self, reason: Failure, had_group: bool) -> None:
        self._process = None
        # What could not be sent is at work as well, and is answered by itself.
        if had_group:
            ended = f"the process {self._name} has ended: {reason.getErrorMessage()}"
            self._log.error("{ended}; what it was doing is tried again", ended=ended)
            self._done([OSError(errno.EIO, ended)] * len(self._at_work))

    def _done(self, results: list[Any]) -> None:
        done, self._at_work = [done for _, done in self._at_work], []
        # Before anybody hears of it: the process need not wait for what they do then.
        self._go_on()
        deliver(done, results)
        if self._finished is not None and not self._at_work:
            self._finished.callback(None)


class _Process(ProcessProtocol):
    """The process, and what it says."""

    def __init__(self, results: Callable[[list[Any]], None], ended: Callable[[Failure, bool], None]) -> None:
        self._results = results
        self._tell = ended
        self._octets = bytearray()
        self._has_group = False
        self._gone: Deferred[None] = Deferred()

    def send(self, octets: bytes) -> None:
        """Hand over a group."""
        self._has_group = True
        pipes: dict[int, Any] = self.transport.pipes  # type: ignore[union-attr]
        # A process that has just died has no pipe any more; its end, which is about to be told, makes the group fail.
        if 0 in pipes:
            write_now(pipes[0], octets)

    async def end(self) -> None:
        """Let it come to its end, and see that."""
        assert self.transport is not None
        self.transport.closeStdin()
        await self._gone

    @override
    def outReceived(self, data: bytes) -> None:
        self._octets += data
        length = int.from_bytes(self._octets[:LENGTH_OCTETS], "big")
        # There is one group at a time, and so one answer; none is empty.
        if length and len(self._octets) == LENGTH_OCTETS + length:
            octets, self._octets = self._octets, bytearray()
            self._has_group = False
            self._results(unpacked(memoryview(octets)[LENGTH_OCTETS:]))

    @override
    def processEnded(self, reason: Failure) -> None:
        self._gone.callback(None)
        self._tell(reason, self._has_group)
