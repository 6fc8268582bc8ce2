"""Long turns of the reactor: counted, and named."""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from types import FrameType
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hermes.app import long_turns
from hermes.app.long_turns import COLLECTION, MAX_PLACES, TOLD_SECONDS, UNSEEN, LongTurns, TimedPoller, place_of
from hermes.core.printable import one_line

#: Something that a clock can count exactly.
LIMIT = 0.0625


class Poller:
    """Waits for ``waits`` seconds of the clock whenever it is asked."""

    waits = 100.0
    fails = False

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked: list[tuple[Any, ...]] = []

    def poll(self, *arguments: Any) -> list[object]:
        """Wait."""
        self.asked.append(arguments)
        self.clock.advance(self.waits)
        if self.fails:
            raise InterruptedError
        return []

    def register(self, descriptor: int) -> str:
        """Something else that pollers can do."""
        return f"registered {descriptor}"


class TurnsTestCase(SynchronousTestCase):
    """Turns above a sixteenth of a second, by a clock."""

    def setUp(self) -> None:
        """A poller, and what counts."""
        self.clock = Clock()
        self.turns = LongTurns(None, LIMIT, self.clock.seconds)
        self.inner = Poller(self.clock)
        self.poller = TimedPoller(self.inner, LIMIT, self.turns.ended, self.clock.seconds)
        self.poller.poll(1, 2)

    def turn(self, seconds: float) -> None:
        """A turn that takes so long."""
        self.clock.advance(seconds)
        self.poller.poll(1, 2)


class CountingTests(TurnsTestCase):
    """Which turns are counted."""

    def test_limit(self) -> None:
        """A turn below the limit and one at it are not counted, one above it is; waiting is nobody's turn."""
        self.turn(LIMIT / 2)
        self.turn(LIMIT)
        self.assertEqual(self.turns.count, 0)
        self.turn(2 * LIMIT)
        self.assertEqual(self.turns.describe()["long_turns"], 1)
        self.turn(0.25)
        self.turn(0.125)
        described = self.turns.describe()
        self.assertEqual((described["long_turns"], described["longest_turn_ms"]), (3, 250))
        figures = {family.name: family.samples[0].value for family in self.turns.families()}
        self.assertEqual(figures["hermes_long_turns_total"], 3)
        self.assertEqual(figures["hermes_longest_turn_seconds"], 0.25)

    def test_first(self) -> None:
        """What was before the first question to the poller is no turn."""
        self.assertEqual(self.turns.count, 0)

    def test_poller(self) -> None:
        """The poller is asked what it was asked, and does everything else itself."""
        self.assertEqual(self.inner.asked, [(1, 2)])
        self.assertEqual(self.poller.register(7), "registered 7")

    def test_poller_fails(self) -> None:
        """A poller that raises (a signal has come) begins a turn too."""
        self.inner.fails = True
        self.assertRaises(InterruptedError, self.poller.poll, 1, 2)
        self.inner.fails = False
        self.turn(2 * LIMIT)
        self.assertEqual(self.turns.count, 1)


