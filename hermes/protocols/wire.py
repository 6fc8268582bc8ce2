"""
From stored text to the wire: CRLF line ends and dot-stuffing, however the text is cut (RFC 5321 4.5.2, RFC 1939 3).

Stored messages have LF line ends; files that other programs put into a maildir may have CRLF, or both, or a CR that stands
alone. On the wire every line ends in CRLF, and neither CR nor LF is there for anything else: RFC 5321 2.3.8 forbids clients to
send them, and a server that took CR . CR LF for the end of a message would execute what comes behind it.
"""

from __future__ import annotations

import re

#: A line that begins with a dot. A pattern finds it faster than ``in`` does.
_DOT = re.compile(rb"\n\.")


class WireEncoder:
    """
    Turns chunks of stored text into chunks for the wire.

    With ``stuffing`` a line that begins with a dot gets a second one, and :meth:`finish` ends the text with ``.`` on a line of
    its own. Without, only line ends are made right.
    """

    __slots__ = ("_at_line_start", "_held_cr", "_stuffing")

    def __init__(self, *, stuffing: bool = True) -> None:
        self._stuffing = stuffing
        self._at_line_start = True
        self._held_cr = False

    def encode(self, chunk: bytes) -> bytes:
        """Convert the next chunk; whether a CR at its very end begins a CRLF is decided with the chunk after it."""
        if self._held_cr:
            chunk = b"\r" + chunk
        self._held_cr = chunk.endswith(b"\r")
        if self._held_cr:
            chunk = chunk[:-1]
        if not chunk:
            return b""
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        wire = chunk.replace(b"\n", b"\r\n")
        if self._stuffing:
            # Base64 has no dots at all, and that is seen at once.
            if b"." in chunk and _DOT.search(chunk):
                wire = wire.replace(b"\n.", b"\n..")
            if self._at_line_start and chunk.startswith(b"."):
                wire = b"." + wire
        self._at_line_start = chunk.endswith(b"\n")
        return wire

    def finish(self) -> bytes:
        """End the text: complete the last line, and with stuffing add the line with a single dot."""
        complete = self._at_line_start and not self._held_cr
        self._at_line_start = True
        self._held_cr = False
        tail = b"" if complete else b"\r\n"
        return tail + b".\r\n" if self._stuffing else tail
