"""A worker without a thread: what is submitted is done before ``submit`` returns, or in groups when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IGroupWorker


@implementer(IGroupWorker)
class ImmediateWorker:
    """
    See :class:`hermes.interfaces.IGroupWorker`.

    While :attr:`paused`, items wait; :meth:`step` performs them as one group, :meth:`resume` also ends the waiting. ``groups``
    holds the size of each group.
    """

    def __init__(self) -> None:
        self.paused = False
        self.stopped = False
        self.groups: list[int] = []
        self._perform: Callable[[list[Any]], list[Any]] | None = None
        self._waiting: list[tuple[Any, Deferred[Any]]] = []

    def start(self, perform: Callable[[list[Any]], list[Any]]) -> None:
        """Remember what to do with items."""
        self._perform = perform

    def submit(self, item: Any) -> Deferred[Any]:
        """Do it, or keep it."""
        if self.stopped:
            raise RuntimeError("the worker is stopped")
        done: Deferred[Any] = Deferred()
        self._waiting.append((item, done))
        if not self.paused:
            self._work()
        return done

    def submit_patiently(self, item: Any, seconds: float) -> Deferred[Any]:
        """The same: there is nothing to wait for."""
        return self.submit(item)

    def step(self) -> None:
        """Perform what waits as one group; what is submitted meanwhile waits for the next."""
        self.paused = True
        if self._waiting:
            self._work()

    def resume(self) -> None:
        """Perform what waits as one group, and go on without waiting."""
        self.paused = False
        if self._waiting:
            self._work()

    async def stop(self) -> None:
        """Finish what waits."""
        self.resume()
        self.stopped = True

    def _work(self) -> None:
        assert self._perform is not None
        waiting, self._waiting = self._waiting, []
        self.groups.append(len(waiting))
        try:
            results = self._perform([item for item, _ in waiting])
        except Exception:
            results = [Failure()] * len(waiting)
        for (_, done), result in zip(waiting, results, strict=True):
            if not done.called:
                if isinstance(result, Exception):
                    done.errback(Failure(result))
                else:
                    done.callback(result)