class NamingTests(TurnsTestCase):
    """What is said about them."""

    def see(self) -> bool:
        """Look, as the thread does."""
        return self.turns.look(self.poller, lambda: sys._getframe())  # noqa: PLW0108 - the place is here

    def test_named(self) -> None:
        """A turn that is long by now is looked at, once, and named when it has ended."""
        self.clock.advance(2 * LIMIT)
        self.assertTrue(self.see())
        self.turn(0)
        places = self.turns.describe()["long_turns_in"]
        self.assertEqual(len(places), 1)  # type: ignore[arg-type]
        self.assertIn("test_long_turns.py", str(places))

    def test_not_long_yet(self) -> None:
        """A turn that is not long yet is not looked at; what ends unseen has no name."""
        self.clock.advance(LIMIT / 2)
        self.assertTrue(self.see())
        self.turn(LIMIT)
        self.assertEqual(self.turns.describe()["long_turns_in"], [f"{UNSEEN}: 1"])

    def test_name_of_another(self) -> None:
        """What was seen in one turn is no name for the next."""
        self.clock.advance(2 * LIMIT)
        self.see()
        self.turn(0)
        self.turn(2 * LIMIT)
        self.assertIn(f"{UNSEEN}: 1", self.turns.describe()["long_turns_in"])  # type: ignore[arg-type]

    def test_over_meanwhile(self) -> None:
        """What came after the turn while somebody looked is not taken for it."""
        self.clock.advance(2 * LIMIT)

        def late() -> FrameType:
            self.turn(0)
            return sys._getframe()

        self.turns.look(self.poller, late)
        self.assertEqual(self.turns.describe()["long_turns_in"], [f"{UNSEEN}: 1"])
        self.turn(2 * LIMIT)
        self.assertEqual(self.turns.describe()["long_turns_in"], [f"{UNSEEN}: 2"])

    def test_no_frame(self) -> None:
        """A thread that has no stack has no place."""
        self.clock.advance(2 * LIMIT)
        self.assertTrue(self.turns.look(self.poller, lambda: None))
        self.turn(0)
        self.assertEqual(self.turns.describe()["long_turns_in"], [f"{UNSEEN}: 1"])

    def test_idle(self) -> None:
        """While the poller waits there is no turn."""
        self.poller.began = float("inf")
        self.assertFalse(self.see())

    def test_stop_while_falling_asleep(self) -> None:
        """A stop whose sign comes just when the thread falls asleep is not slept through."""
        turns = self.turns

        class Late(threading.Event):
            """Is cleared when the stop has begun."""

            def clear(self) -> None:
                turns._stopping.set()
                super().clear()

        self.patch(long_turns, "IDLE_LOOKS", 1)
        turns._wake = Late()
        self.poller.began = float("inf")
        turns._watch(self.poller)
        self.assertIsNone(self.poller.wake)

    def test_log(self) -> None:
        """The first is told at once; of those that follow within a minute the next line tells the number."""
        with capturedLogs() as logged:
            self.inner.waits = 0.0
            for _ in range(3):
                self.turn(2 * LIMIT)
            self.inner.waits = TOLD_SECONDS
            self.turn(2 * LIMIT)
            self.inner.waits = 0.0
            self.turn(4 * LIMIT)
        self.assertEqual([event["milliseconds"] for event in logged], [125, 250])
        self.assertEqual([event["more"] for event in logged], ["", "; 3 more such turns since the last line"])

    def test_places_bounded(self) -> None:
        """As many places as are remembered; one more is counted, and not remembered."""
        for number in range(MAX_PLACES + 1):
            self.turns._seen = (self.poller.began, f"place {number}")
            self.turn(2 * LIMIT)
        self.assertEqual((self.turns.count, len(self.turns._places)), (MAX_PLACES + 1, MAX_PLACES))

    def test_place(self) -> None:
        """
        The innermost place of ours is named, and what it has called of others; what is all others' is named alone, whoever has
        started the reactor.
        """
        frames = []

        class Encoder(json.JSONEncoder):
            """Notes the stack in the middle of the library."""

            def default(self, o: Any) -> str:
                frames.append(sys._getframe(1))
                return ""

        json.dumps(object(), cls=Encoder)
        self.assertRegex(place_of(frames[0]), r"^JSONEncoder\.\w+ \(json/encoder\.py:\d+\)$")
        seen: list[str] = []

        class Text(str):
            """Notes the stack in the middle of a function of ours."""

            __slots__ = ()

            def __len__(self) -> int:
                at = sys._getframe()
                assert at.f_back is not None
                seen.extend((place_of(at), place_of(at.f_back)))
                return 1

        one_line(Text("x"), 10)

        called: dict[str, Any] = {}
        exec(compile("def loop(work): return work()", "/x/twisted/internet/base.py", "exec"), called)

        class Started(str):
            """Runs the loop of a reactor in the middle of a function of ours."""

            __slots__ = ()

            def __len__(self) -> int:
                seen.append(called["loop"](lambda: place_of(sys._getframe())))
                return 1

        one_line(Started("x"), 10)
        self.assertRegex(seen[2], r"^[^,]*<lambda> \(app/test_long_turns\.py:\d+\)$")
        self.assertRegex(
            seen[0], r"^one_line.* \(hermes/core/printable\.py:\d+\), in .*\(app/test_long_turns\.py:\d+\)$"
        )
        self.assertRegex(seen[1], r"^one_line.* \(hermes/core/printable\.py:\d+\)$")


