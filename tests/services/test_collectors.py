"""When boxes are looked at: each by its own clock, and one session at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.sections.collector import CollectorSettings
from hermes.net.pop3_opening import Problem, Stage
from hermes.services.collecting_report import Box, Report
from hermes.services.collectors import FIRST_SECONDS, MAX_LOGIN_PAUSE_SECONDS, Collectors
from hermes.services.uid_memory import UidMemory
from tests.support.worker import ImmediateWorker

#: Noon of a day in 2026, UTC.
NOON = 1_768_478_400.0


class Puppet:
    """A collector that does what a test wants; ``looks`` are the times of its sessions, and ``dry`` which were dry."""

    def __init__(self, clock: Clock, name: str = "info", **settings: Any) -> None:
        self.name = name
        self.box = f"box-{name}"
        self.settings = CollectorSettings(**settings)
        self.looks: list[float] = []
        self.dry: list[bool] = []
        self.hangs: Deferred[None] | None = None
        self.act: Callable[[Report], Problem | None] = lambda report: None
        self._clock = clock

    async def collect(self, box: Box, report: Report, *, dry: bool = False) -> Problem | None:
        """One session."""
        self.looks.append(self._clock.seconds())
        self.dry.append(dry)
        if self.hangs is not None:
            await self.hangs
        return self.act(report)


class Line:
    """A schedule that a test switches."""

    def __init__(self) -> None:
        self.open = False
        self.changed: Callable[[], None] = lambda: None
        self.busy: Callable[[], bool] = lambda: False

    def is_open(self, client: str) -> bool:
        """As the test says; only the collector asks."""
        assert client == "collector"
        return self.open

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Keep it."""
        self.changed = changed

    def wait_for(self, busy: Callable[[], bool]) -> None:
        """Keep it."""
        self.busy = busy

    def switch(self, is_open: bool) -> None:
        """Open or close."""
        self.open = is_open
        self.changed()


