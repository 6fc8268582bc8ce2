"""
Which boxes at other servers are looked at when, and what is told of them.

Every box has a timer of its own and a session of its own, so that a server that hangs delays no other. What is remembered of a
box outlives a reload; a session that is going on then ends as it began. How a box is looked at is a collector's business
(:mod:`hermes.services.pop3_collector`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from hermes.core.metric import COUNTER, GAUGE, Counts, Family, by_label
from hermes.core.units import format_instant
from hermes.interfaces import ISchedule
from hermes.net.pop3_opening import Problem
from hermes.services.collecting_report import Box, Report
from hermes.services.uid_memory import UidMemory

#: The first look after a start: when everything else is up.
FIRST_SECONDS = 1.0

#: When more waits than one session fetches, the next one follows at once.
MORE_SECONDS = 1.0

#: Each refused login counts towards a lock of the account, so the pause doubles; what is mended is noticed within the hour.
MAX_LOGIN_PAUSE_SECONDS = 3600.0


@attrs.define
class _State:
    """What is remembered of a box while the server runs."""

    box: Box
    counts: Counter[str] = attrs.field(factory=Counter)
    refusals: int = 0
    running: Deferred[None] | None = None
    report: Report | None = None
    ended_at: float = 0.0
    #: The time of day; 0 before the first session without trouble.
    succeeded_at: float = 0.0
    due_at: float = 0.0
    #: The last session that was no dry run, and the last one that went wrong, in seconds since the epoch.
    polled_at: float = 0.0
    fetched: int = 0
    failed_at: float = 0.0
    error: str = ""


#: The words of figures where they are others.
_RESULTS = {"sessions": "opened"}


class Named(Protocol):
    """What the service needs of a collector, whatever protocol it speaks."""

    name: str
    box: str

    @property
    def settings(self) -> Any:
        """With ``enabled`` and ``poll``."""

    async def collect(self, box: Box, report: Report, *, dry: bool = False) -> Problem | None:
        """Have one session."""


class Collectors:
    """All boxes; ``clock`` has the timers, ``now`` is the time of day; while the ``schedule`` is closed none is looked at."""

    _log = Logger()

    def __init__(
        self, clock: Any, now: Callable[[], float], memory: UidMemory, schedule: ISchedule | None = None
    ) -> None:
        self._clock = clock
        self._now = now
        self._memory = memory
        self._collectors: Mapping[str, Named] = {}
        self._states: dict[str, _State] = {}
        self._timers: dict[str, IDelayedCall] = {}
        self._started = False
        self._schedule_of_all = schedule
        if schedule is not None:
            schedule.subscribe(self._opened_or_closed)
            schedule.wait_for(lambda: any(state.running is not None for state in self._states.values()))

    def start(self) -> None:
        """Begin to look."""
        self._started = True
        self._schedule_all()

    async def stop(self) -> None:
        """Begin nothing more, and end what goes on: what is being made durable is finished."""
        self._started = False
        self._cancel_timers()
        running = [state.running for state in self._states.values() if state.running is not None]
        for one in running:
            one.cancel()
        for one in running:
            await one

    def reconfigure(self, collectors: Mapping[str, Named]) -> None:
        """Go by other settings from now on."""
        self._collectors = collectors
        self._cancel_timers()
        if self._started:
            self._schedule_all()

    def begin(self, name: str, *, dry: bool) -> None:
        """Look at a box now; raises LookupError for one that there is not, ValueError when that goes on already."""
        collector = self._collectors.get(name)
        if collector is None:
            there = ", ".join(self._collectors) or "none"
            raise LookupError(f"there is no [collector:{name}]; there are {there}")
        if self._state(collector).running is not None:
            raise ValueError(f"{name} is being looked at just now: try again in a moment")
        self._run(collector, dry=dry)

    def progress(self, name: str) -> dict[str, Any]:
        """What a session has done so far; ``running`` says whether it goes on."""
        collector = self._collectors.get(name)
        if collector is None:
            raise LookupError(f"there is no [collector:{name}]")
        state = self._state(collector)
        report = state.report or Report()
        return report.as_json() | {"running": state.running is not None}

    def describe(self) -> list[dict[str, Any]]:
        """One row for each box."""
        return [self._row(collector) for collector in self._collectors.values()]

    def status(self) -> list[dict[str, Any]]:
        """In a row for each box: when it was last looked at, what that fetched, when that is next, what went wrong last."""
        return [self._standing(collector) for collector in self._collectors.values()]

    def _standing(self, collector: Named) -> dict[str, Any]:
        state = self._state(collector)
        waits = collector.name in self._timers and self._may_look
        next_at = self._now() + max(0.0, state.due_at - self._clock.seconds())
        return {
            "name": collector.name,
            "state": self._row(collector)["state"],
            "last_poll": format_instant(state.polled_at) if state.polled_at else None,
            "fetched": state.fetched,
            "next_poll": format_instant(next_at) if waits else None,
            "last_error_at": format_instant(state.failed_at) if state.failed_at else None,
            "last_error": state.error,
        }

    def families(self) -> list[Family]:
        """Figures of all boxes."""
        states = {name: self._state(collector) for name, collector in self._collectors.items()}
        succeeded = {name: state.succeeded_at for name, state in states.items()}
        messages = {name: state.counts["messages"] for name, state in states.items()}
        sessions = Counts("collector", "result")
        for name, state in states.items():
            for word in ("sessions", "connect", "tls", "login"):
                sessions.add((name, _RESULTS.get(word, word)), state.counts[word])
        return [
            by_label(
                GAUGE,
                "hermes_collector_last_success_timestamp_seconds",
                "When a box was looked at last without trouble, as seconds since the epoch; 0 before the first time.",
                "collector",
                succeeded,
            ),
            by_label(COUNTER, "hermes_collector_messages_total", "Messages fetched.", "collector", messages),
            sessions.family("hermes_collector_sessions_total", "Sessions, and where those came to an end that failed."),
        ]

    def _row(self, collector: Named) -> dict[str, Any]:
        state = self._state(collector)
        problem = state.report.problem if state.report is not None else ""
        waits = f"looks again in {max(0, int(state.due_at - self._clock.seconds()))} s"
        idle = waits if collector.name in self._timers else "looks only when asked"
        if collector.settings.enabled and not self._may_look:
            idle = "waits for the schedule"
        return {
            "name": collector.name,
            "box": collector.box,
            "state": "at work" if state.running is not None else idle,
            "problem": problem,
            **{
                word: state.counts[word]
                for word in ("sessions", "messages", "deleted", "connect", "tls", "login", "broken")
            },
        }

    def _state(self, collector: Named) -> _State:
        return self._states.setdefault(collector.box, _State(Box(collector.box, self._memory)))

    def _cancel_timers(self) -> None:
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        self._timers.clear()

    def _schedule_all(self) -> None:
        for collector in self._collectors.values():
            if collector.settings.enabled and self._state(collector).running is None:
                self._schedule(collector, self._due(collector))

    def _due(self, collector: Named) -> float:
        """In how many seconds a box is to be looked at. A box that has not been looked at is due."""
        state = self._state(collector)
        if state.report is None:
            return FIRST_SECONDS
        due_at: float = state.ended_at + self._pause(collector, state, state.report)
        return max(FIRST_SECONDS, due_at - float(self._clock.seconds()))

    @staticmethod
    def _pause(collector: Named, state: _State, report: Report) -> float:
        pause: float = collector.settings.poll
        if report.refused:
            doubled = pause * float(2 ** min(state.refusals - 1, 10))
            pause = max(pause, min(doubled, MAX_LOGIN_PAUSE_SECONDS))
        elif report.more and not report.problem:
            pause = MORE_SECONDS
        return max(pause, float(report.pause_seconds))

    def _schedule(self, collector: Named, seconds: float) -> None:
        self._state(collector).due_at = self._clock.seconds() + seconds
        self._timers[collector.name] = self._clock.callLater(seconds, self._look, collector)

    def _look(self, collector: Named) -> None:
        del self._timers[collector.name]
        if not self._may_look:
            # It is due when the schedule opens.
            return
        # A session that goes on sees to the next one when it ends.
        if self._state(collector).running is None:
            self._run(collector, dry=False)

    @property
    def _may_look(self) -> bool:
        return self._schedule_of_all is None or self._schedule_of_all.is_open("collector")

    def _opened_or_closed(self) -> None:
        if self._started and self._may_look:
            self._cancel_timers()
            self._schedule_all()

    def _run(self, collector: Named, *, dry: bool) -> None:
        timer = self._timers.pop(collector.name, None)
        if timer is not None and timer.active():
            timer.cancel()
        state = self._state(collector)
        state.report = Report()
        # Held before it runs: what ends at once must find it.
        state.running = Deferred()
        state.running = Deferred.fromCoroutine(self._collect(collector, state, state.report, dry=dry))
        if state.running.called:
            state.running = None

    async def _collect(self, collector: Named, state: _State, report: Report, *, dry: bool) -> None:
        problem: Problem | None = None
        try:
            problem = await collector.collect(state.box, report, dry=dry)
        except CancelledError:
            report.problem = "the server stops"
        except Exception:
            report.problem = "something went wrong here; the log says what"
            self._log.failure("The box {name} could not be collected", name=collector.name)
        self._count(state, report, problem)
        if not dry:
            state.polled_at, state.fetched = self._now(), report.taken
        if report.problem:
            state.failed_at, state.error = self._now(), report.problem
        self._tell(collector, report, dry=dry)
        state.running = None
        state.ended_at = self._clock.seconds()
        if not report.problem and not dry:
            state.succeeded_at = self._now()
        current = self._collectors.get(collector.name)
        if self._started and current is not None and current.settings.enabled and current.name not in self._timers:
            self._schedule(current, self._due(current))

    @staticmethod
    def _count(state: _State, report: Report, problem: Problem | None) -> None:
        state.refusals = state.refusals + 1 if report.refused else 0
        if problem is not None:
            state.counts[problem.stage.value] += 1
            return
        state.counts["sessions"] += 1
        state.counts["messages"] += report.taken
        state.counts["deleted"] += report.deleted
        state.counts["broken"] += bool(report.problem)

    def _tell(self, collector: Named, report: Report, *, dry: bool) -> None:
        if report.problem:
            self._log.warn("{name}: {problem}", name=f"[collector:{collector.name}]", problem=report.problem)
        if (report.taken or report.deleted) and not dry:
            self._log.info(
                "{name}: {taken} messages fetched, {deleted} deleted at the server",
                name=f"[collector:{collector.name}]",
                taken=report.taken,
                deleted=report.deleted,
            )
