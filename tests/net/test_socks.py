"""Connections through a SOCKS5 proxy, and from an address of our choice."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from hermes.core.tls_security import Proxy, Way
from hermes.net import socks
from hermes.net.client_session import ClientSession, Setback
from hermes.net.outgoing import Approach, Target, open_session
from tests.support.smtp_peer import SMTPPeer


class FakeProxy(Factory):
    """A proxy that leads everything to one port; ``answers`` are what it says, ``None`` for the truth."""

    noisy = False

    def __init__(self, port: int, answers: list[bytes] | None = None) -> None:
        self.port = port
        self.answers = answers
        self.heard: list[bytes] = []
        self.open: list[Any] = []

    def buildProtocol(self, addr: Any) -> _Connection:
        """One connection."""
        return _Connection(self)


class _Connection(Protocol):
    def __init__(self, proxy: FakeProxy) -> None:
        self._proxy = proxy
        self._step = 0
        self._to: Any = None

    def connectionMade(self) -> None:
        self._proxy.open.append(self.transport)

    def dataReceived(self, data: bytes) -> None:
        if self._to is not None:
            self._to.write(data)
            return
        self._proxy.heard.append(data)
        if self._proxy.answers is not None:
            if self._step < len(self._proxy.answers):
                self.transport.write(self._proxy.answers[self._step])
                self._step += 1
            if self._step == len(self._proxy.answers):
                self.transport.loseConnection()
        elif data[:1] == b"\x01":
            self.transport.write(b"\x01\x00")
        elif len(data) <= 4:
            self.transport.write(b"\x05" + data[-1:])
        else:
            factory = Factory.forProtocol(lambda: _Far(self))
            factory.noisy = False
            factory.startedConnecting = lambda _: None  # type: ignore[attr-defined]
            factory.clientConnectionLost = lambda *_: None  # type: ignore[attr-defined]
            reactor.connectTCP("127.0.0.1", self._proxy.port, factory)  # type: ignore[attr-defined]

    def there(self, far: Any) -> None:
        """The other end has been reached."""
        self._to = far
        self._proxy.open.append(far)
        self.transport.write(b"\x05\x00\x00\x01" + bytes(6))

    def connectionLost(self, reason: Any = None) -> None:
        if self._to is not None:
            self._to.loseConnection()


class _Far(Protocol):
    def __init__(self, near: _Connection) -> None:
        self._near = near

    def connectionMade(self) -> None:
        self._near.there(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self._near.transport.write(data)

    def connectionLost(self, reason: Any = None) -> None:
        self._near.transport.loseConnection()


class WayTests(TestCase):
    """open_session() on a way of its own."""

    async def setUp(self) -> None:
        """A server."""
        self.peer = SMTPPeer()
        self.peer.start(reactor)
        self.listening: Any = None

    async def tearDown(self) -> None:
        """Nothing stays open."""
        await self.peer.stop()
        if self.listening is not None:
            await self.listening.stopListening()

    def proxy(self, answers: list[bytes] | None = None) -> FakeProxy:
        """A proxy that listens."""
        proxy = FakeProxy(self.peer.port, answers)
        self.listening = reactor.listenTCP(0, proxy, interface="127.0.0.1")  # type: ignore[attr-defined]
        return proxy

    async def through(self, username: str = "", host: str = "127.0.0.1") -> ClientSession | Setback:
        """Connect to a host that can be reached only by the proxy."""
        place = Proxy(host, self.listening.getHost().port, username, "secret" if username else "")
        target = Target("mx.example.com", "192.0.2.1", 25, way=Way(proxy=place))
        return await open_session(reactor, target, Approach("client.example.org"))

    async def test_through(self) -> None:
        """A session through it, with and without a login, by name and by address."""
        for username, host in (("", "127.0.0.1"), ("me", "127.0.0.1"), ("", "localhost")):
            proxy = self.proxy()
            session = await self.through(username, host)
            assert isinstance(session, ClientSession), session
            self.assertEqual(session.capabilities.name, "peer.example.com")
            self.assertIn(b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19", proxy.heard)
            await session.quit()
            await self.listening.stopListening()
            self.listening = None

    async def test_refused(self) -> None:
        """What the proxy refuses, or leaves off in the middle, only delays mail, and says why."""
        for answers, words in (
            ([b"\x05\xff"], "wants a login"),
            ([b"\x05\x00", b"\x05\x05\x00\x01" + bytes(6)], "the connection was refused"),
            ([b"\x05"], "closed the connection"),
            ([b"220 mx.example.com\r\n"], "does not speak SOCKS5"),
        ):
            self.proxy(answers)
            setback = await self.through()
            assert not isinstance(setback, ClientSession)
            self.assertEqual(setback.outcome.status, "4.4.1")
            self.assertIn(words, setback.outcome.reason)
            await self.listening.stopListening()
            self.listening = None

    async def test_no_proxy(self) -> None:
        """Where there is no proxy, nobody is connected to directly instead."""
        self.proxy()
        port = self.listening.getHost().port
        await self.listening.stopListening()
        self.listening = None
        target = Target("mx.example.com", "127.0.0.1", self.peer.port, way=Way(proxy=Proxy("127.0.0.1", port)))
        setback = await open_session(reactor, target, Approach("client.example.org"))
        assert not isinstance(setback, ClientSession)
        self.assertEqual(self.peer.connections, 0)

    async def test_silent(self) -> None:
        """A proxy that says nothing is given up."""
        self.patch(socks, "NEGOTIATION_SECONDS", 0.05)
        self.proxy([b"", b"", b""])
        setback = await self.through()
        assert not isinstance(setback, ClientSession)
        self.assertIn("no answer within 0.05 seconds", setback.outcome.reason)

    async def test_source(self) -> None:
        """The connection comes from the address that the table names."""
        seen: list[str] = []
        build = self.peer.buildProtocol
        self.patch(self.peer, "buildProtocol", lambda addr: (seen.append(addr.host), build(addr))[1])
        target = Target("mx.example.com", "127.0.0.1", self.peer.port, way=Way("127.0.0.2"))
        session = await open_session(reactor, target, Approach("client.example.org"))
        assert isinstance(session, ClientSession), session
        await session.quit()
        self.assertEqual(seen, ["127.0.0.2"])