class CollectorsTests(SynchronousTestCase):
    """By a clock that the test moves."""

    def setUp(self) -> None:
        """Nothing is looked at yet."""
        self.clock = Clock()
        self.collectors = Collectors(self.clock, lambda: 0.0, UidMemory(self.mktemp(), ImmediateWorker(), lambda: 0.0))

    def use(self, *puppets: Puppet) -> None:
        """Go by these."""
        self.collectors.reconfigure({puppet.name: puppet for puppet in puppets})

    def start(self, *puppets: Puppet) -> None:
        """Go by these, and begin."""
        self.use(*puppets)
        self.collectors.start()

    def pass_time(self, seconds: int) -> None:
        """Second by second."""
        self.clock.pump([1.0] * seconds)

    def test_poll(self) -> None:
        """The first look is at once, then there is the pause between them; a box that is switched off has none."""
        box, off = Puppet(self.clock, poll=100), Puppet(self.clock, "off", enabled=False)
        self.start(box, off)
        self.pass_time(203)
        self.assertEqual(box.looks, [FIRST_SECONDS, FIRST_SECONDS + 100, FIRST_SECONDS + 200])
        self.assertEqual(off.looks, [])

    def test_figures(self) -> None:
        """When a box was looked at last without trouble; a dry look, and one that failed, is none. Each session has its end."""
        now = 1000.0
        memory = UidMemory(self.mktemp(), ImmediateWorker(), lambda: 0.0)
        self.collectors = Collectors(self.clock, lambda: now, memory)
        box = Puppet(self.clock, enabled=False)
        self.start(box)

        def figures() -> dict[tuple[str, ...], float]:
            return {
                (family.name.removeprefix("hermes_collector_"), *sample.labels.values()): sample.value
                for family in self.collectors.families()
                for sample in family.samples
            }

        self.collectors.begin("info", dry=True)
        self.assertEqual(figures()["last_success_timestamp_seconds", "info"], 0)

        def takes(report: Report) -> None:
            report.taken = 2

        box.act = takes
        self.collectors.begin("info", dry=False)
        self.assertEqual(figures()["last_success_timestamp_seconds", "info"], 1000)

        def fails(report: Report) -> Problem:
            report.problem = "no"
            return Problem(Stage.LOGIN, "no")

        box.act, now = fails, 2000.0
        self.collectors.begin("info", dry=False)
        found = figures()
        self.assertEqual(found["last_success_timestamp_seconds", "info"], 1000)
        self.assertEqual(found["messages_total", "info"], 2)
        self.assertEqual((found["sessions_total", "info", "opened"], found["sessions_total", "info", "login"]), (2, 1))

    def test_schedule(self) -> None:
        """While the schedule is closed no box is looked at but by hand; when it opens, those that are due are."""
        line = Line()
        memory = UidMemory(self.mktemp(), ImmediateWorker(), lambda: 0.0)
        self.collectors = Collectors(self.clock, lambda: 0.0, memory, line)  # type: ignore[arg-type]
        box = Puppet(self.clock, poll=100)
        self.start(box)
        self.pass_time(150)
        self.assertEqual(box.looks, [])
        self.assertEqual(self.collectors.describe()[0]["state"], "waits for the schedule")
        line.switch(True)
        self.pass_time(2)
        self.assertEqual(box.looks, [150 + FIRST_SECONDS])
        line.switch(False)
        self.pass_time(200)
        self.assertEqual(len(box.looks), 1)
        self.collectors.begin("info", dry=True)
        self.assertEqual(len(box.looks), 2)

    def test_schedule_waits(self) -> None:
        """The line is not closed while a session goes on."""
        line = Line()
        memory = UidMemory(self.mktemp(), ImmediateWorker(), lambda: 0.0)
        self.collectors = Collectors(self.clock, lambda: 0.0, memory, line)  # type: ignore[arg-type]
        box = Puppet(self.clock, poll=100)
        box.hangs = Deferred()
        line.switch(True)
        self.start(box)
        self.assertFalse(line.busy())
        self.pass_time(2)
        self.assertTrue(line.busy())
        box.hangs.callback(None)
        self.assertFalse(line.busy())

    def test_one_that_hangs(self) -> None:
        """A session that does not end delays no other box, and is not begun anew."""
        hanging, other = Puppet(self.clock, "a", poll=10), Puppet(self.clock, "b", poll=10)
        hanging.hangs = Deferred()
        self.start(hanging, other)
        self.pass_time(35)
        self.assertEqual((len(hanging.looks), len(other.looks)), (1, 4))
        with self.assertRaises(ValueError):
            self.collectors.begin("a", dry=False)
        hanging.hangs.callback(None)
        self.pass_time(10)
        self.assertEqual(len(hanging.looks), 2)

    def test_more(self) -> None:
        """When more waits, the next session follows at once, but not earlier than the server wants, nor after a problem."""
        box = Puppet(self.clock, poll=100)
        box.act = lambda report: setattr(report, "more", len(box.looks) < 3)
        self.start(box)
        self.pass_time(20)
        self.assertEqual(len(box.looks), 3)
        slow = Puppet(self.clock, "slow", poll=100)

        def want_a_pause(report: Report) -> None:
            report.more, report.pause_seconds = True, 30

        slow.act = want_a_pause
        self.use(slow)
        self.pass_time(32)
        self.assertEqual(len(slow.looks), 2)

    def test_refused_login(self) -> None:
        """Refused logins are repeated less and less often, up to once in an hour; a success forgets them."""
        box = Puppet(self.clock, poll=600)

        def refuse(report: Report) -> Problem:
            report.refused, report.problem = True, "wrong"
            return Problem(Stage.LOGIN, "wrong", refused=True)

        box.act = refuse
        self.start(box)
        self.clock.pump([10.0] * 3000)
        pauses = [round(after - before, -1) for before, after in zip(box.looks, box.looks[1:], strict=False)]
        self.assertEqual(pauses[:5], [600, 1200, 2400, MAX_LOGIN_PAUSE_SECONDS, MAX_LOGIN_PAUSE_SECONDS])
        box.act = lambda report: None
        self.clock.pump([10.0] * 500)
        self.assertEqual(round(box.looks[-1] - box.looks[-2], -1), 600)
        (row,) = self.collectors.describe()
        self.assertEqual(row["problem"], "")
        self.assertGreater(row["login"], 4)

    def test_status(self) -> None:
        """For hermes status: the last look and what it fetched, the next, and what went wrong last, also when that is over."""
        memory = UidMemory(self.mktemp(), ImmediateWorker(), lambda: 0.0)
        line = Line()
        self.collectors = Collectors(self.clock, lambda: NOON + self.clock.seconds(), memory, line)  # type: ignore[arg-type]
        box, off = Puppet(self.clock, poll=100), Puppet(self.clock, "off", enabled=False)
        line.open = True
        self.start(box, off)
        row, other = self.collectors.status()
        none = {"last_poll": None, "fetched": 0, "last_error_at": None, "last_error": ""}
        self.assertEqual(row, {"name": "info", "state": row["state"], "next_poll": "2026-01-15T12:00:01.000Z", **none})
        self.assertEqual(other, {"name": "off", "state": "looks only when asked", "next_poll": None, **none})
        box.act = lambda report: setattr(report, "taken", 7)
        self.pass_time(2)
        row = self.collectors.status()[0]
        self.assertEqual((row["last_poll"], row["fetched"]), ("2026-01-15T12:00:01.000Z", 7))
        self.assertEqual(row["next_poll"], "2026-01-15T12:01:41.000Z")
        box.act = lambda report: setattr(report, "problem", "it broke")
        self.pass_time(100)
        box.act = lambda report: setattr(report, "taken", 1)
        self.collectors.begin("info", dry=True)
        row = self.collectors.status()[0]
        self.assertEqual((row["last_poll"], row["fetched"]), ("2026-01-15T12:01:41.000Z", 0))
        self.assertEqual((row["last_error_at"], row["last_error"]), ("2026-01-15T12:01:41.000Z", "it broke"))
        box.hangs = Deferred()
        self.collectors.begin("info", dry=False)
        row = self.collectors.status()[0]
        self.assertEqual((row["state"], row["next_poll"]), ("at work", None))
        box.hangs.callback(None)
        line.open = False
        row = self.collectors.status()[0]
        self.assertEqual((row["state"], row["next_poll"]), ("waits for the schedule", None))
        self.assertEqual((row["fetched"], row["last_error"]), (1, "it broke"))

    def test_on_demand(self) -> None:
        """Hermes collect: now, dry or not; what there is not is told; afterwards the pause begins anew."""
        box = Puppet(self.clock, poll=100)
        box.act = lambda report: setattr(report, "taken", 7)
        self.start(box)
        self.pass_time(50)
        self.collectors.begin("info", dry=True)
        self.assertEqual(box.dry, [False, True])
        progress = self.collectors.progress("info")
        self.assertEqual((progress["taken"], progress["running"]), (7, False))
        self.pass_time(99)
        self.assertEqual(len(box.looks), 2)
        self.pass_time(1)
        self.assertEqual(len(box.looks), 3)
        for ask in (lambda: self.collectors.begin("x", dry=False), lambda: self.collectors.progress("x")):
            with self.assertRaises(LookupError):
                ask()

    def test_progress(self) -> None:
        """Before anything has been done there is nothing to tell; while it goes on, it says so."""
        box = Puppet(self.clock, enabled=False)
        self.start(box)
        self.assertFalse(self.collectors.progress("info")["running"])
        self.assertEqual(self.collectors.describe()[0]["state"], "looks only when asked")
        box.hangs = Deferred()
        self.collectors.begin("info", dry=False)
        self.assertTrue(self.collectors.progress("info")["running"])
        self.assertEqual(self.collectors.describe()[0]["state"], "at work")
        box.hangs.callback(None)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fault(self) -> None:
        """A fault of ours is logged, and the next session comes."""

        def fail(report: Report) -> Problem | None:
            raise ZeroDivisionError

        box = Puppet(self.clock, poll=100)
        box.act = fail
        self.start(box)
        self.pass_time(102)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertIn("log", self.collectors.progress("info")["problem"])

    def test_reload(self) -> None:
        """New settings are in force at once; a session goes on, a box is not looked at twice, what is gone is left alone."""
        box = Puppet(self.clock, poll=100)
        self.start(box)
        self.pass_time(50)
        again, new = Puppet(self.clock, poll=200), Puppet(self.clock, "new")
        self.use(again, new)
        self.pass_time(100)
        self.assertEqual((len(again.looks), len(new.looks)), (0, 1))
        self.pass_time(60)
        self.assertEqual((len(box.looks), len(again.looks)), (1, 1))
        again.hangs = Deferred()
        self.pass_time(200)
        third = Puppet(self.clock, poll=10)
        self.use(third)
        self.pass_time(50)
        self.assertEqual(third.looks, [])
        again.hangs.callback(None)
        self.pass_time(12)
        self.assertEqual(len(third.looks), 1)

    def test_stop(self) -> None:
        """A stop ends what goes on, and nothing begins any more."""
        box, idle = Puppet(self.clock), Puppet(self.clock, "idle")
        self.start(box, idle)
        box.hangs = Deferred()
        self.pass_time(1)
        self.successResultOf(Deferred.fromCoroutine(self.collectors.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.collectors.progress("info")["problem"], "the server stops")
