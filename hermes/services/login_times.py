"""When accounts have logged in last: those who come again too soon are sent away (RFC 2449 6.5)."""

from __future__ import annotations

#: Times are looked through for old ones when there are so many more: no account is looked at more than once on the average.
TIDY_AFTER = 1000


class LoginTimes:
    """Remembers in memory; there is never more in it than there are accounts."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._tidy_at = TIDY_AFTER

    def seconds_to_wait(self, account: str, now: float, delay_seconds: float) -> float:
        """How long an account has to wait before it may log in again; 0 when it may, and then its time is remembered."""
        if not delay_seconds:
            return 0.0
        last = self._last.get(account)
        # A clock that was set back must keep nobody out for long.
        if last is not None and 0 <= now - last < delay_seconds:
            return last + delay_seconds - now
        self._last[account] = now
        if len(self._last) >= self._tidy_at:
            self._last = {name: at for name, at in self._last.items() if now - at < delay_seconds}
            self._tidy_at = len(self._last) + TIDY_AFTER
        return 0.0
