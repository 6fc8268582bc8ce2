"""Rates as people write them, and what counts them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.rate import WINDOWS, Rate, WindowCount


class RateTests(SynchronousTestCase):
    """What is written in the configuration."""

    def test_parse(self) -> None:
        """A number or a size, and a minute, an hour or a day."""
        for text, expected in (
            ("60/minute", Rate(60, 60)),
            (" 500 / Hour ", Rate(500, 3600)),
            ("50M/day", Rate(50 * 1024**2, 86400)),
            ("1/day", Rate(1, 86400)),
        ):
            self.assertEqual(Rate.parse(text), expected)

    def test_nonsense(self) -> None:
        """Anything else is refused with a remedy."""
        for text, remedy in (
            ("", "write one like 60/minute"),
            ("60", "write one like 60/minute"),
            ("60/", "write one like 60/minute"),
            ("60/week", "write one like 60/minute"),
            ("60/minute/hour", "write one like 60/minute"),
            ("/minute", "is no number"),
            ("many/minute", "is no number"),
            ("-1/minute", "is no number"),
            ("0/minute", "leave it away"),
        ):
            with self.assertRaises(ValueError, msg=text) as raised:
                Rate.parse(text)
            self.assertIn(remedy, str(raised.exception))

    @given(st.integers(1, 2**50), st.sampled_from(sorted(WINDOWS)))
    def test_round_trip(self, amount: int, window: str) -> None:
        """What is written can be read."""
        rate = Rate(amount, WINDOWS[window])
        self.assertEqual(Rate.parse(str(rate)), rate)
        self.assertEqual(rate.window, window)


class WindowCountTests(SynchronousTestCase):
    """Counting over a window that slides."""

    def test_slides(self) -> None:
        """What came in the window before counts for as much of it as still lies within the time."""
        count = WindowCount(60)
        self.assertEqual(count.at(600), 0)
        count.add(10)
        self.assertEqual(count.at(659), 10)
        for now, expected in ((660, 10), (675, 7.5), (690, 5), (719, 10 / 60), (720, 0)):
            self.assertAlmostEqual(count.at(now), expected, msg=str(now))

    def test_both_windows(self) -> None:
        """What comes now is added."""
        count = WindowCount(60)
        count.at(600)
        count.add(10)
        count.at(690)
        count.add(3)
        self.assertEqual(count.at(690), 8)

    def test_long_silence(self) -> None:
        """After more than two windows nothing is left."""
        count = WindowCount(60)
        count.at(600)
        count.add(10)
        self.assertEqual(count.at(725), 0)

    def test_a_clock_that_is_set_back(self) -> None:
        """What was counted stays counted."""
        count = WindowCount(60)
        count.at(600)
        count.add(10)
        self.assertEqual(count.at(300), 10)
        self.assertEqual(count.at(601), 10)

    @given(st.lists(st.floats(0, 30), max_size=200), st.integers(1, 20))
    def test_bound(self, pauses: list[float], most: int) -> None:
        """Who is let through while it says there is room never gets more than twice the amount through in any window."""
        count, now, through = WindowCount(60), 1000.0, []
        for pause in pauses:
            now += pause
            if count.at(now) + 1 <= most:
                count.add(1)
                through.append(now)
        for begin in through:
            self.assertLessEqual(len([at for at in through if begin <= at < begin + 60]), 2 * most)
