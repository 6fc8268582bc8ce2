"""
A thread that takes everything that waits at once, so that one fsync serves many (see ``docs/decisions.md``).

The reactor's own pool is for name resolution; fill it with fsyncs or password hashes and connections stall.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IGroupWorker

#: Items taken at once: enough for one fsync to serve every session, few enough that the first does not wait for long.
MAX_GROUP = 256


@implementer(IGroupWorker)
class GroupWorker:
    """One thread, one queue; see :class:`hermes.interfaces.IGroupWorker`."""

    def __init__(self, reactor: Any, name: str, max_group: int = MAX_GROUP) -> None:
        self._reactor = reactor
        self._name = name
        self._max_group = max_group
        self._waiting: SimpleQueue[tuple[Any, Deferred[Any]] | None] = SimpleQueue()
        self._patient: list[tuple[Any, Deferred[Any]]] = []
        self._hurry_call: IDelayedCall | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._ended: Deferred[None] = Deferred()

    def start(self, perform: Callable[[list[Any]], list[Any]]) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, args=(perform,), name=self._name, daemon=True)
        self._thread.start()

    def submit(self, item: Any) -> Deferred[Any]:
        """Hand over an item."""
        done = self._new_item()
        self._hurry()
        self._waiting.put((item, done))
        return done

    def submit_patiently(self, item: Any, seconds: float) -> Deferred[Any]:
        """Hand over an item that may wait a moment for others; all that wait go with the least patient one."""
        done = self._new_item()
        self._patient.append((item, done))
        if self._hurry_call is None:
            self._hurry_call = self._reactor.callLater(seconds, self._hurry)
        elif self._hurry_call.getTime() - self._reactor.seconds() > seconds:
            self._hurry_call.reset(seconds)
        return done

    def _new_item(self) -> Deferred[Any]:
        if self._stopping:
            raise RuntimeError(f"worker {self._name} is stopping")
        return Deferred()

    def _hurry(self) -> None:
        """Hand over what was patient: nothing overtakes it."""
        if self._hurry_call is not None:
            if self._hurry_call.active():
                self._hurry_call.cancel()
            self._hurry_call = None
            for waiting in self._patient:
                self._waiting.put(waiting)
            self._patient.clear()

    async def stop(self) -> None:
        """Finish what waits, then end the thread."""
        if self._thread is None:
            return
        if not self._stopping:
            self._stopping = True
            self._hurry()
            self._waiting.put(None)
        await self._ended
        self._thread.join()

    def _run(self, perform: Callable[[list[Any]], list[Any]]) -> None:
        # Nothing is put behind the None of stop(), so a group that ends with it is the last.
        stopping = False
        while not stopping:
            group: list[tuple[Any, Deferred[Any]]] = []
            waiting = self._waiting.get()
            while waiting is not None:
                group.append(waiting)
                if len(group) == self._max_group or self._waiting.empty():
                    break
                waiting = self._waiting.get()
            stopping = waiting is None
            if group:
                results = self._results(perform, [item for item, _ in group])
                self._reactor.callFromThread(deliver, [done for _, done in group], results)
        self._reactor.callFromThread(self._ended.callback, None)

    @staticmethod
    def _results(perform: Callable[[list[Any]], list[Any]], items: list[Any]) -> list[Any]:
        try:
            return perform(items)
        except Exception:
            return [Failure()] * len(items)


def deliver(waiting: list[Deferred[Any]], results: list[Any]) -> None:
    """Tell those who wait what became of their items; an exception is a failure."""
    for done, result in zip(waiting, results, strict=True):
        if done.called:
            continue  # cancelled by whoever waited; the work was done all the same
        if isinstance(result, Exception):
            done.errback(Failure(result))
        else:
            done.callback(result)
