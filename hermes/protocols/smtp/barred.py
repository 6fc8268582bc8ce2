"""
A session that was refused with 554 in place of the greeting (RFC 5321 3.1).

The server must wait for QUIT before it closes, and answers everything else with 503. How long it waits, and for how many
commands, is limited: the peer has nothing to gain here.
"""

from __future__ import annotations

from hermes.core.reply import Reply
from hermes.protocols.receive_buffer import Line, ReceiveBuffer
from hermes.protocols.smtp.parameters import MAX_COMMAND_OCTETS

#: A client that understands says QUIT at once. One that goes through EHLO, HELO, MAIL, RCPT, DATA and RSET gets that far.
MAX_COMMANDS = 10

_GOODBYE = Reply.of(221, "2.0.0", "Goodbye").encode()
_NOTHING_HERE = Reply.of(503, "5.5.1", "You have been refused: there is nothing but QUIT").encode()


class Barred:
    """Octets in, replies out; ``over`` is true when the connection is to be closed."""

    def __init__(self) -> None:
        self.over = False
        self._buffer = ReceiveBuffer()
        self._commands = 0

    def receive(self, data: bytes) -> bytes:
        """Take octets from the client; the replies to what is whole."""
        replies: list[bytes] = []
        if not self.over:
            self._buffer.feed(data)
        while not self.over and (line := self._buffer.line(MAX_COMMAND_OCTETS)) is not Line.INCOMPLETE:
            self._commands += 1
            leaving = line is not Line.TOO_LONG and line.strip().upper() == b"QUIT"
            replies.append(_GOODBYE if leaving else _NOTHING_HERE)
            self.over = leaving or self._commands >= MAX_COMMANDS
        if self.over:
            self._buffer.clear()
        return b"".join(replies)
