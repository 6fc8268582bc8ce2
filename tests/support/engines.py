"""Giving an engine the same octets cut in every way: what it says must not depend on how they arrive."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

#: Random cuts of each input. The seed is the input's length, so a failure can be repeated.
RANDOM_CUTS = 4


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """The octets whole, one by one, and cut at random places."""
    yield [data]
    yield [data[position : position + 1] for position in range(len(data))]
    dice = random.Random(len(data))
    for _ in range(RANDOM_CUTS):
        places = sorted({0, len(data), *(dice.randint(0, len(data)) for _ in range(1 + len(data) // 8))})
        yield [data[start:end] for start, end in pairwise(places)]


def replay(data: bytes, run: Callable[[list[bytes]], Any]) -> Any:
    """Run for every cut with fresh engines; all results must be equal, and that one is returned."""
    expected = None
    for pieces in cuts(data):
        result = run(pieces)
        if len(pieces) > 1 and result != expected:
            raise AssertionError(f"cut as {pieces!r}:\n{result!r}\nis not, as when it came whole,\n{expected!r}")
        expected = result
    return expected
