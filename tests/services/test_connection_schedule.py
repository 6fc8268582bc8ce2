"""The schedule at work: commands around each period, ETRN, draining, other settings, a leader and its followers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.config.sections.schedule import ScheduleSettings
from hermes.core.envelope import Envelope, Origin
from hermes.core.message import Content, QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome
from hermes.interfaces import IDeliveryAgent, ISchedule
from hermes.services.connection_schedule import LEADER_SECONDS, RETRY_SECONDS, ConnectionSchedule, State
from hermes.services.scheduled_delivery import MAX_WAIT_SECONDS, ScheduledDelivery
from hermes.services.timed_command import Ran

#: A Monday, 08:00.
MORNING = datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp()

MINUTE = 60.0

SETTINGS = ScheduleSettings(enabled=True, time_zone="UTC", monday="08:00-18:00 every 15m for 3m", before="", after="")


class Line:
    """What the schedule does, in order; ``ends`` holds commands that have not ended, ``ran`` is how they end."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.ran = Ran()
        self.ends: Deferred[None] | None = None
        self.busy = False
        self.asked: Deferred[None] = succeed(None)

    async def run(self, command: str, seconds: float) -> Ran:
        """Run a command."""
        self.done.append(f"{command} {seconds:g}")
        if self.ends is not None:
            await self.ends
        return self.ran

    async def start_queues(self, settings: ScheduleSettings) -> None:
        """Ask for mail."""
        self.done.append(f"etrn {' '.join(settings.etrn)}")
        await self.asked

    def is_busy(self) -> bool:
        """Whether something is being sent."""
        return self.busy


class ScheduleTestCase(SynchronousTestCase):
    """A schedule on a clock of the test's own, which stands at five to eight on a Monday."""

    def setUp(self) -> None:
        """Nothing has begun."""
        self.clock = Clock()
        self.clock.advance(MORNING - 5 * MINUTE)
        self.line = Line()
        self.addCleanup(self.nothing_left)

    def make(self, leads: bool = True, tell: Any = None, **changes: Any) -> ConnectionSchedule:
        """Start one."""
        schedule = ConnectionSchedule(
            self.clock,
            attrs.evolve(SETTINGS, **changes),
            self.clock.seconds,
            run=self.line.run,
            start_queues=self.line.start_queues,
            unforeseen=lambda: self.line.done.append("unforeseen"),
            leads=leads,
            tell=tell or (lambda word: None),
        )
        verifyObject(ISchedule, schedule)
        schedule.wait_for(self.line.is_busy)
        schedule.subscribe(lambda: self.line.done.append(f"now {schedule.state.value}"))
        schedule.start()
        self.addCleanup(self.end, schedule)
        return schedule

    def end(self, schedule: ConnectionSchedule) -> None:
        """Stop it."""
        self.line.ends = None
        stopping = Deferred.fromCoroutine(schedule.stop())
        self.clock.advance(0)
        self.successResultOf(stopping)

    def nothing_left(self) -> None:
        """No timer is left behind."""
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def until(self, minutes: float) -> None:
        """Let time pass until so many minutes after eight, second by second as far as it matters."""
        left = MORNING + minutes * MINUTE - self.clock.seconds()
        while left > 0:
            self.clock.advance(min(1.0, left))
            left -= 1.0


