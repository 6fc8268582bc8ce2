"""Driving the SMTP client's engine without a network: what the server says goes in cut in every way, what we say is kept."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from hermes.core.envelope import Envelope, Recipient
from hermes.protocols.smtp.client import ClientEngine
from hermes.protocols.smtp.client_events import Event, Peer
from hermes.protocols.smtp.lmtp_client import LMTPClientEngine
from hermes.protocols.smtp.transaction import Parcel
from tests.support.cuts import CUTS, Cut, whole

HOSTNAME = "client.example.org"

GREETING = b"220 mx.example.com ESMTP\r\n"


def every_cut(test: Callable[[Any, Cut], None]) -> Callable[[Any], None]:
    """Run a test method with the server's octets whole, byte by byte and cut at random."""

    @functools.wraps(test)
    def run(case: Any) -> None:
        for cut in CUTS:
            test(case, cut)

    # trial calls it with the case alone
    del run.__wrapped__  # type: ignore[attr-defined]
    return run


class Conversation:
    """An engine, the events it gave, and the octets it sent."""

    def __init__(self, cut: Cut = whole, host: str = "mx.example.com", *, lmtp: bool = False) -> None:
        self.engine = (LMTPClientEngine if lmtp else ClientEngine)(HOSTNAME, Peer(host, "192.0.2.25:25"))
        self.events: list[Event] = []
        self._cut = cut
        self._sent = b""

    def server(self, octets: bytes) -> list[Event]:
        """The server says this; the events that follow."""
        before = len(self.events)
        for piece in self._cut(octets):
            self.engine.receive(piece)
            self.look()
        return self.events[before:]

    def look(self) -> list[Event]:
        """Take the events that are there."""
        before = len(self.events)
        while (event := self.engine.next_event()) is not None:
            self.events.append(event)
        self._sent += self.engine.data_to_send()
        return self.events[before:]

    def sent(self) -> bytes:
        """What was sent since the last call."""
        self.look()
        sent, self._sent = self._sent, b""
        return sent

    def open(self, *extensions: str) -> None:
        """Greeting and EHLO, with these extensions."""
        self.server(GREETING)
        lines = ["mx.example.com greets you", *extensions]
        reply = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
        self.server(reply.encode())
        self.sent()

    def send(self, content: bytes, cut: Cut = whole) -> bytes:
        """Give the message; what went over the wire."""
        wire = b"".join(self.engine.content(piece) for piece in cut(content))
        self.engine.end_content()
        return wire + self.sent()


def parcel(*addresses: str, octets: int = 100, binary: bool = False, **envelope: Any) -> Parcel:
    """A parcel from sender@example.org to these addresses."""
    envelope.setdefault("reverse_path", "sender@example.org")
    recipients = tuple(Recipient(address) for address in addresses)
    return Parcel(Envelope(recipients=recipients, **envelope), recipients, octets, binary)
