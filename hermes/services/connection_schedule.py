"""
The connection schedule (Mercury's module X): when clients go on line, and what is done around it.

    closed --(a period begins)--> opening --(the command before has succeeded)--> open
    open --(the period ends)--> draining --(nothing is under way, or time is up)--> closing --(the command after)--> closed

Who does not follow the schedule never hears of it. Of several workers one leads: it runs the commands, asks for mail by ETRN, and
tells the others when the line stands; each waits for its own deliveries.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from zope.interface import implementer

from hermes.config.sections.schedule import ScheduleSettings
from hermes.core.connection_schedule import Week
from hermes.interfaces import ISchedule
from hermes.services.timed_command import Ran

#: The clock may be set, and the machine may sleep: no longer than this is slept without a look.
LOOK_SECONDS = 60.0

#: How long a line that could not be opened is left alone; then it is tried again, while its period lasts.
RETRY_SECONDS = 60.0

#: How often it is looked whether all has been sent.
DRAIN_LOOK_SECONDS = 1.0

#: While the line is being opened, mail looks again so soon, unless it is open before.
OPENING_SECONDS = 30.0

#: A worker that hears nothing of its leader goes on line by itself, when that has had time enough.
LEADER_SECONDS = 10.0

Run = Callable[[str, float], Awaitable[Ran]]


class State(enum.Enum):
    """Where the line stands."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    DRAINING = "draining"
    CLOSING = "closing"


