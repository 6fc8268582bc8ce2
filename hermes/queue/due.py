"""
The look at the disk: when is something due, and what is it?

There is one timer and never more than one question at a time. Nothing polls: a look is made when the next recipient is
due, when there is room again for what was left on disk, and when somebody says that the spool has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hermes.core.message import QueuedMessage
from hermes.interfaces import ISpool

#: Messages asked for at once: enough to keep every destination at work, few enough that the answer comes soon.
PAGE = 250

#: Between two looks that nothing but the calendar asks for.
MIN_PAUSE_SECONDS = 0.1

#: The clock on the wall may be set while the timer runs.
MAX_PAUSE_SECONDS = 900.0

#: After a fault of the spool, doubled with each further one up to the longest.
FAULT_PAUSE_SECONDS = 1.0
MAX_FAULT_PAUSE_SECONDS = 60.0


class DueWatch:
    """
    Finds what is due and hands it to ``take``.

    ``room`` says how many messages may be taken; ``busy`` which destinations not to ask for; ``active`` which messages;
    ``looked`` is called when all that was asked for has been handed over. What they return must not change later.
    """

    _log = Logger()

    def __init__(
        self,
        spool: ISpool,
        clock: IReactorTime,
        now: Callable[[], float],
        *,
        room: Callable[[], int],
        busy: Callable[[], Container[str]],
        active: Callable[[], Collection[str]],
        take: Callable[[QueuedMessage], None],
        looked: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._clock = clock
        self._now = now
        self._room = room
        self._busy = busy
        self._active = active
        self._take = take
        self._looked = looked
        self._running = False
        self._looking = False
        self._again = False
        self._task: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._timer_at = 0.0
        self._faults = 0
        self._meanwhile: set[str] = set()
        self.more = False  #: there may be due mail on disk that there was no room for

    def start(self) -> None:
        """Begin with a look."""
        self._running = True
        self.look()

    def stop(self) -> None:
        """No more looks."""
        self._running = False
        self._cancel_timer()
        if self._task is not None:
            self._task.cancel()

    def look(self) -> None:
        """Look now, or once more when the look that is going on is over."""
        if not self._running:
            return
        self._again = True
        if not self._looking:
            # Set before the coroutine starts: it may finish inside the call.
            self._looking = True
            task = Deferred.fromCoroutine(self._look())
            if self._looking:
                self._task = task

    def at(self, when: float) -> None:
        """Something will be due at that time: look then at the latest."""
        if not self._running or (self._timer is not None and self._timer_at <= when):
            return
        self._cancel_timer()
        self._timer_at = when
        pause = min(max(when - self._now(), MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS)
        self._timer = self._clock.callLater(pause, self._ring)

    @property
    def next_at(self) -> float | None:
        """When the next look is due, if one is."""
        return self._timer_at if self._timer is not None else None

    def became_active(self, queue_id: str) -> None:
        """
        A message was taken without asking for it.

        If a look is going on, its answer may still name it, even when it has been delivered by then.
        """
        if self._looking:
            self._meanwhile.add(queue_id)

    def _ring(self) -> None:
        self._timer = None
        self.look()

    async def _look(self) -> None:
        try:
            while self._again and self._running:
                self._again = False
                await self._ask()
            self._faults = 0
        except Exception:
            # stop() cancels what is awaited; anything else, also what cancelled itself, must not be the last look.
            if self._running:
                self._log.failure("The queue could not be read; it will be tried again")
                pause = min(FAULT_PAUSE_SECONDS * 2**self._faults, MAX_FAULT_PAUSE_SECONDS)
                self._faults += 1
                self.at(self._now() + pause)
        finally:
            self._looking = False
            self._task = None

    async def _ask(self) -> None:
        limit = min(self._room(), PAGE)
        if limit <= 0:
            self.more = True
            return
        self.more = False
        self._meanwhile.clear()
        found = await self._spool.due(self._now(), limit, self._busy(), self._active())
        for message in found:
            if message.queue_id not in self._meanwhile:
                self._take(message)
        if len(found) >= limit:
            self._again = True
            return
        following = await self._spool.next_due(self._busy(), self._active())
        if following is not None:
            # It may be due already: the spool gives less than it was asked for when that would be too many recipients.
            self.at(following)
        if following is None or following > self._now():
            self._looked()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
