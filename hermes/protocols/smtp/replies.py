"""
Reading another server's replies (RFC 5321 4.2), however they are cut and whatever the server tries.

A reply is bounded in line length, lines and octets: a hostile server ends its own session, it does not fill our memory.
"""

from __future__ import annotations

import re
from functools import lru_cache

import attrs

from hermes.core.reply import Reply
from hermes.protocols.receive_buffer import Line, ReceiveBuffer

#: A line with its line end. RFC 5321 4.5.3.1.5 says 512; EHLO lines of real servers and texts with web addresses are longer.
#: The challenges of SASL are the longest that the standards know: 12288 (RFC 4954 4).
MAX_LINE_OCTETS = 12288

#: Lines of one reply: ten times what the richest EHLO is seen to have.
MAX_LINES = 256

#: All lines of one reply together. It is kept in the trace and goes into reports, so it may not be large.
MAX_REPLY_OCTETS = 32768

# Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
# Reply-code = %x32-35 %x30-35 %x30-39
# A second digit above 5 is let through: RFC 5321 4.3.2 has a client go by the first digit when it knows no better.
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([^\r\n]*))?\r?\n\Z")

# What a text may not carry into logs and reports: C0 and C1 control characters and DEL; tabs become spaces.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


#: Replies of one line that are remembered as they are understood, with the length that such a line has at most: those that a busy
#: server says to each message. They take some 50 KiB.
_USUAL = 64
_USUAL_OCTETS = 128


@attrs.frozen
class ReplyFault:
    """What the server sent is not a reply: ``reason`` says why, for people."""

    reason: str


class ReplyReader:
    """Turns octets into replies."""

    __slots__ = ("_buffer", "_code", "_lines", "_octets")

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer()
        self._code = 0
        self._lines: list[str] = []
        self._octets = 0

    def feed(self, data: bytes) -> None:
        """Append what has come in."""
        self._buffer.feed(data)

    def clear(self) -> None:
        """Forget what has come in and was not yet given out (RFC 3207 4.2)."""
        self._buffer.clear()
        self._reset()

    def next(self) -> Reply | ReplyFault | None:
        """The next whole reply; None when more octets are needed. After a fault nothing that follows can be trusted."""
        while True:
            waiting = len(self._buffer)
            line = self._buffer.line(MAX_LINE_OCTETS)
            if not isinstance(line, bytes):
                # An unfinished line that already fills the limit is a fault now: its end may never come.
                if line is Line.TOO_LONG or waiting >= MAX_LINE_OCTETS:
                    return ReplyFault(f"a line of its reply is longer than {MAX_LINE_OCTETS} octets")
                return None
            result = self._take(line)
            if result is not None:
                return result

    def _take(self, line: bytes) -> Reply | ReplyFault | None:
        if not self._lines and len(line) <= _USUAL_OCTETS and (usual := _one_line(line)) is not None:
            return usual
        found = _LINE.match(line)
        if found is None:
            return ReplyFault(f"it sent what is not an SMTP reply: {printable(line[:80]).strip()!r}")
        code = int(found[1])
        if self._lines and code != self._code:
            return ReplyFault(f"the code of its reply changes from {self._code} to {code} between lines")
        self._octets += len(line)
        if len(self._lines) == MAX_LINES or self._octets > MAX_REPLY_OCTETS:
            return ReplyFault(f"its reply has more than {MAX_LINES} lines or {MAX_REPLY_OCTETS} octets")
        self._code = code
        self._lines.append(printable(found[3] or b"").rstrip())
        if found[2] == b"-":
            return None
        reply = Reply.parsed(code, tuple(self._lines))
        self._reset()
        return reply

    def _reset(self) -> None:
        self._lines = []
        self._octets = 0


@lru_cache(_USUAL)
def _one_line(line: bytes) -> Reply | None:
    """A reply that is one line; None when it is something else."""
    found = _LINE.match(line)
    if found is None or found[2] == b"-":
        return None
    return Reply.parsed(int(found[1]), (printable(found[3] or b"").rstrip(),))


def printable(octets: bytes) -> str:
    """A server's words as text that can stand in a log line or a report: UTF-8 where it is, without control characters."""
    text = octets.decode("utf-8", "backslashreplace")
    return text if text.isascii() and text.isprintable() else _CONTROL.sub(" ", text)
