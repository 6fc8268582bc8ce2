"""Leaky buckets: how often something has happened lately, for many subjects, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

#: Subjects that are remembered: an attacker with many addresses must not fill the memory. The ones seen longest ago are
#: forgotten first; 20,000 entries take some 5 MB.
MAX_REMEMBERED = 20_000


class Bucket:
    """Counts what happens; what has been counted drains away evenly over the window."""

    __slots__ = ("at", "level")

    def __init__(self, now: float) -> None:
        self.level = 0.0
        self.at = now

    def drain(self, now: float, capacity: int, window_seconds: float) -> float:
        """How full it is now."""
        self.level = max(0.0, self.level - (now - self.at) * capacity / window_seconds)
        self.at = now
        return self.level


class Buckets:
    """Buckets by subject, bounded."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def bucket(self, key: str, now: float) -> Bucket:
        """The bucket of a subject, which is made when there is none."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(now)
            if len(self._buckets) > MAX_REMEMBERED:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket

    def known(self, key: str) -> bool:
        """True when something was counted for that subject, and not forgotten since."""
        return key in self._buckets

    def forget(self, key: str) -> None:
        """Begin anew with a subject."""
        self._buckets.pop(key, None)

    def __iter__(self) -> Iterator[tuple[str, Bucket]]:
        return iter(list(self._buckets.items()))
