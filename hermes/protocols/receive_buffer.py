"""Octets that have come in and are not yet understood: each is looked at once, and there is never more than asked for."""

from __future__ import annotations

import enum
import re


class Line(enum.Enum):
    """What stands in for a line that is not there."""

    INCOMPLETE = "incomplete"  #: its end has not come yet
    TOO_LONG = "too long"  #: it was longer than the limit, and has been thrown away to its end


class ReceiveBuffer:
    """A buffer that gives out lines or counted octets."""

    __slots__ = ("_data", "_searched", "_skipping")

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0
        self._skipping = False

    def __len__(self) -> int:
        return len(self._data)

    @property
    def overlong(self) -> bool:
        """True while a line is being thrown away that was longer than the limit."""
        return self._skipping

    def feed(self, data: bytes) -> None:
        """Append what has come in."""
        self._data += data

    def clear(self) -> None:
        """Throw everything away (RFC 3207 4.2: what came before TLS must not survive it)."""
        self._data.clear()
        self._searched = 0
        self._skipping = False

    def put_back(self, data: bytes) -> None:
        """Put octets in front, as if they had not been taken."""
        self._data[:0] = data
        self._searched = 0

    def find(self, octets: bytes, start: int = 0) -> int:
        """Where these octets first stand at or behind ``start``; -1 when they are not there."""
        return self._data.find(octets, start)

    def search(self, pattern: re.Pattern[bytes]) -> int:
        """Where the pattern first fits; -1 when it does not."""
        found = pattern.search(self._data)
        return found.start() if found else -1

    def startswith(self, octets: bytes) -> bool:
        """Whether these octets come next."""
        return self._data.startswith(octets)

    def endswith(self, octets: bytes) -> bool:
        """Whether these octets came last."""
        return self._data.endswith(octets)

    def take(self, most: int) -> bytes:
        """Remove and return up to ``most`` octets."""
        self._searched = 0
        if most >= len(self._data):
            taken = bytes(self._data)
            self._data.clear()
            return taken
        with memoryview(self._data) as view:
            taken = bytes(view[:most])
        del self._data[:most]
        return taken

    def skip(self, most: int) -> int:
        """Throw away up to ``most`` octets; how many there were."""
        skipped = min(most, len(self._data))
        del self._data[:skipped]
        self._searched = 0
        return skipped

    def line(self, limit: int) -> bytes | Line:
        """
        Remove and return the next line with its line end, which is an LF with whatever stands before it.

        ``limit`` counts the line end. A longer line is thrown away as it comes, so it never takes more memory than the limit,
        and is reported once, when its end has come.
        """
        if not self._data:
            # Asked after each line, and nearly always so: who waits for an answer sends one line at a time.
            return Line.INCOMPLETE
        end = self._data.find(b"\n", self._searched)
        if end < 0:
            # The line end is still to come, so a line that fills the limit without it is too long already.
            if self._skipping or len(self._data) >= limit:
                self._skipping = True
                self._data.clear()
            self._searched = len(self._data)
            return Line.INCOMPLETE
        too_long = self._skipping or end + 1 > limit
        self._skipping = False
        self._searched = 0
        line = b"" if too_long else bytes(self._data[: end + 1])
        del self._data[: end + 1]
        return Line.TOO_LONG if too_long else line
