"""Answers of name servers that are none: cut, turned, pointing at themselves, or made of anything."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol
from twisted.names import dns
from twisted.trial.unittest import TestCase

from hermes.core.dns_answer import Answer
from hermes.net.resolver import Resolver
from tests.support.dns_server import a, cname, mx, ptr, txt

#: What a name server would say, before it is spoiled.
_RECORDS = [a("192.0.2.1"), mx(10, "mx.example"), cname("other.example"), ptr("p.example"), txt("text", "more")]


class Spoiler(DatagramProtocol):
    """Answers every question with an answer that ``spoil`` has been at."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Answer several times."""
        assert self.transport is not None
        for _ in range(3):
            self.transport.write(self.spoil(self._whole(datagram)), addr)

    def _whole(self, question: bytes) -> bytes:
        message = dns.Message()
        message.fromStr(question)
        message.answer = True
        for record in self._random.sample(_RECORDS, self._random.randrange(4)):
            message.answers.append(dns.RRHeader(message.queries[0].name.name, record.TYPE, ttl=60, payload=record))
        return bytes(message.toStr())

    def spoil(self, octets: bytes) -> bytes:
        """Cut it, turn octets over, let it point at itself, put in or add something; the question's number may stay."""
        chance, spoiled = self._random, bytearray(octets)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(2, max(3, len(spoiled)))
            match chance.randrange(5):
                case 0:
                    del spoiled[place:]
                case 1:
                    spoiled[place : place + 1] = chance.randbytes(1)
                case 2:
                    # A pointer (RFC 1035 4.1.4) to where it stands itself.
                    spoiled[place : place + 2] = bytes((0xC0, min(place, 255)))
                case 3:
                    spoiled[place:place] = chance.randbytes(chance.randrange(20))
                case _:
                    spoiled += chance.randbytes(40)
        return bytes(spoiled)


class SpoiledAnswerTests(TestCase):
    """A resolver whose only server cannot be believed."""

    async def test_any(self) -> None:
        """Every question ends with an answer, and nothing is logged as a fault."""
        for seed in range(25):
            port: Any = reactor.listenUDP(0, Spoiler(seed), interface="127.0.0.1")  # type: ignore[attr-defined]
            resolver = Resolver(reactor, [f"127.0.0.1:{port.getHost().port}"], timeouts_seconds=(0.02,))
            try:
                for ask in (resolver.ipv4_addresses, resolver.mail_exchangers, resolver.texts, resolver.addresses):
                    self.assertIsInstance(await ask(f"n{seed}.example"), Answer)
                self.assertIsInstance(await resolver.names("192.0.2.7"), Answer)
            finally:
                await port.stopListening()
        self.assertEqual(self.flushLoggedErrors(), [])
