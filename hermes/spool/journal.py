"""Facts that stand alone, on their way into the trace: collected while the previous ones are being stored."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.core.event import Event
from hermes.interfaces import IJournal

#: Events that may wait. Each refused command of a hostile peer is one; when the disk is slower than they come, those
#: above this number are counted instead of kept.
MAX_WAITING = 10_000

#: How long facts wait at most for others, or for whatever is committed sooner: a commit costs a hundred times what a fact in it
#: costs, and the mail log keeps its lines back for longer.
COLLECTING_SECONDS = 0.05


@implementer(IJournal)
class Journal:
    """See :class:`hermes.interfaces.IJournal`. ``store`` makes events durable."""

    _log = Logger()

    def __init__(self, store: Callable[[list[Event]], Deferred[None]]) -> None:
        self._store = store
        self._waiting: list[Event] = []
        self._storing = False
        self._dropped = 0
        #: Facts that are nowhere, since the start.
        self.lost = 0
        self._flushing: list[Deferred[None]] = []

    async def flush(self) -> None:
        """Return when no fact waits."""
        if self._storing:
            waiter: Deferred[None] = Deferred()
            self._flushing.append(waiter)
            await waiter

    def record(self, event: Event) -> None:
        """Store a fact soon."""
        if len(self._waiting) >= MAX_WAITING:
            self._dropped += 1
            self.lost += 1
            return
        self._waiting.append(event)
        if not self._storing:
            self._store_waiting()

    def _store_waiting(self) -> None:
        events, self._waiting = self._waiting, []
        self._storing = True
        _ = self._store(events).addErrback(self._failed, len(events)).addCallback(self._stored)

    def _failed(self, failure: Failure, count: int) -> None:
        self.lost += count
        self._log.error("{count} facts not recorded: {reason}", count=count, reason=failure.getErrorMessage())

    def _stored(self, _: None) -> None:
        self._storing = False
        if self._dropped:
            self._log.error("{count} facts not recorded: too many at once", count=self._dropped)
            self._dropped = 0
        if self._waiting:
            self._store_waiting()
            return
        flushing, self._flushing = self._flushing, []
        for waiter in flushing:
            if not waiter.called:
                waiter.callback(None)
