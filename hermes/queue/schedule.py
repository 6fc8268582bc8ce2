"""
When to try again and when to give up: arithmetic alone (RFC 5321 4.5.4.1).

Times are seconds since the epoch, ages and pauses in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

#: How far a pause strays from its setting, so that messages that failed together are not all tried together again.
JITTER = 0.1

#: When no pause is configured: RFC 5321 4.5.4.1, "the retry interval SHOULD be at least 30 minutes".
DEFAULT_PAUSE_SECONDS = 1800


#: What the pause is multiplied by in each ten attempts of Mercury's progressive mode. Its own table is not known; this has the
#: ends that its manual names: it grows by larger steps up to seven, and 99 attempts at 15 minutes take about four days.
PROGRESSION = (1, 1, 2, 2, 3, 4, 5, 6, 7, 7)
STEP_ATTEMPTS = 10


def pauses_of(schedule: str, retry: Sequence[int], period: int) -> Sequence[int]:
    """The pauses of a schedule: ``list``, ``flat`` or ``progressive``; the last one is repeated."""
    if schedule == "flat":
        return (period,)
    if schedule == "progressive":
        return [period * factor for factor in PROGRESSION for _ in range(STEP_ATTEMPTS)]
    return retry


def next_attempt_at(
    now: float, attempts: int, retry: Sequence[int], stray: float, accepted_at: float, expire: float
) -> float:
    """
    When to try again after ``attempts`` failed attempts (at least 1); ``stray`` is a random number from -1 to 1.

    The pauses are those of ``retry``, the last one repeated. The last attempt is made when the message expires, not a
    pause later.
    """
    pause = retry[min(attempts, len(retry)) - 1] if retry else DEFAULT_PAUSE_SECONDS
    at = now + pause * (1 + JITTER * stray)
    expires_at = accepted_at + expire
    return min(at, expires_at) if now < expires_at else at


def is_expired(now: float, accepted_at: float, expire: float) -> bool:
    """True when a message has been tried for as long as is configured."""
    return now - accepted_at >= expire


def warnings_due(now: float, accepted_at: float, ages: Sequence[int]) -> int:
    """How many warnings of delay a sender should have had by now."""
    age = now - accepted_at
    return sum(1 for warning_age in ages if age >= warning_age)