class PeriodTests(ScheduleTestCase):
    """Opening and closing."""

    def test_off(self) -> None:
        """Without a schedule everything is open at once, and nothing ever happens."""
        schedule = self.make(enabled=False, before="dial")
        self.assertTrue(schedule.is_open("direct"))
        self.assertEqual(schedule.describe(), {"state": "none"})
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(schedule.next_opening(), self.clock.seconds())

    def test_periods(self) -> None:
        """It opens and closes to the second, and tells it to those who want to know."""
        schedule = self.make()
        self.assertFalse(schedule.is_open("direct"))
        self.assertEqual(schedule.next_opening(), MORNING)
        for minutes, is_open in ((-1 / 60, False), (0, True), (3 - 1 / 60, True), (3, False), (15, True), (18, False)):
            self.until(minutes)
            self.assertEqual(schedule.is_open("direct"), is_open, minutes)
        self.assertEqual(self.line.done, ["now open", "now closing", "now open", "now closing"])

    def test_who_follows(self) -> None:
        """Only those that are named follow it, a single smart host among them."""
        schedule = self.make(clients=("direct", "smarthost:office"), servers=("pop3",))
        for name, is_open in (
            ("direct", False),
            ("direct:example.org", False),
            ("smarthost:office", False),
            ("smarthost:home", True),
            ("collector", True),
            ("pop3", False),
            ("smtp", True),
        ):
            self.assertEqual(schedule.is_open(name), is_open, name)

    def test_described(self) -> None:
        """The administrator sees where it stands, and until when."""
        schedule = self.make()
        self.assertEqual(
            schedule.describe(), {"state": "closed", "next_change": "2026-11-23T08:00:00+00:00", "until": "open"}
        )

    def test_never(self) -> None:
        """A week in which it never opens has no next opening."""
        schedule = self.make(monday="closed")
        self.assertIsNone(schedule.next_opening())
        self.assertIsNone(schedule.describe()["next_change"])

    def test_start_in_a_period(self) -> None:
        """A server that starts in the middle of one opens at once."""
        self.until(1)
        self.assertTrue(self.make(before="dial").is_open("direct"))
        self.assertEqual(self.line.done, ["dial 120", "now open"])

    def test_a_clock_that_was_set(self) -> None:
        """When the clock jumps, that is noticed within a minute."""
        ahead = 0.0
        schedule = self.make()
        schedule._now = lambda: self.clock.seconds() + ahead
        ahead = 3 * MINUTE
        self.until(-2)
        self.assertTrue(schedule.is_open("direct"))

    def test_fault(self) -> None:
        """A fault is logged, and the schedule goes on."""
        schedule = self.make(before="dial")
        self.line.run = None  # type: ignore[assignment, method-assign]
        schedule._run = None  # type: ignore[assignment]
        self.until(0)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        schedule._run = Line().run
        self.until(2)
        self.assertTrue(schedule.is_open("direct"))

    def test_a_listener_with_a_fault(self) -> None:
        """Somebody who cannot hear it keeps nobody else from it."""
        schedule = self.make()

        def fail() -> None:
            raise OSError("deaf")

        schedule.subscribe(fail)
        self.until(1)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertTrue(schedule.is_open("direct"))
        schedule._changed.remove(fail)


