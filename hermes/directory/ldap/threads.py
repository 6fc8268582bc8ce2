"""Threads that ask a directory, each with a line of its own to the servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred

from hermes.core.jobs import perform_each
from hermes.directory.ldap.servers import Line, Servers
from hermes.interfaces import IGroupWorker, TooBusyError, UnavailableError

_T = TypeVar("_T")

_CHANGED = "the settings of the directory have just been changed"


class Threads:
    """
    Has jobs done by ``workers``, one thread each, which are started when the first job comes. ``most`` jobs may wait; for whoever
    has left nothing is begun.
    """

    def __init__(self, servers: Servers, workers: Sequence[IGroupWorker], most: int) -> None:
        self._workers = workers
        self._most = most
        self._lines = [Line(servers) for _ in workers]
        self._waiting = [0] * len(workers)
        self._started = False
        self._stopped = False
        #: The last question had no answer.
        self._hangs = False

    async def do(self, job: Callable[[Line], _T]) -> _T:
        """What the job returns; TooBusyError when too many wait already, UnavailableError after the end."""
        if self._stopped:
            raise UnavailableError(_CHANGED)
        if sum(self._waiting) >= self._most:
            raise TooBusyError("too many questions to the directory wait already")
        if not self._started:
            self._started = True
            for worker in self._workers:
                worker.start(perform_each)
        which = self._waiting.index(min(self._waiting))
        line = self._lines[which]
        abandoned = False

        def unless_abandoned() -> _T | None:
            return None if abandoned else self._asked(job, line)

        self._waiting[which] += 1
        try:
            done: Deferred[_T] = self._workers[which].submit(unless_abandoned)
            return await done
        finally:
            abandoned = True
            self._waiting[which] -= 1

    def _asked(self, job: Callable[[Line], _T], line: Line) -> _T:
        # Hundreds may wait, for seconds each: a reload, or the stop of the server, shall not wait for all of them.
        if self._stopped and self._hangs:
            raise UnavailableError(_CHANGED)
        try:
            result = job(line)
        except UnavailableError:
            self._hangs = True
            raise
        self._hangs = False
        return result

    async def stop(self) -> None:
        """Take leave of the servers and end the threads; who waits is answered by them, as long as they answer."""
        self._stopped = True
        for worker, line in zip(self._workers, self._lines, strict=True) if self._started else ():
            await worker.submit(line.close)
            await worker.stop()
