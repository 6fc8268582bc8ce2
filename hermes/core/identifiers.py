"""Queue ids: short, unique in one installation, sorted by time, safe in file names and easy to read over a telephone."""

from __future__ import annotations

import re
from collections.abc import Callable

#: Crockford's base 32: no I, L, O, U to be misread; it sorts as the numbers do.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

#: 12 digits of 5 bits: microseconds since 1970 fit until the year 38500.
_LENGTH = 12

_VALID = re.compile(rf"[{_ALPHABET}]{{{_LENGTH}}}\Z")


class QueueIds:
    """
    Makes queue ids from a clock; two are never equal, whatever the clock does.

    ``after`` is the greatest id that exists already, so that a clock set back between two runs does no harm.
    """

    def __init__(self, now: Callable[[], float], after: str = "") -> None:
        self._now = now
        self._last = decode(after) if after else 0

    def next(self) -> str:
        """Return a new id, greater than all before it."""
        self._last = max(self._last + 1, int(self._now() * 1_000_000))
        return encode(self._last)


def encode(number: int) -> str:
    """Write a number in the alphabet, zero-padded to the length of an id."""
    digits = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def decode(queue_id: str) -> int:
    """Read the number back; raise ValueError for a character outside the alphabet."""
    number = 0
    for character in queue_id:
        number = number * 32 + _ALPHABET.index(character)
    return number


def is_queue_id(text: str) -> bool:
    """True when the text has the form of a queue id."""
    return _VALID.match(text) is not None
