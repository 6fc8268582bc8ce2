"""
Asking name servers: one question, each server in turn, UDP first and TCP for answers that do not fit (RFC 1035, RFC 7766).

``twisted.names`` carries the octets. What it leaves open is settled here: a question is closed when it is answered, an answer
must be one to the question, and a server that fails or is silent is followed by the next one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import CannotListenError, ConnectError, ConnectingCancelledError
from twisted.internet.protocol import Factory
from twisted.names import dns
from twisted.names.error import DNSQueryTimeoutError

from hermes.net.peer import is_loopback

#: Seconds to wait for each server, in the first round and in the second. RFC 1035 7.2 wants several tries.
TIMEOUTS_SECONDS = (3.0, 7.0)

#: Where the system says which servers to ask, and how many of them count (resolv.conf(5): MAXNS).
RESOLV_CONF = "/etc/resolv.conf"
MAX_SERVERS = 3

#: How long the list of servers is used before the file is looked at again.
_REREAD_SECONDS = 60.0

_FAILURES = (DNSQueryTimeoutError, ConnectError, CannotListenError, OSError)


@attrs.frozen
class Unanswered:
    """No server gave an answer: it may work later. ``asked`` is false where none was asked."""

    reason: str
    asked: bool = True


class NameServers:
    """
    The servers to ask.

    ``servers`` are ``address`` or ``address:port`` (``[address]:port`` for IPv6); when there are none, those of
    ``resolv_conf`` are asked, as it is at the time. What they say about DNSSEC is believed when they are on this machine, or
    ``trusted``: then nobody stands in between (RFC 7672 2.2).
    """

    def __init__(
        self,
        reactor: Any,
        servers: Sequence[str] = (),
        *,
        resolv_conf: str = RESOLV_CONF,
        timeouts_seconds: Sequence[float] = TIMEOUTS_SECONDS,
        trusted: bool = False,
    ) -> None:
        self._reactor = reactor
        self._configured = [parse_server(server) for server in servers]
        self._resolv_conf = resolv_conf
        self._timeouts_seconds = timeouts_seconds
        self._trusted = trusted
        self._system: list[tuple[str, int]] = []
        self._read_at = float("-inf")

    async def ask(self, name: bytes, record_type: int) -> dns.Message | Unanswered:
        """Ask for records; the answer's ``rCode`` is OK or ENAME."""
        question = dns.Query(name, record_type, dns.IN)
        reason = "there is no name server"
        for timeout in self._timeouts_seconds:
            for server in self._servers():
                result = await self._ask_one(server, question, timeout)
                if isinstance(result, dns.Message):
                    return result
                reason = result
        return Unanswered(reason)

    async def _ask_one(self, server: tuple[str, int], question: dns.Query, timeout: float) -> dns.Message | str:
        where = f"name server {server[0]}"
        try:
            message = await self._by_udp(server, question, timeout)
            if message.trunc:
                message = await self._by_tcp(server, question, timeout)
        except DNSQueryTimeoutError:
            return f"{where} does not answer"
        except _FAILURES as error:
            return f"{where} cannot be asked: {error}"
        asked = message.queries[0] if message.queries else None
        if not message.answer or message.trunc or asked is None or not _same(asked, question):
            return f"{where} does not answer what was asked"
        if message.rCode not in (dns.OK, dns.ENAME):
            return f"{where} answers with error {message.rCode}"
        if not (self._trusted or is_loopback(server[0])):
            message.authenticData = False
        return message

    async def _by_udp(self, server: tuple[str, int], question: dns.Query, timeout: float) -> dns.Message:
        # A port of its own for each question: the kernel picks it at random, which makes forged answers hard (RFC 5452).
        protocol = _Datagrams(_Silent(), reactor=self._reactor)
        port = self._reactor.listenUDP(0, protocol, interface="::" if ":" in server[0] else "", maxPacketSize=4096)
        try:
            message: dns.Message = await protocol.query(server, [question], timeout)
            return message
        finally:
            await maybeDeferred(port.stopListening)

    async def _by_tcp(self, server: tuple[str, int], question: dns.Query, timeout: float) -> dns.Message:
        make = TCP6ClientEndpoint if ":" in server[0] else TCP4ClientEndpoint
        factory = _Factory(self._reactor)
        try:
            await make(self._reactor, *server, timeout=timeout).connect(factory)
        except ConnectingCancelledError:
            raise CancelledError from None
        connection = factory.protocol.transport
        assert connection is not None
        try:
            message: dns.Message = await factory.protocol.query([question], timeout)
            return message
        finally:
            connection.loseConnection()
            await factory.controller.closed

    def _servers(self) -> list[tuple[str, int]]:
        if self._configured:
            return self._configured
        now = self._reactor.seconds()
        if now - self._read_at >= _REREAD_SECONDS:
            self._read_at = now
            self._system = read_resolv_conf(self._resolv_conf)
        return self._system


class _Datagrams(dns.DNSDatagramProtocol):
    """Questions that ask for the AD bit in the answer (RFC 6840 5.7)."""

    def writeMessage(self, message: dns.Message, address: Any) -> None:  # noqa: N802
        message.authenticData = True
        super().writeMessage(message, address)


class _Stream(dns.DNSProtocol):
    """The same by TCP."""

    def writeMessage(self, message: dns.Message) -> None:  # noqa: N802
        message.authenticData = True
        super().writeMessage(message)


class _Silent:
    """The owner of a DNS protocol, as ``twisted.names`` wants one: it hears of what nobody asked for, and ignores it."""

    def __init__(self) -> None:
        self.closed: Deferred[None] = Deferred()

    def messageReceived(self, message: dns.Message, protocol: Any, address: Any = None) -> None:  # noqa: N802
        """An answer came too late, or from elsewhere."""

    def connectionMade(self, protocol: Any) -> None:
        pass

    def connectionLost(self, protocol: Any) -> None:
        self.closed.callback(None)


class _Factory(Factory):
    noisy = False

    def __init__(self, reactor: Any) -> None:
        self.controller = _Silent()
        self.protocol: dns.DNSProtocol = _Stream(self.controller, reactor=reactor)  # type: ignore[assignment]

    def buildProtocol(self, addr: Any) -> dns.DNSProtocol:
        return self.protocol


def _same(asked: dns.Query, question: dns.Query) -> bool:
    return asked.type == question.type and bytes(asked.name.name).lower() == bytes(question.name.name).lower()


def parse_server(text: str) -> tuple[str, int]:
    """Read ``192.0.2.1``, ``192.0.2.1:5353``, ``2001:db8::1`` or ``[2001:db8::1]:5353``."""
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        return address, int(rest.lstrip(":") or dns.PORT)
    if text.count(":") == 1:
        address, _, port = text.partition(":")
        return address, int(port)
    return text, dns.PORT


def read_resolv_conf(path: str) -> list[tuple[str, int]]:
    """The servers of resolv.conf(5); the one on this machine when the file names none."""
    servers = []
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                words = line.split()
                if len(words) > 1 and words[0] == "nameserver":
                    servers.append((words[1], dns.PORT))
    return servers[:MAX_SERVERS] or [("127.0.0.1", dns.PORT)]
