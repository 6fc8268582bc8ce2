"""
How much has been handed to a smart host lately: counters that keep its provider's limits.

A window is cut into parts, and the parts that may still lie inside it are counted whole: so the limit is never broken, and the
memory is small however large the limit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

#: Parts of a window. With 60 the count is late by a sixtieth of the window at the most.
PARTS = 60


@attrs.frozen
class RateLimits:
    """What may be sent in a minute, an hour and a day; 0: as much as you like."""

    messages_per_minute: int = 0
    messages_per_hour: int = 0
    messages_per_day: int = 0
    recipients_per_day: int = 0


@attrs.frozen
class Excess:
    """A limit that is reached: in words, and in how many seconds there is room again."""

    limit: str
    wait_seconds: float


class _Window:
    """Counts what happened within the last ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._part_seconds = seconds / PARTS
        #: Number of the part and count, oldest first.
        self._parts: deque[list[int]] = deque()

    def _expire(self, now: float) -> int:
        part = int(now / self._part_seconds)
        while self._parts and self._parts[0][0] < part - PARTS:
            self._parts.popleft()
        return part

    def add(self, now: float, count: int) -> None:
        part = self._expire(now)
        if not self._parts or self._parts[-1][0] != part:
            self._parts.append([part, 0])
        self._parts[-1][1] += count

    def take_back(self, count: int) -> None:
        for part in reversed(self._parts):
            taken = min(count, part[1])
            part[1] -= taken
            count -= taken

    def wait(self, now: float, count: int, limit: int) -> float:
        """Seconds until so many more fit; 0 when they do now. What is larger than the limit goes when nothing else is counted."""
        self._expire(now)
        excess = sum(part[1] for part in self._parts) + count - max(limit, count)
        gone_at = now
        for number, held in self._parts:
            if excess <= 0:
                break
            excess -= held
            gone_at = (number + PARTS + 1) * self._part_seconds
        return gone_at - now


class SendingRate:
    """The counters of one smart host; ``now`` gives seconds and never goes back. They outlive a reload."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._minute, self._hour, self._day = _Window(MINUTE), _Window(HOUR), _Window(DAY)
        self._recipients = _Window(DAY)
        #: Deliveries that were told to wait since there was room, so that they do not all come back at once.
        self._waiting = 0

    def take(self, limits: RateLimits, recipients: int) -> Excess | None:
        """Count a message to so many recipients, or say which limit keeps it back."""
        now = self._now()
        for window, limit, count, words, seconds in (
            (self._day, limits.messages_per_day, 1, "messages a day", DAY),
            (self._recipients, limits.recipients_per_day, recipients, "recipients a day", DAY),
            (self._hour, limits.messages_per_hour, 1, "messages an hour", HOUR),
            (self._minute, limits.messages_per_minute, 1, "messages a minute", MINUTE),
        ):
            wait = window.wait(now, count, limit) if limit else 0.0
            if wait:
                turn, self._waiting = self._waiting * count // limit, self._waiting + 1
                return Excess(f"{limit} {words}", wait + turn * seconds)
        self._waiting = 0
        for window in (self._minute, self._hour, self._day):
            window.add(now, 1)
        self._recipients.add(now, recipients)
        return None

    def take_back(self, recipients: int) -> None:
        """A message that was counted has not been handed over after all."""
        for window in (self._minute, self._hour, self._day):
            window.take_back(1)
        self._recipients.take_back(recipients)


class SendingRates:
    """The counters of all smart hosts by their names, of which the configuration has only a few."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._rates: dict[str, SendingRate] = {}

    def of(self, name: str) -> SendingRate:
        """The counters of one."""
        if name not in self._rates:
            self._rates[name] = SendingRate(self._now)
        return self._rates[name]
