"""
Where a transcript listens to an engine: at what the engine has understood, not at the wire.

Only the engine knows whether a line is a command, part of a login or of a message, however the octets came; whoever guessed that
anew from the wire could be led astray by a client, and would write down a password.
"""

from __future__ import annotations

from typing import Protocol

from hermes.protocols.receive_buffer import Line


class Tap(Protocol):
    """What is told to the listener; all octets are the client's."""

    def command(self, line: bytes | Line) -> None:
        """A line that was read as a command, with its end; or the sign that it was too long."""

    def response(self, line: bytes | Line) -> None:
        """A line of a SASL exchange: a secret, whatever it holds."""

    def body(self, data: bytes) -> None:
        """Octets of a message, in the stored form."""

    def body_over(self, octets: int) -> None:
        """The end of a message, or of a chunk of it, that had so many octets on the wire."""