class CommandTests(ScheduleTestCase):
    """The commands before and after."""

    def test_around(self) -> None:
        """One before, one after, each with its time; what they say is in the log."""
        self.line.ran = Ran("", ("CONNECT 56000",))
        with capturedLogs() as logs:
            self.make(before="dial", before_time=30, after="hang-up", after_time=10)
            self.until(4)
        self.assertEqual(self.line.done, ["dial 30", "now open", "now closing", "hang-up 10"])
        self.assertEqual([log["line"] for log in logs if "line" in log], ["CONNECT 56000"] * 2)

    def test_not_before_it_has_ended(self) -> None:
        """The line opens when the command before has ended, and the delay has passed; mail looks again soon."""
        self.line.ends = Deferred()
        schedule = self.make(before="dial", before_delay=20)
        self.until(0.5)
        self.assertEqual((schedule.state, schedule.is_open("direct")), (State.OPENING, False))
        opening = schedule.next_opening()
        assert opening is not None
        self.assertLess(opening - self.clock.seconds(), MINUTE)
        self.line.ends.callback(None)
        self.until(0.8)
        self.assertFalse(schedule.is_open("direct"))
        self.until(0.9)
        self.assertTrue(schedule.is_open("direct"))

    def test_failure(self) -> None:
        """When the command before fails nothing opens; it is tried again while the period lasts, and told each time."""
        self.line.ran = Ran("it ended with 1")
        with capturedLogs() as logs:
            schedule = self.make(before="dial", after="hang-up")
            self.until(1.5)
        self.assertFalse(schedule.is_open("direct"))
        self.assertEqual(self.line.done, ["dial 120", "dial 120"])
        self.assertEqual(len([log for log in logs if log["log_level"] is LogLevel.error]), 2)
        self.line.ran = Ran()
        self.until(2 + 1 / 60)
        self.assertTrue(schedule.is_open("direct"))
        self.assertEqual(RETRY_SECONDS, MINUTE)

    def test_too_late(self) -> None:
        """A line that stands when its period is over is closed again, and nobody has gone on line."""
        self.line.ends = Deferred()
        self.make(before="dial", after="hang-up")
        self.until(3.5)
        self.line.ends.callback(None)
        self.assertEqual(self.line.done, ["dial 120", "hang-up 25"])

    def test_stop_while_open(self) -> None:
        """A server that stops hangs up."""
        schedule = self.make(after="hang-up")
        self.until(1)
        self.successResultOf(Deferred.fromCoroutine(schedule.stop()))
        self.assertEqual(self.line.done, ["now open", "now closing", "hang-up 25"])

    def test_stop_while_opening(self) -> None:
        """The command before is ended, and the one after is run: the line may stand by half."""
        self.line.ends = Deferred()
        schedule = self.make(before="dial", after="hang-up")
        self.until(0.5)
        self.line.ends = None
        self.successResultOf(Deferred.fromCoroutine(schedule.stop()))
        self.assertEqual(self.line.done, ["dial 120", "hang-up 25"])

    def test_stop_while_closed(self) -> None:
        """Where nothing is open there is nothing to hang up."""
        schedule = self.make(after="hang-up")
        self.successResultOf(Deferred.fromCoroutine(schedule.stop()))
        self.assertEqual(self.line.done, [])


class DrainTests(ScheduleTestCase):
    """What is under way is sent first."""

    def test_until_idle(self) -> None:
        """It stays open while something is being sent, and not a second longer than it must."""
        schedule = self.make()
        self.until(2)
        self.line.busy = True
        self.until(5)
        self.assertEqual((schedule.state, schedule.is_open("direct")), (State.DRAINING, True))
        self.line.busy = False
        self.until(5 + 1 / 60)
        self.assertFalse(schedule.is_open("direct"))

    def test_not_for_ever(self) -> None:
        """What does not end is not waited for beyond the limit."""
        schedule = self.make(drain_time=60)
        self.line.busy = True
        for minutes, is_open in ((4 - 1 / 60, True), (4, False)):
            self.until(minutes)
            self.assertEqual(schedule.is_open("direct"), is_open)

    def test_off(self) -> None:
        """Without it the line closes when its time has come."""
        schedule = self.make(drain=False)
        self.line.busy = True
        self.until(3)
        self.assertFalse(schedule.is_open("direct"))

    def test_into_the_next_period(self) -> None:
        """When the next period begins meanwhile, the line has never been down, and no command is run."""
        schedule = self.make(drain_time=3600, before="dial", after="hang-up")
        self.until(2)
        self.line.busy = True
        self.until(16)
        self.assertEqual(schedule.state, State.OPEN)
        self.assertEqual(self.line.done, ["dial 120", "now open"])
        self.line.busy = False

    def test_stop_meanwhile(self) -> None:
        """A server that stops waits no longer."""
        schedule = self.make(after="hang-up")
        self.line.busy = True
        self.until(4)
        self.successResultOf(Deferred.fromCoroutine(schedule.stop()))
        self.assertEqual(self.line.done[-1], "hang-up 25")