class Sleepy:
    """A poller that does not answer before the thread sleeps."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.turns: LongTurns | None = None
        self.slept = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def poll(self, timeout: float, most: int) -> Any:
        """Wait for it, while that is wanted."""
        if self.turns is None:
            return self.real.poll(timeout, most)
        poller, end = self.turns._poller, time.monotonic() + 30
        assert poller is not None
        while poller.wake is None and time.monotonic() < end:
            time.sleep(0.001)
        self.slept = poller.wake is not None
        return self.real.poll(0, most)


class RunningTests(TestCase):
    """The real reactor, thread and clock."""

    timeout = 60

    async def watched(self, limit: float = 0.02) -> LongTurns:
        """Begin to look, until the test ends."""
        turns = LongTurns(reactor, limit)
        await turns.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(turns.stop()))
        await deferLater(reactor, 0)
        return turns

    async def until(self, condition: Any) -> None:
        """Wait for it."""
        while not condition():
            await deferLater(reactor, 0.01)

    async def named(self, turns: LongTurns) -> None:
        """Let a turn last until it has been seen, and longer than the limit in any case; it has its name in the end."""

        def hold_up() -> None:
            assert turns._poller is not None
            began, end = turns._poller.began, time.monotonic() + 30
            while turns._seen[0] != began and time.monotonic() < end:
                pass

        reactor.callLater(0, hold_up)
        await self.until(lambda: any("hold_up" in str(place) for place in turns._places))

    async def test_named(self) -> None:
        """A turn that is long is counted with the place where it was, and told in the log."""
        turns = await self.watched()
        with capturedLogs() as logged:
            await self.named(turns)
        self.assertGreaterEqual(turns.count, 1)
        self.assertTrue([event for event in logged if event.get("log_namespace") == "hermes.app.long_turns.LongTurns"])

    async def test_sleeps(self) -> None:
        """While nothing happens the thread sleeps, and it is awake again for the next long turn."""
        self.patch(long_turns, "IDLE_LOOKS", 1)
        before: Any = reactor._poller  # type: ignore[attr-defined]
        sleepy = Sleepy(before)
        reactor._poller = sleepy  # type: ignore[attr-defined]
        self.addCleanup(setattr, reactor, "_poller", before)
        turns = await self.watched()
        sleepy.turns = turns
        await self.until(lambda: sleepy.slept)
        sleepy.turns = None
        await self.named(turns)

    async def test_put_back(self) -> None:
        """At the end the reactor has its own poller, and the thread is gone."""
        before = reactor._poller  # type: ignore[attr-defined]
        turns = LongTurns(reactor, 0.05)
        await turns.start()
        self.assertIsNot(reactor._poller, before)  # type: ignore[attr-defined]
        thread = turns._thread
        assert thread is not None
        self.assertTrue(thread.is_alive())
        await turns.stop()
        self.assertIs(reactor._poller, before)  # type: ignore[attr-defined]
        self.assertFalse(thread.is_alive())
        self.assertNotIn(turns._collected, gc.callbacks)

    async def test_replaced(self) -> None:
        """A reactor that has another poller by then keeps it."""
        before = reactor._poller  # type: ignore[attr-defined]
        turns = LongTurns(reactor, 0.05)
        await turns.start()
        reactor._poller = before  # type: ignore[attr-defined]
        await turns.stop()
        self.assertIs(reactor._poller, before)  # type: ignore[attr-defined]

    async def test_off(self) -> None:
        """With a limit of 0, or a reactor without such a poller, nobody looks; it says that there was nothing."""
        before = reactor._poller  # type: ignore[attr-defined]
        for turns in (LongTurns(reactor, 0), LongTurns(object(), 0.05)):
            await turns.start()
            self.assertIs(reactor._poller, before)  # type: ignore[attr-defined]
            self.assertEqual(turns.describe()["long_turns"], 0)
            await turns.stop()

    async def test_collection(self) -> None:
        """A collection of garbage that makes a turn long is named; a short one, or one of another thread, is not."""
        turns = await self.watched(5.0)
        # One that comes by itself in between would be taken for the end of ours.
        gc.disable()
        self.addCleanup(gc.enable)
        clock = Clock()
        turns._seconds = clock.seconds
        turns._collected("start", {})
        clock.advance(4.0)
        turns._collected("stop", {})
        self.assertNotEqual(turns._seen[1], COLLECTION)
        turns._collected("start", {})
        elsewhere = threading.Thread(target=turns._collected, args=("start", {}))
        clock.advance(5.0)
        elsewhere.start()
        elsewhere.join()
        turns._collected("stop", {})
        assert turns._poller is not None
        self.assertEqual(turns._seen, (turns._poller.began, COLLECTION))
