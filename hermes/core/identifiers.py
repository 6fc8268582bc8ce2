"""Queue ids: short, unique in one installation, sorted by time, safe in file names and easy to read over a telephone."""

from __future__ import annotations

import re
from collections.abc import Callable

#: Crockford's base 32: no I, L, O, U to be misread; it sorts as the numbers do.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

#: 12 digits of 5 bits: microseconds since 1970 fit until the year 38500.
_LENGTH = 12

#: Shards of a spool at most: the last character of an id is the number of the shard that it was made for.
MAX_SHARDS = 32

#: With this digit begin the ids of messages that came in without the queue (:func:`imported_id`). No clock will make such an id:
#: that of the year 24,000 would be the first.
IMPORTED = "M"

_VALID = re.compile(rf"[{_ALPHABET}]{{{_LENGTH}}}\Z")


class QueueIds:
    """
    Makes queue ids from a clock; two are never equal, whatever the clock does.

    ``after`` is the greatest id that exists already, so that a clock set back between two runs does no harm. Several
    processes make ids at once, each for a ``shard`` of its own: the number of it is the last digit.
    """

    def __init__(self, now: Callable[[], float], after: str = "", shard: int = 0) -> None:
        if not 0 <= shard < MAX_SHARDS:
            raise ValueError(f"there is no shard {shard}: they are numbered from 0 to {MAX_SHARDS - 1}")
        self._now = now
        self._shard = shard
        #: The id before the last digit: the clock in steps of 32 microseconds.
        self._last = decode(after) // MAX_SHARDS if after else 0

    def next(self) -> str:
        """Return a new id, greater than all before it."""
        self._last = max(self._last + 1, int(self._now() * 1_000_000) // MAX_SHARDS)
        return encode(self._last * MAX_SHARDS + self._shard)


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


def imported_id(digest: bytes) -> str:
    """The id of a message that is known by a digest, of which eight octets are enough; the same whenever it is made."""
    return IMPORTED + encode(int.from_bytes(digest[:8], "big"))[1:]


def is_queue_id(text: str) -> bool:
    """True when the text has the form of a queue id."""
    return _VALID.match(text) is not None