class EtrnTests(ScheduleTestCase):
    """Asking for mail."""

    def test_at_each_opening(self) -> None:
        """It is asked for whenever the line has opened, and nobody waits for it."""
        self.line.asked = Deferred()
        schedule = self.make(etrn=("mx.example.net",))
        self.until(1)
        self.assertTrue(schedule.is_open("direct"))
        self.line.asked = succeed(None)
        self.until(16)
        self.assertEqual(self.line.done.count("etrn mx.example.net"), 2)

    def test_fault(self) -> None:
        """A fault in it is logged, and costs nothing else."""
        self.line.asked = Deferred()
        schedule = self.make(etrn=("mx.example.net",))
        self.until(1)
        self.line.asked.errback(OSError("no line"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertTrue(schedule.is_open("direct"))

    def test_not_without_a_schedule(self) -> None:
        """Where everything is always open there is no opening."""
        self.make(enabled=False, etrn=("mx.example.net",))
        self.assertEqual(self.line.done, [])


class OpenedEarlierTests(ScheduleTestCase):
    """Mail that asked while the line was being opened."""

    def dial(self, ran: Ran) -> None:
        """A command that is at work while somebody asks, and then ends."""
        self.line.ends = ends = Deferred()
        self.line.ran = ran
        schedule = self.make(before="dial")
        self.until(0)
        self.assertGreater(schedule.next_opening() or 0.0, self.clock.seconds())
        self.line.ends = None
        ends.callback(None)
        self.line.ran = Ran()

    def test_tried_at_once(self) -> None:
        """Its time would come later: what waits is tried as soon as the line is open."""
        self.dial(Ran())
        self.assertEqual(self.line.done, ["dial 120", "now open", "unforeseen"])

    def test_tried_after_failure(self) -> None:
        """It is not forgotten when the line could not be opened at first."""
        self.dial(Ran(problem="it ended with 1"))
        self.until(1.5)
        self.assertEqual(self.line.done, ["dial 120", "dial 120", "now open", "unforeseen"])

    def test_nobody_asked(self) -> None:
        """Who was told the time at which it opens comes by himself."""
        self.make(before="dial")
        self.until(1)
        self.assertEqual(self.line.done, ["dial 120", "now open"])


class ReconfigureTests(ScheduleTestCase):
    """Other settings, while it runs."""

    def change(self, schedule: ConnectionSchedule, **changes: Any) -> None:
        """Take others."""
        settings = attrs.evolve(SETTINGS, **changes)
        schedule.reconfigure(settings, settings.week())

    def test_open_now(self) -> None:
        """A window that is written for now opens at once, and what waits for a later time is tried."""
        schedule = self.make()
        self.change(schedule, monday="07:00-18:00 open")
        self.assertTrue(schedule.is_open("direct"))
        self.assertEqual(self.line.done, ["now open", "unforeseen"])

    def test_switched_off(self) -> None:
        """Without a schedule everything is open at once."""
        schedule = self.make()
        self.change(schedule, enabled=False)
        self.assertTrue(schedule.is_open("direct"))
        self.assertEqual(self.line.done, ["now open", "unforeseen"])

    def test_switched_on(self) -> None:
        """A schedule that comes closes the line when that is its time."""
        schedule = self.make(enabled=False)
        self.change(schedule, after="hang-up")
        self.assertFalse(schedule.is_open("direct"))
        self.assertEqual(self.line.done, ["now closing", "hang-up 25"])

    def test_nothing_new(self) -> None:
        """A reload that changes nothing here changes nothing here."""
        schedule = self.make()
        self.until(1)
        self.change(schedule)
        self.assertEqual(self.line.done, ["now open"])


class FollowerTests(ScheduleTestCase):
    """Several workers: one leads."""

    def setUp(self) -> None:
        """Two of them."""
        super().setUp()
        self.words: list[str] = []

    def both(self, **changes: Any) -> tuple[ConnectionSchedule, ConnectionSchedule]:
        """A leader and a follower that hears it."""
        follower = self.make(leads=False, **changes)

        def tell(word: str) -> None:
            self.words.append(word)
            follower.hear(word)

        return self.make(tell=tell, **changes), follower

    def test_together(self) -> None:
        """The leader alone runs commands and asks for mail; the other goes on line when it says that the line stands."""
        self.line.ends = Deferred()
        leader, follower = self.both(before="dial", after="hang-up", etrn=("mx.example.net",))
        self.until(0.5)
        self.assertFalse(follower.is_open("direct"))
        self.line.ends.callback(None)
        self.until(0.6)
        self.assertTrue(leader.is_open("direct"))
        self.assertTrue(follower.is_open("direct"))
        self.until(4)
        self.assertFalse(follower.is_open("direct"))
        done = [word for word in self.line.done if not word.startswith("now")]
        self.assertEqual(done, ["dial 120", "etrn mx.example.net", "hang-up 25"])
        self.assertEqual(self.words, ["open", "closed"])

    def test_without_commands(self) -> None:
        """Where there is nothing to run nobody waits for anybody."""
        follower = self.make(leads=False)
        self.until(0)
        self.assertTrue(follower.is_open("direct"))

    def test_silent_leader(self) -> None:
        """A follower that hears nothing goes on line when the leader has had time enough."""
        follower = self.make(leads=False, before="dial", before_time=60)
        self.until(1)
        self.assertFalse(follower.is_open("direct"))
        self.until(1 + (LEADER_SECONDS + 2) / 60)
        self.assertTrue(follower.is_open("direct"))

    def test_line_that_cannot_be_opened(self) -> None:
        """While the leader fails the follower stays off line, and its period ends."""
        self.line.ran = Ran("it ended with 1")
        _, follower = self.both(before="dial", before_time=5)
        self.until(0.2)
        self.assertFalse(follower.is_open("direct"))
        self.assertEqual(self.words, ["failed"])
        self.until(3.1)
        self.assertEqual(follower.state, State.CLOSED)

    def test_switched_off_while_waiting(self) -> None:
        """A schedule that is taken away lets a waiting follower go on."""
        follower = self.make(leads=False, before="dial")
        self.until(0.5)
        follower.reconfigure(attrs.evolve(SETTINGS, enabled=False), None)
        self.assertTrue(follower.is_open("direct"))


class Schedule:
    """Says what the test says."""

    def __init__(self) -> None:
        self.open = False
        self.opening: float | None = 100.0
        self.asked: list[str] = []

    def is_open(self, client: str) -> bool:
        """Say it."""
        self.asked.append(client)
        return self.open

    def next_opening(self) -> float | None:
        """Say it."""
        return self.opening


class Agent:
    """Delivers."""

    async def deliver(self, next_hop: str, message: Any, recipients: Any) -> list[Outcome]:
        """Fail, so that it can be told."""
        return [Outcome.failed(next_hop)] * len(recipients)


class ScheduledDeliveryTests(SynchronousTestCase):
    """:class:`ScheduledDelivery`."""

    def deliver(self, schedule: Schedule) -> list[Outcome]:
        """Two recipients, at second 40."""
        agent = ScheduledDelivery(schedule, "smarthost", Agent(), lambda: 40.0)  # type: ignore[arg-type]
        verifyObject(IDeliveryAgent, agent)
        recipients = [QueuedRecipient(n, f"{n}@example.org", None, None, "smarthost:office", 0, 0.0) for n in range(2)]
        message = QueuedMessage(
            "ID", 0.0, Envelope("a@example.org", ()), Origin("ESMTP"), "", Content(1, 1, 0), recipients
        )
        return self.successResultOf(Deferred.fromCoroutine(agent.deliver("office", message, recipients)))

    def test_open(self) -> None:
        """Open, it is as if nothing stood between."""
        schedule = Schedule()
        schedule.open = True
        self.assertEqual([outcome.reason for outcome in self.deliver(schedule)], ["office"] * 2)
        self.assertEqual(schedule.asked, ["smarthost:office"])

    def test_closed(self) -> None:
        """Closed, mail waits until just after the next opening, and that is no attempt."""
        for opening, wait in ((100.0, 61.0), (None, MAX_WAIT_SECONDS), (40.0 + 86400, MAX_WAIT_SECONDS), (0.0, 1.0)):
            schedule = Schedule()
            schedule.opening = opening
            self.assertEqual([outcome.wait_seconds for outcome in self.deliver(schedule)], [wait] * 2)
            self.assertIn("schedule", self.deliver(schedule)[0].reason)
