"""The ways in which the same octets may arrive."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

Cut = Callable[[bytes], Iterator[bytes]]


def whole(data: bytes) -> Iterator[bytes]:
    """All at once."""
    yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    """One octet at a time."""
    for position in range(len(data)):
        yield data[position : position + 1]


def at_random(data: bytes) -> Iterator[bytes]:
    """In pieces of random length, the same ones in every run."""
    dice = random.Random(len(data))
    position = 0
    while position < len(data):
        size = dice.randint(1, 9)
        yield data[position : position + size]
        position += size


#: Every way in which octets may arrive.
CUTS: tuple[Cut, ...] = (whole, byte_by_byte, at_random)
