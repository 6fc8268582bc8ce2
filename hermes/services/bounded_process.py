"""
A program that may take only so long, and of whose output only so much is kept.

It is started in a session of its own, so that everything that it starts can be ended with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from typing_extensions import override

#: How long what a program leaves behind may hold its output open.
LEFT_BEHIND_SECONDS = 2.0

T = TypeVar("T")


class BoundedProcess(ProcessProtocol, ABC, Generic[T]):
    """One program; it must call ``setsid`` before it starts anything."""

    def __init__(self, clock: IReactorTime, seconds: float, most_octets: int) -> None:
        self.output = b""
        self.seconds = seconds
        #: It has been ended because it took too long.
        self.is_late = False
        self._most_octets = most_octets
        self._clock = clock
        self._timer = clock.callLater(seconds, self._too_long)
        self._has_exited = False
        self._pid: int | None = None
        self._ended: Deferred[T] = Deferred()
        self._gone: Deferred[None] = Deferred()

    async def end(self) -> T:
        """How it ended; who is cancelled ends it, and sees it gone: the server stops, and nothing of it is left behind."""
        try:
            return await self._ended
        except CancelledError:
            self.kill()
            await self._gone
            raise

    @abstractmethod
    def conclude(self, reason: Failure) -> T:
        """What its end means."""

    def left_behind(self) -> None:
        """It has ended, and something that it has started holds its output open: that is ended too, where it can be found."""
        self.kill()
        self.do_not_listen()

    def do_not_listen(self) -> None:
        """Take what has been said for all: a daemon has a session of its own, and may hold the output open for ever."""
        if self.transport is not None:
            self.transport.loseConnection()

    def kill(self) -> None:
        """End it with all that it has started."""
        if self._pid is None:
            return
        # Before it has a session of its own there is no such group, and nothing that it could have started. After its end the
        # number may be that of another program.
        for kill in (os.killpg,) if self._has_exited else (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(self._pid, signal.SIGKILL)

    def _too_long(self) -> None:
        self.is_late = True
        self.kill()

    @override
    def connectionMade(self) -> None:
        self._pid = None if self.transport is None else self.transport.pid

    @override
    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.output += data[: self._most_octets - len(self.output)]

    @override
    def processExited(self, reason: Failure) -> None:
        self._has_exited = True
        if self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(min(self.seconds, LEFT_BEHIND_SECONDS), self.left_behind)

    @override
    def processEnded(self, reason: Failure) -> None:
        if self._timer.active():
            self._timer.cancel()
        if not self._ended.called:
            self._ended.callback(self.conclude(reason))
        self._gone.callback(None)
