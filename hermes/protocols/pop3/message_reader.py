"""
A message as a POP3 server sends it: finding its end, taking the dots off, into the stored form (RFC 1939 3).

CR LF . CR LF ends a message, and nothing else does, for whoever wrote the message may have put other things into it that look
like an end. Some servers end all lines with LF alone. Whether this is one of them is told by the first line, which no sender
writes but the server that took the message in.
"""

from __future__ import annotations

import re

from hermes.protocols.receive_buffer import ReceiveBuffer
from hermes.protocols.smtp.data import StoredForm

_STRICT = re.compile(rb"\r\n\.\r\n")
_LENIENT = re.compile(rb"\n\.\r?\n")

#: A line that begins with two dots. One that begins with a single dot and goes on should not be there: whoever sends it does
#: not double dots, and would lose one if it were taken off.
_DOUBLED = re.compile(rb"\n\.(?=\.)")

#: The beginnings of an end, longest first: what may have to wait for more. A CR is not parted from its LF.
_BEGINNINGS = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\n.\r", b"\n.", b"\n", b"\r")


class MessageReader:
    """
    Reads one message out of the buffer; ``line_end`` is that of the line before it, the server's ``+OK``.

    Whatever the message holds, no more than five octets of it are held back.
    """

    __slots__ = ("_before", "_buffer", "_end", "_form", "_lenient", "ended")

    def __init__(self, buffer: ReceiveBuffer, line_end: bytes) -> None:
        # With the end of the line before it put back, the first line is like every other.
        buffer.put_back(line_end)
        self._buffer = buffer
        self._before = len(line_end)
        self._lenient = line_end != b"\r\n"
        self._end: re.Pattern[bytes] | None = None
        self._form = StoredForm(0, normalize=True)
        self.ended = False

    @property
    def wire_octets(self) -> int:
        """The size so far, with CR LF at the ends of lines and without doubled dots."""
        return self._form.wire_octets

    def read(self) -> bytes:
        """The next octets in stored form, or none when there is nothing to give; then look at ``ended``."""
        buffer = self._buffer
        pattern = self._end or self._pattern()
        found = buffer.search(pattern) if pattern is not None else -1
        if found >= 0:
            # The line end before the dot is the text's own.
            own = 2 if pattern is _STRICT else 1
            raw = buffer.take(found + own)
            buffer.skip(buffer.find(b"\n") + 1)
            self.ended = True
        else:
            raw = buffer.take(max(0, len(buffer) - self._waiting()))
        if not raw:
            return b""
        if b"\n.." in raw:
            raw = _DOUBLED.sub(b"\n", raw)
        if self._before:
            raw, self._before = raw[self._before :], 0
        return self._form.convert(raw)

    def _pattern(self) -> re.Pattern[bytes] | None:
        """What ends this message; None while its first line has no end."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._before)
        if end < 0:
            return None
        line_end = buffer.find(b"\r\n", self._before)
        strict = not self._lenient and 0 <= line_end == end - 1
        self._end = _STRICT if strict else _LENIENT
        return self._end

    def _waiting(self) -> int:
        """How many octets at the end of the buffer may be the beginning of an end."""
        for beginning in _BEGINNINGS:
            if self._buffer.endswith(beginning):
                return len(beginning)
        return 0
