"""What the tests of outgoing delivery share: messages, a reader, and a resolver that knows what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.python.failure import Failure

from hermes.core.dns_answer import Answer, MailExchanger, Status
from hermes.core.envelope import BodyType, Envelope, Origin, Recipient
from hermes.core.message import Content, QueuedMessage, QueuedRecipient

PREFIX = b"Return-Path: <sender@example.org>\n"


class Reader:
    """Gives content in pieces of a few octets; ``failing`` makes it fail after the first."""

    def __init__(self, piece_octets: int = 7, failing: bool = False) -> None:
        self._piece_octets = piece_octets
        self._failing = failing
        self.reads = 0

    async def chunks(self, content: Content, offset: int = 0) -> AsyncIterator[bytes]:
        """The octets from the offset on."""
        self.reads += 1
        data = content.data or b""
        for position in range(offset, len(data), self._piece_octets):
            yield data[position : position + self._piece_octets]
            if self._failing:
                raise OSError("the disk is broken")


class Names:
    """A resolver with fixed answers: ``hosts`` for addresses, ``exchangers`` for MX; ``None`` means not available."""

    def __init__(self, **hosts: Any) -> None:
        self.hosts: dict[str, tuple[str, ...] | None] = hosts
        self.exchangers: dict[str, tuple[MailExchanger, ...] | None] = {}
        self.waiting: Deferred[None] | None = None

    async def addresses(self, host: str) -> Answer[str]:
        """The addresses of a host."""
        return self._answer(self.hosts, host)

    async def host_addresses(self, host: str) -> Answer[str]:
        """The addresses of a configured host."""
        return self._answer(self.hosts, host)

    async def mail_exchangers(self, domain: str) -> Answer[MailExchanger]:
        """The exchangers; a domain that only has addresses has none."""
        if domain not in self.exchangers and domain in self.hosts:
            return Answer(Status.NO_DATA, reason=f"{domain} has no MX record in DNS")
        return self._answer(self.exchangers, domain)

    @staticmethod
    def _answer(table: dict[str, Any], name: str) -> Answer[Any]:
        if name not in table:
            return Answer(Status.NO_NAME, reason=f"{name} does not exist in DNS")
        values = table[name]
        if values is None:
            return Answer(Status.UNAVAILABLE, reason="name server 192.0.2.53 does not answer")
        return (
            Answer(Status.FOUND, values) if values else Answer(Status.NO_DATA, reason=f"{name} has no A record in DNS")
        )


def message(
    *addresses: str, data: bytes = b"Subject: test\n\n.hidden dot\nend\n", binary: bool = False, **envelope: Any
) -> tuple[QueuedMessage, list[QueuedRecipient]]:
    """A queued message from sender@example.org, and its recipients."""
    envelope.setdefault("reverse_path", "sender@example.org")
    if binary:
        envelope.setdefault("body", BodyType.BINARY)
    recipients = [
        QueuedRecipient(number, address, None, None, "direct:example.com", 0, 0.0)
        for number, address in enumerate(addresses)
    ]
    stored = PREFIX + data
    wire_octets = len(data) + (0 if binary else data.count(b"\n"))
    return (
        QueuedMessage(
            "0TEST0000001",
            0.0,
            Envelope(recipients=tuple(Recipient(address) for address in addresses), **envelope),
            Origin("ESMTP"),
            "<1@example.org>",
            Content(len(stored), wire_octets, len(PREFIX), binary, stored),
            recipients,
        ),
        recipients,
    )


class Network:
    """
    A reactor in which the addresses of an imagined network lead to ports of 127.0.0.1; all the others refuse connections.

    ``places`` maps an address to a port.
    """

    def __init__(self, reactor: Any, **places: int) -> None:
        self._reactor = reactor
        self.places: dict[str, int] = places
        self.asked: list[str] = []

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None) -> Any:
        """Connect where the address leads."""
        self.asked.append(host)
        place = self.places.get(host)
        if place is None:
            factory.clientConnectionFailed(
                None, Failure(ConnectionRefusedError(osError=OSError(111, "Connection refused")))
            )
            return None
        return self._reactor.connectTCP("127.0.0.1", place, factory, timeout, bindAddress)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)
