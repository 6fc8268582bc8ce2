"""
What a message offers to read: text, or only HTML (RFC 2045, 2046).

What cannot be told within the bounds counts as text, for a letter shall not be refused by mistake.
"""

from __future__ import annotations

import re

from hermes.core.mime_parts import Parts

#: Text comes first, or next to first. A message whose first megabyte has parts without any is not looked at to its end.
MAX_LOOKED_AT = 1024**2

_ATTACHED = re.compile(rb"^content-disposition[ \t]*:[ \t\r\n]*attachment", re.IGNORECASE | re.MULTILINE)


class Outline:
    """A look at one message: its header first, then its body piece by piece, until :attr:`decided`."""

    def __init__(self, header: bytes) -> None:
        self.decided = False
        #: True when there is HTML, and no other text to read.
        self.only_html = False
        self._has_html = False
        self._looked_at = 0
        self._parts = Parts(header, self._part)
        if not self._parts.is_multipart:
            self._decide(self._has_html)

    def look(self, octets: bytes) -> None:
        """Look at the next piece of the body."""
        if self.decided:
            return
        self._parts.look(octets)
        self._looked_at += len(octets)
        if self._parts.over or self._looked_at >= MAX_LOOKED_AT:
            self._decide(only_html=False)

    def end(self) -> None:
        """The body is over."""
        if not self.decided:
            self._decide(self._has_html)

    def _part(self, kind: bytes, header: bytes) -> bool:
        """Look at a part; a text that is no HTML decides."""
        if _ATTACHED.search(header) is not None:
            return False
        self._has_html = self._has_html or kind == b"text/html"
        return kind.startswith(b"text/") and kind != b"text/html"

    def _decide(self, only_html: bool) -> None:
        self.decided = True
        self.only_html = only_html
