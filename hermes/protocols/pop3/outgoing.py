"""
A message on its way to a POP3 client: from stored text to what follows the ``+OK`` of RETR and TOP.

Lines end in CRLF, lines that begin with a dot get a second one, a line with a single dot ends it (RFC 1939 3); outside UTF-8
mode a header in UTF-8 gives way to its surrogate (RFC 6856 2.1). The sizes that LIST tells are those without a surrogate: to know
the others, every header would have to be read at each login.
"""

from __future__ import annotations

from hermes.core.header_facts import MAX_HEADER_OCTETS, header_end
from hermes.protocols.pop3.events import TERMINATION
from hermes.protocols.pop3.surrogate import ascii_header
from hermes.protocols.pop3.top import TopLines
from hermes.protocols.wire import WireEncoder


class OutgoingMessage:
    """Turns pieces of stored text into pieces for the wire; ``lines`` is how much of the body TOP asked for, None for all."""

    def __init__(self, *, utf8: bool, lines: int | None = None) -> None:
        self._encoder = WireEncoder()
        self._top = TopLines(lines) if lines is not None else None
        # The header, until it is whole; None when it has gone out, or may go as it is.
        self._header: bytes | None = None if utf8 else b""

    @property
    def done(self) -> bool:
        """True when no more of the message is wanted."""
        return self._top is not None and self._top.done

    def whole(self, text: bytes) -> bytes:
        """All that goes out, of a message that is there as a whole."""
        if text.isascii():
            # Nothing in it needs a surrogate: most messages are done without a look at where their header ends.
            self._header = None
        return self.take(text) + self.finish()

    def take(self, piece: bytes) -> bytes:
        """What the next piece adds; nothing while the header is not whole."""
        if self._header is not None:
            piece = self._header + piece
            end = header_end(piece)
            if end < 0 and len(piece) <= MAX_HEADER_OCTETS:
                self._header = piece
                return b""
            self._header = None
            # A header above the limit is no honest one, and goes as it is.
            if end > 0 and not piece.isascii():
                piece = ascii_header(piece[:end]) + piece[end:]
        return self._send(piece)

    def finish(self) -> bytes:
        """The end, with whatever has been held back."""
        held = b""
        if self._header:
            # All of the message is header.
            held = self._send(ascii_header(self._header))
        # A top that is complete ends at the end of a line, wherever the encoder stands by now.
        return held + (TERMINATION if self.done else self._encoder.finish())

    def _send(self, piece: bytes) -> bytes:
        wire = self._encoder.encode(piece)
        return wire if self._top is None else self._top.take(wire)
