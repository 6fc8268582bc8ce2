"""How much in which time: ``60/minute``, ``50M/day``; and what counts it, a sliding window in two numbers."""

from __future__ import annotations

import attrs

from hermes.core.units import format_size, parse_size

#: The times in which something can be counted, in seconds.
WINDOWS = {"minute": 60, "hour": 3600, "day": 86400}

_NAMES = {seconds: name for name, seconds in WINDOWS.items()}


@attrs.frozen
class Rate:
    """So many of something (or octets) in so many seconds, which are a minute, an hour or a day."""

    amount: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read ``60/minute`` or ``50M/day``; raise ValueError with a remedy."""
        amount_text, slash, window = (part.strip() for part in text.partition("/"))
        if not slash or window.lower() not in WINDOWS:
            raise ValueError(f"{text!r} is not a rate: write one like 60/minute, 500/hour or 2000/day")
        try:
            amount = parse_size(amount_text)
        except ValueError:
            raise ValueError(f"{text!r} is not a rate: {amount_text!r} is no number") from None
        if amount < 1:
            raise ValueError(f"{text!r} would let nothing through: leave it away to have no limit")
        return cls(amount, WINDOWS[window.lower()])

    @property
    def window(self) -> str:
        """The time by its name."""
        return _NAMES[self.seconds]

    def __str__(self) -> str:
        return f"{format_size(self.amount)}/{self.window}"


class WindowCount:
    """
    Counts over a sliding window, in the memory of two numbers: what came in this window of the clock, and in the one before.

    Of the one before it takes as much as still lies within the time: had everything come evenly there, it is exact.
    """

    __slots__ = ("current", "index", "previous", "seconds")

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.index = 0
        self.previous = 0
        self.current = 0

    def at(self, now: float) -> float:
        """How much there was in the time up to now."""
        seconds = self.seconds
        index = int(now // seconds)
        # A clock that was set back counts in the window in which it was.
        if index > self.index:
            self.previous = self.current if index == self.index + 1 else 0
            self.current = 0
            self.index = index
        if not self.previous:
            return float(self.current)
        return self.previous * (1.0 - now % seconds / seconds) + self.current

    def add(self, amount: int) -> None:
        """Count something; :meth:`at` comes before it."""
        self.current += amount
