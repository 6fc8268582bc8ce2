"""
A message on its way in: from DATA with its dots and its terminator, or from the counted chunks of BDAT, to the stored form.

Both readers work on whole buffers, never line by line, and hold no more than four octets back. Only CR LF . CR LF ends a
message that comes by DATA (RFC 5321 4.1.1.4); a server that takes less for the end, or passes on what others do, lets
one message carry another. So a CR or an LF that stands alone either makes the whole message fail, or becomes a proper line
end *after* the end has been looked for.

RFC 5321 4.5.3.1.6 lets a server refuse text lines above 1000 octets. Hermes takes lines of any length: many programs write
longer ones, a refusal would lose their mail to no one's gain, and no line is ever held in memory.
"""

from __future__ import annotations

import re

from hermes.core.reply import Reply
from hermes.protocols.receive_buffer import ReceiveBuffer
from hermes.protocols.smtp.events import MessageFailed

_TERMINATOR = b"\r\n.\r\n"

#: The beginnings of the terminator, longest first: what may have to wait for more.
_BEGINNINGS = tuple(_TERMINATOR[:length] for length in range(4, 0, -1))

#: A line that begins with a dot, among them the terminator's. A pattern finds it faster than ``bytes.find`` does.
_DOT = re.compile(rb"\r\n\.")

_BARE_NEWLINE = Reply.of(
    550, "5.6.0", "The message has a bare CR or LF in it: every line must end in CR LF, and nothing else may be one"
)


class StoredForm:
    """
    Turns octets of the wire into the stored form of :class:`hermes.core.message.Content`, and finds what is wrong with them.

    ``limit`` is the greatest size in octets, 0 for none. Text must be given in pieces that do not end between CR and LF;
    ``binary`` octets pass as they are.
    """

    __slots__ = ("_binary", "_limit", "_normalize", "fault", "wire_octets")

    def __init__(self, limit: int, *, normalize: bool, binary: bool = False) -> None:
        self._limit = limit
        self._normalize = normalize
        self._binary = binary
        self.wire_octets = 0
        self.fault: MessageFailed | None = None

    def convert(self, raw: bytes) -> bytes:
        """Convert a piece; empty once there is a fault."""
        if self.fault is not None:
            return b""
        stored = self._binary_octets(raw) if self._binary else self._text(raw)
        if self.fault is None and self._limit and self.wire_octets > self._limit:
            self.fault = MessageFailed("size.exceeded", too_big(self._limit))
        return b"" if self.fault is not None else stored

    def _binary_octets(self, raw: bytes) -> bytes:
        self.wire_octets += len(raw)
        return raw

    def _text(self, raw: bytes) -> bytes:
        # The way there and back takes a third of the time that one search for each of the faults takes: octets that come back as
        # they were have no CR and no LF but in CR LF.
        stored = raw.replace(b"\r", b"")
        line_ends = len(raw) - len(stored)
        if stored.replace(b"\n", b"\r\n") != raw:
            if not self._normalize:
                self.fault = MessageFailed("message.bare_newline", _BARE_NEWLINE)
                return b""
            stored = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            line_ends = stored.count(b"\n")
        self.wire_octets += len(stored) + line_ends
        return stored


class DataReader:
    """
    Reads a message that comes by DATA out of the buffer: finds its end, takes the dots off.

    A session makes it when it has answered 354.
    """

    __slots__ = ("_at_beginning", "_buffer", "ended", "form")

    def __init__(self, buffer: ReceiveBuffer, form: StoredForm) -> None:
        # RFC 5321 4.1.1.4: the CR LF of the DATA line counts as the first of the terminator. With it put back, the first line
        # is like every other, whether it is the end already or begins with a dot.
        buffer.put_back(b"\r\n")
        self._at_beginning = True
        self._buffer = buffer
        self.form = form
        self.ended = False

    def read(self) -> bytes:
        """The next octets in stored form, or none when there is nothing to give; then look at ``ended``."""
        buffer = self._buffer
        # Base64 has no dots, and most other buffers no line with a dot in front, and so no end: one search is all they need.
        dot = buffer.search(_DOT) if buffer.find(b".") >= 0 else -1
        end = buffer.find(_TERMINATOR, dot) if dot >= 0 else -1
        if end >= 0:
            raw = buffer.take(end + 2)
            buffer.skip(len(_TERMINATOR) - 2)
            self.ended = True
        else:
            raw = buffer.take(len(buffer) - self._waiting())
        if not raw:
            return b""
        if 0 <= dot < len(raw) - 2:
            # RFC 5321 4.5.2: the dot goes, whatever follows it.
            raw = raw.replace(b"\r\n.", b"\r\n")
        if self._at_beginning:
            self._at_beginning = False
            raw = raw[2:]
        return self.form.convert(raw)

    def _waiting(self) -> int:
        """How many octets at the end of the buffer may be the beginning of the terminator, or of a CR LF."""
        for beginning in _BEGINNINGS:
            if self._buffer.endswith(beginning):
                return len(beginning)
        return 0


class ChunkReader:
    """Reads a message that comes by BDAT out of the buffer, chunk after chunk; :meth:`begin` each."""

    __slots__ = ("_buffer", "_held", "_last", "_remaining", "form")

    def __init__(self, buffer: ReceiveBuffer, form: StoredForm) -> None:
        self._buffer = buffer
        self._held = b""
        self._last = False
        self._remaining = 0
        self.form = form

    def begin(self, octets: int, *, last: bool) -> None:
        """A chunk of so many octets follows."""
        self._remaining = octets
        self._last = last

    @property
    def ended(self) -> bool:
        """True when the chunk has come whole."""
        return not self._remaining

    def read(self) -> bytes:
        """The next octets in stored form, or none when there is nothing to give; then look at ``ended``."""
        taken = self._buffer.take(self._remaining)
        self._remaining -= len(taken)
        raw, self._held = self._held + taken, b""
        if raw.endswith(b"\r") and not (self._last and self.ended):
            # Whether an LF follows is known with the next octets, perhaps those of the next chunk.
            raw, self._held = raw[:-1], b"\r"
        return self.form.convert(raw) if raw else b""


def too_big(limit: int) -> Reply:
    """The refusal of a message above the limit (RFC 1870 6.1, 6.3)."""
    return Reply.of(552, "5.3.4", f"The message is too big: at most {limit} octets")
