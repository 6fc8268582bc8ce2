"""Sending, and closing, at once."""

from __future__ import annotations

import socket
from typing import cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IReactorSocket, IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from hermes.net.prompt import lose_now, write_now

#: More than the buffers of two sockets on loopback take together.
MUCH = b"0123456789abcdef" * 2**20


class _Ours(Protocol):
    """The end that writes."""

    def __init__(self) -> None:
        self.made: Deferred[None] = Deferred()
        self.lost: Deferred[None] = Deferred()
        self.reasons: list[Failure] = []

    def connectionMade(self) -> None:
        self.made.callback(None)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008 - as Twisted has it
        self.reasons.append(reason)
        if not self.lost.called:
            self.lost.callback(None)


class ConnectedTestCase(TestCase):
    """A connection with a peer."""

    async def connected(self) -> tuple[_Ours, Server, socket.socket]:
        """Our end with its transport, and the peer's."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.settimeout(60)
        self.addCleanup(theirs.close)
        protocol = _Ours()
        factory = Factory.forProtocol(lambda: protocol)
        cast(IReactorSocket, reactor).adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
        ours.close()
        await protocol.made
        transport = cast(Server, protocol.transport)

        async def end() -> None:
            transport.abortConnection()
            if not protocol.lost.called:
                await protocol.lost

        self.addCleanup(lambda: Deferred.fromCoroutine(end()))
        return protocol, transport, theirs

    def waits(self, transport: Server) -> bool:
        """Whether the reactor waits for room."""
        return transport in reactor.getWriters()  # type: ignore[attr-defined]


class WriteNowTests(ConnectedTestCase):
    """write_now."""

    async def test_at_once(self) -> None:
        """An answer is with the peer when the call is over, and the reactor need not be asked for anything."""
        _, transport, theirs = await self.connected()
        for answer in (b"250 OK\r\n", b"354 go on\r\n"):
            write_now(transport, answer)
            self.assertEqual(theirs.recv(100), answer)
            self.assertFalse(self.waits(transport))

    async def test_what_does_not_fit(self) -> None:
        """It follows in order, and so does what is written behind it."""
        _, transport, theirs = await self.connected()
        write_now(transport, MUCH)
        self.assertTrue(self.waits(transport))
        write_now(transport, b"the end")

        def read() -> bytes:
            pieces: list[bytes] = []
            while sum(map(len, pieces)) < len(MUCH) + 7:
                pieces.append(theirs.recv(2**20))
            return b"".join(pieces)

        self.assertTrue(await deferToThread(read) == MUCH + b"the end")
        write_now(transport, b"again")
        self.assertEqual(theirs.recv(100), b"again")

    async def test_broken(self) -> None:
        """That a peer is gone is not found out in the middle of the call."""
        protocol, transport, theirs = await self.connected()
        theirs.close()
        write_now(transport, b"250 OK\r\n")
        self.assertFalse(protocol.lost.called)
        await protocol.lost
        write_now(transport, b"250 OK\r\n")

    async def test_after_the_end(self) -> None:
        """Behind what was said to be the last nothing overtakes, and what was said before is sent."""
        protocol, transport, theirs = await self.connected()
        write_now(transport, b"221 bye\r\n")
        transport.loseConnection()
        await protocol.lost
        self.assertEqual(theirs.recv(100), b"221 bye\r\n")
        self.assertEqual(theirs.recv(100), b"")

    async def test_tls(self) -> None:
        """Under TLS nothing goes around it."""
        _, transport, theirs = await self.connected()
        written: list[bytes] = []
        self.patch(transport, "TLS", True)
        self.patch(transport, "write", written.append)
        write_now(transport, b"secret")
        self.assertEqual(written, [b"secret"])
        theirs.setblocking(False)
        self.assertRaises(BlockingIOError, theirs.recv, 100)

    def test_other_transports(self) -> None:
        """Whatever else is a transport is written to."""
        transport = StringTransport()
        write_now(transport, b"x")
        self.assertEqual(transport.value(), b"x")


class LoseNowTests(ConnectedTestCase):
    """lose_now."""

    async def ended(self, protocol: _Ours) -> None:
        """See that the protocol heard once that its connection was closed in order."""
        await protocol.lost
        # Whatever else would tell it again does so by now.
        await deferLater(cast(IReactorTime, reactor), 0)
        self.assertEqual(len(protocol.reasons), 1)
        protocol.reasons[0].trap(ConnectionDone)

    async def test_at_once(self) -> None:
        """What was said is with the peer, then the end; the reactor is not asked whether there is room."""
        protocol, transport, theirs = await self.connected()
        write_now(transport, b"221 bye\r\n")
        lose_now(transport)
        self.assertFalse(self.waits(transport))
        # Whoever closes is in the middle of something.
        self.assertEqual(protocol.reasons, [])
        await self.ended(protocol)
        self.assertEqual(theirs.recv(100), b"221 bye\r\n")
        self.assertEqual(theirs.recv(100), b"")

    async def test_much_waits(self) -> None:
        """All of it is sent before."""
        protocol, transport, theirs = await self.connected()
        write_now(transport, MUCH)
        lose_now(transport)

        def read() -> bytes:
            return b"".join(iter(lambda: theirs.recv(2**20), b""))

        self.assertTrue(await deferToThread(read) == MUCH)
        await self.ended(protocol)

    async def test_twice(self) -> None:
        """Once more changes nothing, in whatever way."""
        protocol, transport, _ = await self.connected()
        lose_now(transport)
        lose_now(transport)
        transport.loseConnection()
        await self.ended(protocol)
        lose_now(transport)

    async def test_peer_first(self) -> None:
        """A peer that has closed in the same turn."""
        protocol, transport, theirs = await self.connected()
        lose_now(transport)
        theirs.close()
        transport.connectionLost(Failure(ConnectionDone()))
        await self.ended(protocol)

    async def test_aborted(self) -> None:
        """Who aborts the connection in the same turn ends it, and that once."""
        for first, then in ((lose_now, Server.abortConnection), (Server.abortConnection, lose_now)):
            protocol, transport, _ = await self.connected()
            first(transport)
            then(transport)
            await protocol.lost
            await deferLater(cast(IReactorTime, reactor), 0)
            self.assertEqual(len(protocol.reasons), 1)
            protocol.reasons[0].trap(ConnectionAborted)

    async def test_nothing_after_it(self) -> None:
        """What is written behind it is not sent."""
        protocol, transport, theirs = await self.connected()
        lose_now(transport)
        write_now(transport, b"too late")
        await self.ended(protocol)
        self.assertEqual(theirs.recv(100), b"")

    async def test_tls(self) -> None:
        """TLS ends in its own way, and hears the peer for it."""
        _, transport, _ = await self.connected()
        called: list[str] = []
        self.patch(transport, "TLS", True)
        for name in ("resumeProducing", "loseConnection"):
            self.patch(transport, name, lambda name=name: called.append(name))
        lose_now(transport)
        self.assertEqual(called, ["resumeProducing", "loseConnection"])

    def test_other_transports(self) -> None:
        """Whatever else is a transport is told to close."""
        transport = StringTransport()
        lose_now(transport)
        self.assertTrue(transport.disconnecting)
