"""A name server on 127.0.0.1 for tests: records in a dictionary, and every misbehavior that a resolver must survive."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.names import dns

#: Answers to a name that are not records.
SERVFAIL = "SERVFAIL"
REFUSED = "REFUSED"
SILENCE = "SILENCE"
WRONG_QUESTION = "WRONG QUESTION"
TRUNCATED = "TRUNCATED"  # the records are there by TCP
CUT_BY_TCP = "CUT BY TCP"  # truncated by UDP, and the TCP connection is closed without an answer

_CODES = {SERVFAIL: dns.ESERVER, REFUSED: dns.EREFUSED}


class NameServer:
    """
    The server. ``zone`` maps a name in lower case to its records; a name that is not there does not exist.

    ``behaviors`` maps a name to one of the words above. ``asked`` lists the questions as ``(name, type, transport)``.
    """

    def __init__(self, zone: dict[str, Sequence[Any]] | None = None, negative_ttl: int | None = 60) -> None:
        self.zone: dict[str, Sequence[Any]] = dict(zone or {})
        self.behaviors: dict[str, str] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.address = ""
        self.secure = False
        self.wants_ad = False
        self._negative_ttl = negative_ttl
        self._ports: list[Any] = []
        self._connections: list[dns.DNSProtocol] = []
        self._gone: list[Deferred[None]] = []

    def start(self, reactor: Any) -> None:
        """Listen for UDP and TCP at the same port."""
        factory = Factory.forProtocol(lambda: dns.DNSProtocol(self, reactor=reactor))
        factory.noisy = False
        tcp = reactor.listenTCP(0, factory, interface="127.0.0.1")
        number = tcp.getHost().port
        self._ports.append(tcp)
        try:
            protocol = dns.DNSDatagramProtocol(self, reactor=reactor)
            self._ports.append(reactor.listenUDP(number, protocol, interface="127.0.0.1"))
        except CannotListenError:
            # Somebody else has the number for UDP; it is theirs, so the next try gets another.
            self.start(reactor)
            return
        self.address = f"127.0.0.1:{number}"

    async def stop(self) -> None:
        """Stop listening and close what is open."""
        for port in self._ports:
            await port.stopListening()
        for connection in list(self._connections):
            connection.transport.abortConnection()
        for gone in self._gone:
            await gone

    # What a DNS protocol calls.

    def connectionMade(self, protocol: dns.DNSProtocol) -> None:
        """Somebody has connected by TCP."""
        self._connections.append(protocol)
        self._gone.append(Deferred())

    def connectionLost(self, protocol: dns.DNSProtocol) -> None:
        """A TCP connection is gone."""
        self._connections.remove(protocol)
        self._gone.pop().callback(None)

    def messageReceived(self, message: dns.Message, protocol: Any, address: Any = None) -> None:
        """A question; it has an address when it came by UDP."""
        question = message.queries[0]
        self.wants_ad = bool(message.authenticData)
        name = question.name.name.decode("ascii").lower()
        kind = dns.QUERY_TYPES.get(question.type, "TLSA")
        self.asked.append((name, kind, "UDP" if address else "TCP"))
        behavior = self.behaviors.get(name)
        if behavior == SILENCE:
            return
        if behavior == CUT_BY_TCP and address is None:
            protocol.transport.loseConnection()
            return
        answer = self._answer(message.id, question, name, behavior, address is not None)
        if address is None:
            protocol.writeMessage(answer)
        else:
            protocol.writeMessage(answer, address)

    def _answer(self, number: int, question: dns.Query, name: str, behavior: str | None, udp: bool) -> dns.Message:
        answer = dns.Message(number, answer=1, recDes=1, recAv=1, maxSize=512 if udp else 0)
        # A resolver that checks DNSSEC says so to those who ask for it (RFC 6840 5.7).
        answer.authenticData = self.secure and self.wants_ad
        answer.queries = [dns.Query(b"other.example", question.type) if behavior == WRONG_QUESTION else question]
        answer.rCode = _CODES.get(behavior or "", dns.OK)
        if udp and behavior in (TRUNCATED, CUT_BY_TCP):
            answer.trunc = 1
        elif answer.rCode == dns.OK:
            self._fill(answer, question, name)
        return answer

    def _fill(self, answer: dns.Message, question: dns.Query, name: str) -> None:
        """The records, along with those of aliases, as a resolving server gives them."""
        while True:
            records = self.zone.get(name)
            if records is None:
                answer.rCode = dns.ENAME
                break
            fitting = [record for record in records if record.TYPE in (question.type, dns.CNAME)]
            answer.answers += [
                dns.RRHeader(name, record.TYPE, ttl=record.ttl or 0, payload=record) for record in fitting
            ]
            aliases = [record for record in fitting if record.TYPE == dns.CNAME and question.type != dns.CNAME]
            if not aliases:
                break
            name = aliases[0].name.name.decode("ascii").lower()
            if name in self.behaviors:
                return  # its target is left out
        found = any(record.type == question.type for record in answer.answers)
        if not found and self._negative_ttl is not None:
            soa = dns.Record_SOA(b"ns.example", b"hostmaster.example", 1, 1, 1, 1, self._negative_ttl, ttl=3600)
            answer.authority = [dns.RRHeader(b"example", dns.SOA, ttl=3600, payload=soa)]


def mx(preference: int, host: str, ttl: int = 300) -> dns.Record_MX:
    """An MX record."""
    return dns.Record_MX(preference, host.encode("ascii"), ttl=ttl)


def a(address: str, ttl: int = 300) -> dns.Record_A:
    """An A record."""
    return dns.Record_A(address, ttl=ttl)


def aaaa(address: str, ttl: int = 300) -> dns.Record_AAAA:
    """An AAAA record."""
    return dns.Record_AAAA(address, ttl=ttl)


def cname(target: str, ttl: int = 300) -> dns.Record_CNAME:
    """A CNAME record."""
    return dns.Record_CNAME(target.encode("ascii"), ttl=ttl)


def ptr(name: str, ttl: int = 300) -> dns.Record_PTR:
    """A PTR record."""
    return dns.Record_PTR(name.encode("ascii"), ttl=ttl)


def txt(*strings: str, ttl: int = 300) -> dns.Record_TXT:
    """A TXT record of one string or of several."""
    return dns.Record_TXT(*[string.encode() for string in strings], ttl=ttl)


class TLSARecord(dns.UnknownRecord):
    """A TLSA record, which twisted.names does not know."""

    TYPE = 52


def tlsa(usage: int, selector: int, matching: int, data: bytes, ttl: int = 300) -> TLSARecord:
    """A TLSA record."""
    return TLSARecord(bytes((usage, selector, matching)) + data, ttl=ttl)


def reverse(address: str) -> str:
    """The name under which the PTR records of an address are."""
    return ip_address(address).reverse_pointer


async def settled(resolver: Any) -> None:
    """Return when all questions that are on their way have come to an end, those for which nobody waits as well."""
    while resolver._running:
        waiting: Deferred[Any] = Deferred()
        next(iter(resolver._running.values())).append(waiting)
        await waiting