@implementer(ISchedule)
class ConnectionSchedule:
    """
    The schedule of one process; settings change, and it stays.

    ``run`` runs a command for at most so many seconds; ``start_queues`` asks for mail by ETRN; ``unforeseen`` is called when the
    line is open earlier than somebody was told: by other settings, or since he asked while it was being opened. ``tell`` is for a
    leader with followers. ValueError tells what is wrong with the settings.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        settings: ScheduleSettings,
        now: Callable[[], float],
        *,
        run: Run,
        start_queues: Callable[[ScheduleSettings], Coroutine[Any, Any, None]],
        unforeseen: Callable[[], None] = lambda: None,
        leads: bool = True,
        tell: Callable[[str], None] = lambda word: None,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._week: Week | None = settings.week()
        self._now = now
        self._run = run
        self._start_queues = start_queues
        self._unforeseen = unforeseen
        self._leads = leads
        self._tell = tell
        self.state = State.CLOSED
        self._changed: list[Callable[[], None]] = []
        self._busy: list[Callable[[], bool]] = []
        self._running = False
        #: Somebody may have been told a later time than that at which it opens next.
        self._told_later = False
        self._told = ""
        self._heard_at = 0.0
        self._asleep: Deferred[None] | None = None
        self._task: Deferred[None] | None = None
        self._asking: Deferred[None] | None = None

    # What others ask.

    def is_open(self, client: str) -> bool:
        """Whether a client, or a server, may begin something now."""
        return not self._settings.follows(client) or self.state in (State.OPEN, State.DRAINING)

    def next_opening(self) -> float | None:
        """When those who are closed are open next."""
        now = self._now()
        if self._week is None or self.state in (State.OPEN, State.DRAINING):
            return now
        if self._week.is_open(now):
            self._told_later = True
            return now + OPENING_SECONDS
        return self._week.next_opening(now)

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Have something called whenever it has opened or closed."""
        self._changed.append(changed)

    def wait_for(self, busy: Callable[[], bool]) -> None:
        """Before it closes, wait for as long as that says that somebody is busy."""
        self._busy.append(busy)

    def describe(self) -> dict[str, object]:
        """Where it stands, for the administrator."""
        if self._week is None:
            return {"state": "none"}
        now = self._now()
        change = self._week.next_change(now)
        return {
            "state": self.state.value,
            "next_change": None if change is None else datetime.fromtimestamp(change, self._week.zone).isoformat(),
            "until": "closed" if self._week.is_open(now) else "open",
        }

    # Its life.

    def start(self) -> None:
        """Begin."""
        self._running = True
        if self._week is None:
            # At once: without a schedule nobody waits for anything.
            self.state = State.OPEN
        self._heard_at = self._now()
        self._task = Deferred.fromCoroutine(self._go())

    async def stop(self) -> None:
        """End; a line that is open is closed, without waiting for what has been given its time already."""
        self._running = False
        self._wake()
        if self._asking is not None:
            self._asking.cancel()
        if self._task is not None:
            if self.state is State.OPENING:
                # A dialer may take minutes, and the line may stand by half: it is ended, and what comes after is done.
                self._task.cancel()
                self.state = State.CLOSING
            with contextlib.suppress(CancelledError):
                await self._task
        if self._week is not None and self.state in (State.OPEN, State.DRAINING, State.CLOSING):
            await self._hang_up()

    def reconfigure(self, settings: ScheduleSettings, week: Week | None) -> None:
        """Go by other settings, and by their week."""
        if settings == self._settings:
            return
        self._settings, self._week = settings, week
        self._told_later = True
        if week is None and self.state is not State.OPEN:
            self._become(State.OPEN)
        self._wake()

    def hear(self, word: str) -> None:
        """The leader tells how the line stands: ``open``, ``closed``, or ``failed`` when it could not be opened."""
        self._told = word
        self._heard_at = self._now()
        self._wake()

    async def _go(self) -> None:
        while self._running:
            try:
                await self._step()
            except CancelledError:
                raise
            except Exception:
                self._log.failure("The schedule had a fault, and goes on in a minute")
                await self._sleep(RETRY_SECONDS)

    async def _step(self) -> None:
        if self._wants_open():
            if self.state is not State.OPEN:
                await self._open()
        elif self.state is not State.CLOSED:
            await self._close()
        if self.state is not (State.OPEN if self._wants_open() else State.CLOSED):
            return
        change = None if self._week is None else self._week.next_change(self._now())
        left = LOOK_SECONDS if change is None else max(0.0, change - self._now())
        await self._sleep(None if self._week is None else min(LOOK_SECONDS, left))

    def _wants_open(self) -> bool:
        return self._week is None or self._week.is_open(self._now())

    # Opening.

    async def _open(self) -> None:
        self.state = State.OPENING
        if not await (self._dial() if self._leads else self._follow()):
            return
        if not self._wants_open() or not self._running:
            # The line stands, and its period is over: the next step closes it.
            self.state = State.CLOSING
            return
        self._become(State.OPEN)
        if self._leads and self._week is not None:
            self._tell("open")
            if self._settings.etrn:
                self._asking = Deferred.fromCoroutine(self._start_queues(self._settings))
                _ = self._asking.addErrback(self._not_asked)

    async def _dial(self) -> bool:
        """Run the command before; False when it has failed, and the next attempt may follow."""
        settings = self._settings
        if settings.before and self._week is not None:
            ran = await self._run(settings.before, settings.before_time)
            self._say("before", ran)
            if ran.problem:
                self.state = State.CLOSED
                self._tell("failed")
                await self._sleep(RETRY_SECONDS)
                return False
            await self._wait(settings.before_delay)
        return True

    async def _follow(self) -> bool:
        """Wait until the leader has opened the line, or nothing has been heard of it for too long."""
        settings = self._settings
        began = self._now()
        while self._running and self._wants_open() and self._week is not None:
            if not settings.before or self._told == "open":
                return True
            if self._now() - max(began, self._heard_at) > settings.before_time + settings.before_delay + LEADER_SECONDS:
                return True
            await self._sleep(DRAIN_LOOK_SECONDS)
        if self._week is None:
            return True
        self.state = State.CLOSED
        return False

    # Closing.

    async def _close(self) -> None:
        if self.state is State.OPEN and self._settings.drain:
            self.state = State.DRAINING
            until = self._now() + self._settings.drain_time
            while self._running and not self._wants_open() and self._now() < until and self._is_busy():
                await self._sleep(DRAIN_LOOK_SECONDS)
            if not self._running:
                return
            if self._wants_open():
                # The next period has begun meanwhile: the line has never been down.
                self.state = State.OPEN
                return
        await self._hang_up()

    def _is_busy(self) -> bool:
        return any(busy() for busy in self._busy)

    async def _hang_up(self) -> None:
        self._become(State.CLOSING)
        settings = self._settings
        if self._leads:
            self._tell("closed")
            if settings.after:
                self._say("after", await self._run(settings.after, settings.after_time))
        self.state = State.CLOSED

    # What all of it is made of.

    def _become(self, state: State) -> None:
        was_open, self.state = self.state in (State.OPEN, State.DRAINING), state
        is_open = state is State.OPEN
        if was_open == is_open:
            return
        if self._week is not None:
            self._log.info("The schedule is {state}", state="open" if is_open else "closed")
        early, self._told_later = self._told_later and is_open, False
        for changed in (*self._changed, *([self._unforeseen] if early else [])):
            with self._log.failuresHandled("Somebody could not be told of the schedule"):
                changed()

    def _say(self, which: str, ran: Ran) -> None:
        for line in ran.lines:
            self._log.info("[schedule] {which} says: {line}", which=which, line=line)
        if ran.problem:
            self._log.error("[schedule] {which}: {problem}", which=which, problem=ran.problem)

    def _not_asked(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            self._log.failure("Mail could not be asked for by ETRN", failure)

    async def _wait(self, seconds: float) -> None:
        """Let time pass, whatever happens meanwhile but the end."""
        until = self._now() + seconds
        while self._running and (left := until - self._now()) > 0:
            await self._sleep(left)

    async def _sleep(self, seconds: float | None) -> None:
        """Let so much time pass, or as much as it takes until something has changed."""
        if not self._running or (seconds is not None and seconds <= 0):
            return
        self._asleep = Deferred()
        timer = None if seconds is None else self._clock.callLater(seconds, self._wake)
        try:
            await self._asleep
        finally:
            if timer is not None and timer.active():
                timer.cancel()

    def _wake(self) -> None:
        asleep, self._asleep = self._asleep, None
        if asleep is not None:
            asleep.callback(None)
