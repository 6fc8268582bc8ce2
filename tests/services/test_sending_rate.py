"""The limits of providers are kept, in every window of time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.services.sending_rate import DAY, HOUR, MINUTE, PARTS, RateLimits, SendingRate, SendingRates


class SendingRateTests(SynchronousTestCase):
    """One smart host."""

    def setUp(self) -> None:
        """A rate, and its clock."""
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.rate = SendingRate(self.clock.seconds)

    def test_no_limits(self) -> None:
        """Without limits nothing waits."""
        for _ in range(1000):
            self.assertIsNone(self.rate.take(RateLimits(), 100))

    def test_each_limit(self) -> None:
        """Below and at a limit messages go, above it the wait is told, and afterwards there is room again."""
        for limits, words, seconds in (
            (RateLimits(messages_per_minute=3), "3 messages a minute", MINUTE),
            (RateLimits(messages_per_hour=3), "3 messages an hour", HOUR),
            (RateLimits(messages_per_day=3), "3 messages a day", DAY),
            (RateLimits(recipients_per_day=3), "3 recipients a day", DAY),
        ):
            self.setUp()
            for _ in range(3):
                self.assertIsNone(self.rate.take(limits, 1))
            excess = self.rate.take(limits, 1)
            assert excess is not None
            self.assertEqual(excess.limit, words)
            self.assertTrue(seconds < excess.wait_seconds <= seconds * (1 + 1 / PARTS), excess)
            self.clock.advance(excess.wait_seconds - 0.01)
            self.assertIsNotNone(self.rate.take(limits, 1))
            self.clock.advance(0.02)
            self.assertIsNone(self.rate.take(limits, 1))

    def test_the_tightest(self) -> None:
        """With several limits the longest wait is told first."""
        limits = RateLimits(messages_per_minute=1, messages_per_day=1)
        self.assertIsNone(self.rate.take(limits, 1))
        excess = self.rate.take(limits, 1)
        assert excess is not None
        self.assertEqual(excess.limit, "1 messages a day")

    def test_many_recipients(self) -> None:
        """A message counts with all its recipients; one that is larger than the limit goes when nothing else has."""
        limits = RateLimits(recipients_per_day=10)
        self.assertIsNone(self.rate.take(limits, 25))
        self.assertIsNotNone(self.rate.take(limits, 1))
        self.clock.advance(DAY * 1.02)
        self.assertIsNone(self.rate.take(limits, 4))
        self.assertIsNone(self.rate.take(limits, 6))
        self.assertIsNotNone(self.rate.take(limits, 25))

    def test_turns(self) -> None:
        """Those who have to wait do not all come back at once: each window has as many as fit."""
        limits = RateLimits(messages_per_hour=2)
        for _ in range(2):
            self.rate.take(limits, 1)
        waits = []
        for _ in range(5):
            excess = self.rate.take(limits, 1)
            assert excess is not None
            waits.append(excess.wait_seconds)
        self.assertEqual([round((wait - waits[0]) / HOUR) for wait in waits], [0, 0, 1, 1, 2])

    def test_taken_back(self) -> None:
        """What was not handed over after all does not count."""
        limits = RateLimits(messages_per_minute=1, recipients_per_day=5)
        self.assertIsNone(self.rate.take(limits, 5))
        self.rate.take_back(5)
        self.assertIsNone(self.rate.take(limits, 5))
        self.clock.advance(HOUR)
        self.rate.take_back(3)
        self.assertIsNone(self.rate.take(limits, 3))
        self.assertIsNotNone(self.rate.take(limits, 1))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.floats(min_value=0, max_value=90), max_size=80), st.integers(1, 6))
    def test_never_more(self, pauses: list[float], limit: int) -> None:
        """In no sixty seconds, wherever they begin, more than the limit goes out."""
        self.setUp()
        limits = RateLimits(messages_per_minute=limit)
        gone: list[float] = []
        for pause in pauses:
            self.clock.advance(pause)
            if self.rate.take(limits, 1) is None:
                gone.append(self.clock.seconds())
        for start in gone:
            self.assertLessEqual(len([at for at in gone if start <= at < start + MINUTE]), limit)

    def test_by_name(self) -> None:
        """Each smart host has its own counters, and keeps them."""
        rates = SendingRates(self.clock.seconds)
        self.assertIs(rates.of("a"), rates.of("a"))
        self.assertIsNot(rates.of("a"), rates.of("b"))
