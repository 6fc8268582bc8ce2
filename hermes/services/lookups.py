"""What finger and phone book look up for strangers: in a thread, so many at once, and nothing for those who have left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred

from hermes.interfaces import IGroupWorker, TooBusyError

#: Questions that may wait for the thread. Most take a millisecond; with wildcards, in the largest book, one may take seconds,
#: and who would wait behind several of these is better told to come again.
MAX_WAITING = 32

_T = TypeVar("_T")


class Lookups:
    """Has jobs done by ``worker``, which calls each item in its one thread."""

    def __init__(self, worker: IGroupWorker) -> None:
        self._worker = worker
        self._waiting = 0

    async def do(self, job: Callable[[], _T]) -> _T:
        """What the job returns; TooBusyError when too many wait already."""
        if self._waiting >= MAX_WAITING:
            raise TooBusyError("too many questions wait already")
        abandoned = False

        def unless_abandoned() -> _T | None:
            return None if abandoned else job()

        self._waiting += 1
        try:
            done: Deferred[_T] = self._worker.submit(unless_abandoned)
            return await done
        finally:
            abandoned = True
            self._waiting -= 1
