"""The shape of the queue: how many recipients there are of which age, and of what; and what a count says."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import attrs

#: Where one age ends and the next begins, in seconds: doubled from five minutes, as in the table that ``qshape`` prints.
AGES = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 76800)

#: Numbers of recipients by name, one for each of :data:`AGES` and one for what is older.
Shape = dict[str, list[int]]


class By(enum.Enum):
    """What recipients have in common."""

    DESTINATION = "destination"
    DOMAIN = "domain"
    SENDER = "sender"


@attrs.frozen
class Counted:
    """How much there is of something in the queue; ``oldest_at`` is when the oldest message was accepted."""

    messages: int = 0
    recipients: int = 0
    held: int = 0
    octets: int = 0
    oldest_at: float | None = None


def sum_of(counts: Iterable[Counted]) -> Counted:
    """Several counts of different messages as one."""
    parts = list(counts)
    oldest = [part.oldest_at for part in parts if part.oldest_at is not None]
    return Counted(
        sum(part.messages for part in parts),
        sum(part.recipients for part in parts),
        sum(part.held for part in parts),
        sum(part.octets for part in parts),
        min(oldest, default=None),
    )


def merged(shapes: Iterable[Shape]) -> Shape:
    """Several shapes of different messages as one."""
    whole: Shape = {}
    for part in shapes:
        for name, numbers in part.items():
            before = whole.get(name, [0] * len(numbers))
            whole[name] = [one + other for one, other in zip(before, numbers, strict=True)]
    return whole
