"""
What a message offers to read: text, or only HTML (RFC 2045, 2046).

The body is looked through as it comes, for the lines between its parts; nothing of it is kept but the end of a piece in which
such a line may have begun. What cannot be told within the bounds counts as text, for a letter shall not be refused by mistake.
"""

from __future__ import annotations

import re

#: Text comes first, or next to first. A message whose first megabyte has parts without any is not looked at to its end.
MAX_LOOKED_AT = 1024**2

#: The header of a part has a few lines; one that is longer is none that could be understood.
MAX_PART_HEADER = 8 * 1024

#: RFC 2046 5.1.1: a boundary has 70 characters at most; some have more.
MAX_BOUNDARY = 200

#: Multiparts within multiparts: honest ones are four deep (signed, mixed, alternative, related).
MAX_BOUNDARIES = 20

# parameter = attribute "=" value; value = token / quoted-string   (RFC 2045 5.1)
_BOUNDARY = re.compile(rb';\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s";]{1,200}))', re.IGNORECASE)
_TYPE = re.compile(
    rb"^content-type[ \t]*:[ \t\r\n]*([^\s;]{1,100})([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE
)
_ATTACHED = re.compile(rb"^content-disposition[ \t]*:[ \t\r\n]*attachment", re.IGNORECASE | re.MULTILINE)


class Outline:
    """A look at one message: its header first, then its body piece by piece, until :attr:`decided`."""

    def __init__(self, header: bytes) -> None:
        self.decided = False
        #: True when there is HTML, and no other text to read.
        self.only_html = False
        self._has_html = False
        self._boundaries: set[bytes] = set()
        self._held = b"\n"
        self._looked_at = 0
        self._part(header)
        if not self._boundaries:
            self._decide(self._has_html)

    def look(self, octets: bytes) -> None:
        """Look at the next piece of the body."""
        if self.decided:
            return
        self._looked_at += len(octets)
        self._held += octets
        place = 0
        while not self.decided:
            begin = self._held.find(b"\n--", place)
            if begin < 0:
                # The next delimiter may have begun in the last two octets.
                place = max(place, len(self._held) - 2)
                break
            after = self._delimiter(begin)
            if after < 0:
                place = begin
                break
            place = after
        self._held = self._held[place:]
        if self._looked_at >= MAX_LOOKED_AT and not self.decided:
            self._decide(only_html=False)

    def end(self) -> None:
        """The body is over."""
        if not self.decided:
            self._decide(self._has_html)

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
            self._part(held[end + 1 : end + MAX_PART_HEADER])
            return end + MAX_PART_HEADER
        self._part(held[end + 1 : found.start() + 1])
        # The line end before the next delimiter may be the one behind the header.
        return found.end() - 1

    def _part(self, header: bytes) -> None:
        found = _TYPE.search(header)
        # RFC 2045 5.2: text, unless something else is said.
        kind = found[1].lower() if found is not None else b"text/plain"
        if kind.startswith(b"multipart/"):
            boundary = _BOUNDARY.search(b";" + found[2]) if found is not None else None
            if boundary is not None and len(self._boundaries) < MAX_BOUNDARIES:
                self._boundaries.add((boundary[1] or boundary[2]).rstrip())
            elif not self._boundaries:
                # There is no way to tell its parts.
                self._decide(only_html=False)
        elif _ATTACHED.search(header) is not None:
            return
        elif kind == b"text/html":
            self._has_html = True
        elif kind.startswith(b"text/"):
            self._decide(only_html=False)

    def _decide(self, only_html: bool) -> None:
        self.decided = True
        self.only_html = only_html
        self._held = b""


_EMPTY_LINE = re.compile(rb"\n\r?\n")
