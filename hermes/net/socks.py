"""Connecting through a SOCKS5 proxy: the negotiation over a transport, which is then handed to whoever wanted to connect."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from hermes.core.tls_security import Proxy
from hermes.protocols.socks5 import SocksClient

#: For the proxy to answer. It connects further meanwhile, and may have the patience of its kernel.
NEGOTIATION_SECONDS = 60.0


class ProxyError(OSError):
    """The proxy does not connect; the text says why."""


class _Negotiation(Protocol):
    def __init__(self, client: SocksClient, done: Deferred[None]) -> None:
        self._client = client
        self._done = done
        self.rest = b""

    def connectionMade(self) -> None:
        self._wire.write(self._client.data_to_send())

    @property
    def _wire(self) -> Any:
        return self.transport

    def dataReceived(self, data: bytes) -> None:
        if self._done.called:
            # What comes between the proxy's answer and the handing over.
            self.rest += data
            return
        self._client.receive(data)
        self._wire.write(self._client.data_to_send())
        if self._client.done:
            self.rest = self._client.rest
            # Nothing is read until the transport has been handed over.
            self._wire.pauseProducing()
            self._done.callback(None)
        elif self._client.problem:
            self.give_up(self._client.problem)

    def give_up(self, problem: str) -> None:
        if not self._done.called:
            self._done.errback(ProxyError(problem))
        self._wire.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._done.called:
            self._done.errback(ProxyError("it closed the connection"))


async def connect_through(
    reactor: Any, proxy: Proxy, address: str, port: int, protocol: Protocol, source: str, timeout_seconds: float
) -> None:
    """Connect ``protocol`` to an address; raise what endpoints raise, or ProxyError."""
    done: Deferred[None] = Deferred()
    client = SocksClient(address, port, proxy.username, proxy.password)
    negotiation = _Negotiation(client, done)
    endpoint = _endpoint(reactor, proxy, source, timeout_seconds)
    factory = Factory.forProtocol(lambda: negotiation)
    factory.noisy = False
    await endpoint.connect(factory)
    timer: IDelayedCall = reactor.callLater(
        NEGOTIATION_SECONDS, negotiation.give_up, f"no answer within {NEGOTIATION_SECONDS:g} seconds"
    )
    try:
        await done
    except BaseException:
        wire: Any = negotiation.transport
        wire.abortConnection()
        raise
    finally:
        if timer.active():
            timer.cancel()
    wire = negotiation.transport
    wire.protocol = protocol
    protocol.makeConnection(wire)
    wire.resumeProducing()
    if negotiation.rest:
        protocol.dataReceived(negotiation.rest)


def _endpoint(reactor: Any, proxy: Proxy, source: str, timeout_seconds: float) -> Any:
    bind = (source, 0) if source else None
    host = proxy.host
    if ":" in host:
        return TCP6ClientEndpoint(reactor, host, proxy.port, timeout_seconds, bind)
    if host.replace(".", "").isdigit():
        return TCP4ClientEndpoint(reactor, host, proxy.port, timeout_seconds, bind)
    return HostnameEndpoint(reactor, host, proxy.port, timeout_seconds, bind)
