"""The lines of an address book."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

# Only these end a line (RFC 2849, RFC 6350 3.2, and systems of old): what Python takes for an end of a line besides, like U+2028,
# is text that people have in their notes.
_END = re.compile(r"\r\n|\n|\r")


def unfolded(text: str, goes_on: Callable[[Sequence[str], str], str | None]) -> Iterator[tuple[int, str]]:
    """
    Lines with the numbers of their beginnings.

    ``goes_on`` says what a line adds to the pieces of the one before it; None when it begins another.
    """
    beginning = 1
    pieces: list[str] = []
    for number, line in enumerate(_END.split(text), 1):
        more = goes_on(pieces, line) if pieces else None
        if more is not None:
            pieces.append(more)
            continue
        if pieces:
            yield beginning, "".join(pieces)
        beginning, pieces = number, [line]
    yield beginning, "".join(pieces)
