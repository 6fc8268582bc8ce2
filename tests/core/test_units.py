"""Sizes and times as people write them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.units import format_instant, format_size, format_time, parse_flag, parse_size, parse_time


class SizeTests(SynchronousTestCase):
    """Octets."""

    def test_units(self) -> None:
        """Units are powers of 1024, in either case, with or without B and space."""
        found = [parse_size(text) for text in ("0", "10", "20K", "5m", "1 G", "2T", "3KB", " 7 ")]
        self.assertEqual(found, [0, 10, 20480, 5242880, 1073741824, 2199023255552, 3072, 7])

    def test_refused(self) -> None:
        """What is not a whole number with a unit is refused with a remedy."""
        for text in ("", "K", "1.5M", "-1", "10X", "1M 2K", "\u0661"):
            with self.assertRaisesRegex(ValueError, "like 50M"):
                parse_size(text)

    @given(st.integers(0, 2**60))
    def test_round_trip(self, octets: int) -> None:
        """What is written is read back."""
        self.assertEqual(parse_size(format_size(octets)), octets)

    def test_largest_unit(self) -> None:
        """The largest unit that divides the number is used."""
        self.assertEqual([format_size(n) for n in (0, 1000, 1024, 50 * 1024**2)], ["0", "1000", "1K", "50M"])


class FlagTests(SynchronousTestCase):
    """Yes and no."""

    def test_words(self) -> None:
        """All the words of the standard INI reader are understood, in any case, and no others."""
        self.assertEqual([parse_flag(text) for text in ("yes", "True", " ON ", "1")], [True] * 4)
        self.assertEqual([parse_flag(text) for text in ("no", "False", "off", "0")], [False] * 4)
        for text in ("", "y", "2", "yes no"):
            self.assertRaises(ValueError, parse_flag, text)


class TimeTests(SynchronousTestCase):
    """Seconds."""

    def test_units(self) -> None:
        """Units add up."""
        found = [parse_time(text) for text in ("0", "30s", "5m", "1h 30m", "1h30m", "5d", "2H")]
        self.assertEqual(found, [0, 30, 300, 5400, 5400, 432000, 7200])

    def test_refused(self) -> None:
        """A number without unit could mean anything, and is refused with a remedy."""
        for text in ("", "30", "s", "1w", "1h x", "-5m"):
            with self.assertRaisesRegex(ValueError, "like 90s"):
                parse_time(text)

    @given(st.integers(0, 10**9))
    def test_round_trip(self, seconds: int) -> None:
        """What is written is read back."""
        self.assertEqual(parse_time(format_time(seconds)), seconds)

    def test_written(self) -> None:
        """Times are written in the units people think in."""
        self.assertEqual([format_time(n) for n in (0, 90, 5400, 86400)], ["0", "1m 30s", "1h 30m", "1d"])

    def test_instant(self) -> None:
        """An instant is written in UTC, to the millisecond."""
        found = [format_instant(at) for at in (0, 1_800_000_000.25, 1_800_000_000.9996)]
        self.assertEqual(found, ["1970-01-01T00:00:00.000Z", "2027-01-15T08:00:00.250Z", "2027-01-15T08:00:00.999Z"])
