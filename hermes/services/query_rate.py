"""How often one address asks one of the small servers: a count for each minute, bounded."""

from __future__ import annotations

#: Addresses counted in one minute; whoever comes when there are more is asked to come again in the next.
MAX_ADDRESSES = 10_000

_SECONDS = 60.0


class QueryRate:
    """Counts queries; ``most`` is the number that an address may make in a minute."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._began = float("-inf")
        self._counts: dict[str, int] = {}

    def allows(self, host: str, now: float) -> bool:
        """Count a query at ``now`` seconds; False when it is one too many."""
        if now - self._began >= _SECONDS:
            self._began = now
            self._counts.clear()
        count = self._counts.get(host, 0)
        if count >= self._most or (not count and len(self._counts) >= MAX_ADDRESSES):
            return False
        self._counts[host] = count + 1
        return True
