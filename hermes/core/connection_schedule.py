"""
When the clients may go on line: a week of windows and cycles, and the arithmetic of it (Mercury's module X).

A day is cut into windows of the clock on the wall, each with a cycle: so many minutes on line, again every so many. A cycle
begins anew with its window. What the wall clock says decides, and nothing else: an hour that comes twice when clocks are set
back counts twice, and one that is left out in spring does not come. There is no clock here: every question names its moment, in
seconds since the epoch, and the time zone.

How a day is written:

    08:00-18:00 every 15m for 3m, else every 60m for 30m
    06:00-09:00 open, 09:00-17:00 every 1h for 10m, else closed
    open
    0800,1800,3,15,30,60        Mercury's own form: the peak, then minutes and cycle in it, then both outside it
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

import attrs

from hermes.core.units import format_time, parse_time

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

MINUTES_A_DAY = 1440

#: How far ahead a change is looked for. A window in the hour that is left out in spring comes again after a fortnight.
HORIZON_SECONDS = 15 * 86400.0

#: Windows in one day: more than anybody writes, and few enough to be looked through.
MAX_WINDOWS = 24

# window = time "-" time; time = 1*2DIGIT [":" 2DIGIT]; 24:00 is the day's end
_WINDOW = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*-\s*(\d{1,2})(?::(\d{2}))?\s+(.*)\Z", re.ASCII)
_CYCLE = re.compile(r"every\s+(.+?)\s+for\s+(.+)\Z")
# HHMM "," HHMM 4("," number)
_MERCURY = re.compile(r"(\d{2})(\d{2})\s*,\s*(\d{2})(\d{2})" + r"\s*,\s*(-?\d{1,4})" * 4 + r"\Z", re.ASCII)


@attrs.frozen
class Cycle:
    """On line for the first ``minutes`` of every ``every`` minutes; as many are always, 0 are never."""

    every: int
    minutes: int

    def __str__(self) -> str:
        if self.minutes >= self.every:
            return "open"
        if not self.minutes:
            return "closed"
        return f"every {format_time(self.every * 60)} for {format_time(self.minutes * 60)}"


OPEN = Cycle(1, 1)
CLOSED = Cycle(1, 0)


@attrs.frozen
class Window:
    """Part of a day, in minutes of the clock on the wall: from ``start`` until before ``end``."""

    start: int
    end: int
    cycle: Cycle

    def open_at(self, minute: int) -> bool:
        """Whether its cycle is on line at that minute of the day, which is in it."""
        return (minute - self.start) % self.cycle.every < self.cycle.minutes

    def until_change(self, minute: int) -> int:
        """In how many minutes its cycle changes, or the window ends."""
        cycle = self.cycle
        left = self.end - minute
        if not 0 < cycle.minutes < cycle.every:
            return left
        position = (minute - self.start) % cycle.every
        return min(left, (cycle.minutes if position < cycle.minutes else cycle.every) - position)


@attrs.frozen
class Period:
    """On line from ``start`` until ``end``, in seconds since the epoch."""

    start: float
    end: float


#: The windows of one day, without gaps, from 0 to MINUTES_A_DAY.
Day = tuple[Window, ...]


def parse_day(text: str) -> Day:
    """Read a day in either form; an empty one is closed. Raises ValueError with what is wrong."""
    text = " ".join(text.lower().split())
    mercury = _MERCURY.match(text)
    if mercury is not None:
        return _mercury_day(*map(int, mercury.groups()))
    windows: list[Window] = []
    rest = CLOSED
    parts = [part.strip() for part in text.split(",")] if text else []
    if len(parts) > MAX_WINDOWS:
        raise ValueError(f"a day has {MAX_WINDOWS} windows at most")
    for number, part in enumerate(parts, 1):
        found = _WINDOW.match(part)
        if found is not None:
            start, end = _minute(found[1], found[2]), _minute(found[3], found[4])
            if start >= end:
                remedy = "a window ends on the day on which it begins; write 24:00 for midnight"
                raise ValueError(f"{part!r} ends before it begins: {remedy}")
            windows.append(Window(start, end, _cycle(found[5])))
        elif number == len(parts):
            # What holds for the rest of the day, or for all of it.
            rest = _cycle(part.removeprefix("else ") if windows else part)
        else:
            raise ValueError(f"{part!r} is no window: write one like 08:00-18:00 every 15m for 3m")
    return _filled(windows, rest)


def format_day(day: Day) -> str:
    """A day in its readable form; :func:`parse_day` reads the same day back."""
    if len(day) == 1:
        return str(day[0].cycle)
    windows = [f"{_clock(each.start)}-{_clock(each.end)} {each.cycle}" for each in day if each.cycle != CLOSED]
    return ", ".join(windows) or "closed"


def _mercury_day(
    start_hour: int,
    start_minute: int,
    end_hour: int,
    end_minute: int,
    peak: int,
    peak_cycle: int,
    off: int,
    off_cycle: int,
) -> Day:
    start, end = _minute(f"{start_hour}", f"{start_minute}"), _minute(f"{end_hour}", f"{end_minute}")
    if start > end:
        raise ValueError("the peak ends before it begins")
    windows = [Window(start, end, _mercury_cycle(peak, peak_cycle))] if start < end else []
    return _filled(windows, _mercury_cycle(off, off_cycle))


def _mercury_cycle(minutes: int, every: int) -> Cycle:
    if minutes < 0 or every < 0:
        raise ValueError(
            "Mercury does not say what -1 means: write the day in words, like 08:00-18:00 open, else closed"
        )
    if not minutes or not every:
        return CLOSED
    return _checked(every, minutes)


def _cycle(text: str) -> Cycle:
    if text in ("open", "closed"):
        return OPEN if text == "open" else CLOSED
    found = _CYCLE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no cycle: write open, closed, or every 15m for 3m")
    every, minutes = (_minutes(part) for part in found.groups())
    return _checked(every, minutes)


def _checked(every: int, minutes: int) -> Cycle:
    if minutes > every:
        raise ValueError(f"{minutes} minutes do not fit into every {every}: write open")
    if every > MINUTES_A_DAY:
        raise ValueError("a cycle is no longer than a day")
    return OPEN if minutes == every else Cycle(every, minutes)


def _minutes(text: str) -> int:
    seconds = parse_time(text)
    if not seconds or seconds % 60:
        raise ValueError(f"{text!r} is not in whole minutes")
    return seconds // 60


def _minute(hours: str, minutes: str | None) -> int:
    minute = int(hours) * 60 + int(minutes or 0)
    if minute > MINUTES_A_DAY or int(minutes or 0) > 59:
        raise ValueError(f"{hours}:{minutes or '00'} is no time of day")
    return minute


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _filled(windows: Sequence[Window], rest: Cycle) -> Day:
    """The windows in order, with the rest of the day between them."""
    day: list[Window] = []
    at = 0
    for window in sorted(windows, key=lambda each: each.start):
        if window.start < at:
            raise ValueError(f"two windows hold {_clock(window.start)}: let the one end where the other begins")
        if window.start > at:
            day.append(Window(at, window.start, rest))
        day.append(window)
        at = window.end
    if at < MINUTES_A_DAY:
        day.append(Window(at, MINUTES_A_DAY, rest))
    return tuple(day)


@attrs.frozen
class Week:
    """Seven days, Monday first, in a time zone."""

    days: tuple[Day, ...]
    zone: tzinfo

    def is_open(self, at: float) -> bool:
        """Whether the clients are on line at that moment."""
        wall = datetime.fromtimestamp(at, self.zone)
        minute = wall.hour * 60 + wall.minute
        return self._window(wall, minute).open_at(minute)

    def next_change(self, at: float) -> float | None:
        """When that changes after a moment; None when it does not."""
        now, horizon = self.is_open(at), at + HORIZON_SECONDS
        while at < horizon:
            at = self._next_edge(at)
            if self.is_open(at) != now:
                return at
        return None

    def next_opening(self, at: float) -> float | None:
        """When the clients go on line next, after a moment at which they are not; None when they never do."""
        return self.next_change(at) if not self.is_open(at) else at

    def periods(self, start: float, end: float) -> Iterator[Period]:
        """When the clients are on line between two moments, in order."""
        at = start
        while at < end:
            change = self.next_change(at)
            until = end if change is None else min(change, end)
            if self.is_open(at):
                yield Period(at, until)
            at = until

    def _window(self, wall: datetime, minute: int) -> Window:
        return next(each for each in self.days[wall.weekday()] if minute < each.end)

    def _next_edge(self, at: float) -> float:
        """The next moment at which something could change: the cycle, the window, the day, or what the wall clock shows."""
        second = int(at // 1)
        wall = datetime.fromtimestamp(second, self.zone)
        minute = wall.hour * 60 + wall.minute
        edge = second + self._window(wall, minute).until_change(minute) * 60 - wall.second
        before = second
        while datetime.fromtimestamp(edge, self.zone).utcoffset() != wall.utcoffset() and edge - before > 1:
            # The clocks are set between the two: the second in which they are is an edge.
            middle = (before + edge) // 2
            if datetime.fromtimestamp(middle, self.zone).utcoffset() == wall.utcoffset():
                before = middle
            else:
                edge = middle
        return float(edge)
