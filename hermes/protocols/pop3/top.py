"""
What TOP shows of a message: its header, the blank line, and the first lines of its body (RFC 1939 7).

Works on text whose lines end in LF or CRLF, dot-stuffed or not, however it is cut into pieces; and says when no more is
wanted, so that a big message is not read for the sake of its beginning.
"""

from __future__ import annotations

#: What the header ends with, counted from the end of the line before the blank one.
_BLANK_LINES = (b"\n\n", b"\n\r\n")


class TopLines:
    """Lets the beginning of a message pass; ``lines`` is how many lines of the body belong to it."""

    __slots__ = ("_in_header", "_lines", "_tail")

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._in_header = True
        # A message may begin with the blank line: then it has no header.
        self._tail = b"\n"

    @property
    def done(self) -> bool:
        """True when nothing of what follows belongs to it."""
        return not self._in_header and not self._lines

    def take(self, piece: bytes) -> bytes:
        """The part of the next piece that belongs to it."""
        start = 0
        if self._in_header:
            start = self._body_start(piece)
            if start < 0:
                return piece
            self._in_header = False
        return piece[: self._lines_end(piece, start)]

    def _body_start(self, piece: bytes) -> int:
        joined = self._tail + piece
        starts = [at + len(mark) for mark in _BLANK_LINES if (at := joined.find(mark)) >= 0]
        if not starts:
            self._tail = joined[-2:]
            return -1
        return min(starts) - len(self._tail)

    def _lines_end(self, piece: bytes, start: int) -> int:
        # Clients ask for 2^31 lines to get all: a piece that passes whole costs no work for each line.
        count = piece.count(b"\n", start)
        if count < self._lines:
            self._lines -= count
            return len(piece)
        end = start
        for _ in range(self._lines):
            end = piece.find(b"\n", end) + 1
        self._lines = 0
        return end
