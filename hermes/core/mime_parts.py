"""
The parts of a message, one after another as its octets come (RFC 2045, 2046).

The body is looked through for the lines between its parts; nothing of it is kept but the end of a piece in which such a line may
have begun.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: The header of a part has a few lines; one that is longer is none that could be understood.
MAX_PART_HEADER = 8 * 1024

#: RFC 2046 5.1.1: a boundary has 70 characters at most; some have more.
MAX_BOUNDARY = 200

#: Multiparts within multiparts: honest ones are four deep (signed, mixed, alternative, related).
MAX_BOUNDARIES = 20

#: Lines that begin as those between parts do. A megabyte of nothing else has a quarter of a million; a long patch some hundreds.
MAX_LINES = 300_000

# parameter = attribute "=" value; value = token / quoted-string   (RFC 2045 5.1)
_BOUNDARY = re.compile(rb';\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s";]{1,200}))', re.IGNORECASE)
_TYPE = re.compile(
    rb"^content-type[ \t]*:[ \t\r\n]*([^\s;]{1,100})([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE
)
_EMPTY_LINE = re.compile(rb"\n\r?\n")


class Parts:
    """
    A look at one message: its header first, then its body piece by piece, until :attr:`over`.

    ``part`` is told of each part that consists of no others, by its type in small letters, and its header; it says whether that
    was enough. Of a message that is no multipart there is one.
    """

    def __init__(self, header: bytes, part: Callable[[bytes, bytes], bool]) -> None:
        self._part = part
        #: True when there is nothing more to look for, or the parts cannot be told.
        self.over = False
        self._boundaries: set[bytes] = set()
        self._held = b"\n"
        self._lines = 0
        self._enter(header)

    @property
    def is_multipart(self) -> bool:
        """Whether there are parts, as far as can be told."""
        return bool(self._boundaries)

    def look(self, octets: bytes) -> None:
        """Look at the next piece of the body."""
        if self.over:
            return
        self._held += octets
        place = 0
        while not self.over:
            begin = self._held.find(b"\n--", place)
            if begin < 0:
                # The next delimiter may have begun in the last two octets.
                place = max(place, len(self._held) - 2)
                break
            if self._lines >= MAX_LINES:
                self.over = True
                break
            after = self._delimiter(begin)
            if after < 0:
                place = begin
                break
            place = after
            self._lines += 1
        self._held = b"" if self.over else self._held[place:]

    def _delimiter(self, begin: int) -> int:
        """Look at a line that begins with two hyphens, and the header behind it; where to go on, or -1 when it is not whole."""
        held = self._held
        end = held.find(b"\n", begin + 3, begin + 3 + MAX_BOUNDARY)
        if end < 0:
            return -1 if len(held) < begin + 3 + MAX_BOUNDARY else begin + 3
        if held[begin + 3 : end].rstrip() not in self._boundaries:
            return end
        # An empty line ends the header, at once where there is none.
        found = _EMPTY_LINE.search(held, end, end + MAX_PART_HEADER)
        if found is None:
            if len(held) < end + MAX_PART_HEADER:
                return -1
            self._enter(held[end + 1 : end + MAX_PART_HEADER])
            return end + MAX_PART_HEADER
        self._enter(held[end + 1 : found.start() + 1])
        # The line end before the next delimiter may be the one behind the header.
        return found.end() - 1

    def _enter(self, header: bytes) -> None:
        found = _TYPE.search(header)
        # RFC 2045 5.2: text, unless something else is said.
        kind = found[1].lower() if found is not None else b"text/plain"
        if found is None or not kind.startswith(b"multipart/"):
            self.over = self._part(kind, header) or self.over
            return
        boundary = _BOUNDARY.search(b";" + found[2])
        if boundary is not None and len(self._boundaries) < MAX_BOUNDARIES:
            self._boundaries.add((boundary[1] or boundary[2]).rstrip())
        elif not self._boundaries:
            # There is no way to tell its parts.
            self.over = True
