"""Sockets whose short calls keep Python's lock."""

from __future__ import annotations

import errno
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorSocket
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hermes.net.quick_socket import LARGE_OCTETS, ROOM_OCTETS, QuickSocket, make_quick

#: More than the buffers of two sockets on loopback take together.
MUCH = bytes(range(256)) * 2**16


class QuickSocketTests(SynchronousTestCase):
    """QuickSocket, by what sockets do."""

    def setUp(self) -> None:
        """Two ends."""
        self.plain, self.theirs = socket.socketpair()
        self.addCleanup(self.plain.close)
        self.addCleanup(self.theirs.close)
        self.plain.setblocking(False)
        self.theirs.settimeout(60)
        self.quick = QuickSocket(self.plain)

    def test_send(self) -> None:
        """Octets arrive as they are, zeros among them, from what Twisted sends: octets, and views of them."""
        octets = b"250 2.0.0 ok\r\n\0\xff"
        for data in (octets, memoryview(octets), memoryview(octets)[3:9], memoryview(bytearray(octets))):
            with self.subTest(data=data):
                self.assertEqual(self.quick.send(data), len(data))
                self.assertEqual(self.theirs.recv(100), bytes(data))

    def test_receive(self) -> None:
        """What has come, no more than is asked for, and nothing when the peer has closed."""
        self.theirs.sendall(b"MAIL\0FROM\xff")
        self.assertEqual(self.quick.recv(4), b"MAIL")
        self.assertEqual(self.quick.recv(100), b"\0FROM\xff")
        self.theirs.close()
        self.assertEqual(self.quick.recv(100), b"")

    def test_room(self) -> None:
        """Never more than there is room for, whatever is asked."""
        self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * ROOM_OCTETS)
        sender = threading.Thread(target=self.theirs.sendall, args=(MUCH,), daemon=True)
        sender.start()
        received = b""
        most = 0
        while len(received) < len(MUCH):
            try:
                piece = self.quick.recv(16 * ROOM_OCTETS)
            except BlockingIOError:
                time.sleep(0)
                continue
            most = max(most, len(piece))
            received += piece
        sender.join()
        self.assertEqual(received, MUCH)
        self.assertLessEqual(most, ROOM_OCTETS)

    def test_large(self) -> None:
        """What is large is sent, and what comes behind it received, while other threads run; all arrives in its order."""
        calls: list[str] = []
        plain = cast(Any, self.plain)

        class Watched:
            """The plain socket, which the calls are seen to reach that give the lock away."""

            def send(self, data: bytes) -> int:
                calls.append("send")
                return int(plain.send(data))

            def recv(self, most: int) -> bytes:
                calls.append("recv")
                return bytes(plain.recv(most))

            def fileno(self) -> int:
                return int(plain.fileno())

        quick = QuickSocket(cast(socket.socket, Watched()))
        for octets, expected in ((LARGE_OCTETS - 1, []), (LARGE_OCTETS, []), (LARGE_OCTETS + 1, ["send"])):
            with self.subTest(octets=octets):
                calls.clear()
                self.assertEqual(quick.send(MUCH[:octets]), octets)
                self.assertEqual(calls, expected)
                self.assertEqual(self.received(octets), MUCH[:octets])
        for octets, expected in ((LARGE_OCTETS - 1, []), (LARGE_OCTETS, []), (LARGE_OCTETS + 1, ["recv"])):
            with self.subTest(octets=octets):
                calls.clear()
                for piece in (MUCH[:octets], b"next", b"last"):
                    self.theirs.sendall(piece)
                    self.assertEqual(quick.recv(ROOM_OCTETS), piece)
                # Of the three the second is the one behind much, and itself is little.
                self.assertEqual(calls, expected)

    def received(self, octets: int) -> bytes:
        """So much, from the other end."""
        found = b""
        while len(found) < octets:
            found += self.theirs.recv(octets - len(found))
        return found

    def test_would_wait(self) -> None:
        """Neither waits: nothing has come, and what does not fit is not taken."""
        with self.assertRaises(BlockingIOError) as raised:
            self.quick.recv(100)
        # By its first argument Twisted knows it.
        self.assertEqual(raised.exception.args[0], errno.EWOULDBLOCK)
        taken = self.quick.send(MUCH)
        self.assertLess(taken, len(MUCH))
        with self.assertRaises(BlockingIOError):
            while True:
                self.quick.send(MUCH)

    def test_broken(self) -> None:
        """The errors are those of sockets; one that was closed is nobody else's."""
        self.theirs.close()
        with self.assertRaises(BrokenPipeError):
            self.quick.send(b"anybody there?")
        self.plain.close()
        for attempt in (lambda: self.quick.send(b"x"), lambda: self.quick.recv(1)):
            with self.assertRaises(OSError) as raised:
                attempt()
            self.assertEqual(raised.exception.errno, errno.EBADF)

    def test_own(self) -> None:
        """All else is the socket's own."""
        self.assertEqual(self.quick.fileno(), self.plain.fileno())
        self.assertEqual(self.quick.getsockname(), self.plain.getsockname())
        with self.assertRaises(AttributeError):
            self.quick.nothing_that_sockets_have  # noqa: B018 - that is the test

    def test_lock_is_kept(self) -> None:
        """No other thread runs while it sends and receives; with the plain socket one does."""
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        # Nobody who waits for the lock is given it before that.
        sys.setswitchinterval(1000)
        turns = [0]
        over = threading.Event()

        def take_turns() -> None:
            while not over.is_set():
                turns[0] += 1
                time.sleep(0)

        def there_and_back(ours: Any) -> None:
            ours.send(b"x")
            _ = others.recv(10)

        ends = [socket.socketpair() for _ in range(2)]
        for end in (end for pair in ends for end in pair):
            self.addCleanup(end.close)
            end.setblocking(False)
        thread = threading.Thread(target=take_turns, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(over.set)
        others = cast(Any, QuickSocket(ends[0][1]))
        before = turns[0]
        for _ in range(1000):
            there_and_back(QuickSocket(ends[0][0]))
        self.assertEqual(turns[0], before)
        others = ends[1][1]
        for _ in range(1_000_000):
            there_and_back(ends[1][0])
            if turns[0] != before:
                break
        self.assertNotEqual(turns[0], before)


class _Echo(Protocol):
    """Sends back what comes."""

    def __init__(self) -> None:
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        make_quick(self.transport)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008 - as Twisted has it
        self.lost.callback(None)


class TransportTests(TestCase):
    """make_quick."""

    async def echoed(self, ours: socket.socket, family: int, ask: Callable[[], Deferred[bytes]]) -> bytes:
        """What comes back from a transport with a quick socket."""
        protocol = _Echo()
        ours.setblocking(False)
        cast(IReactorSocket, reactor).adoptStreamConnection(
            ours.fileno(), family, Factory.forProtocol(lambda: protocol)
        )
        ours.close()
        answer = await ask()
        await protocol.lost
        return answer

    async def test_transports(self) -> None:
        """Much goes there and back over TCP and over a UNIX socket, with waiting for room, and the end is noticed."""
        from twisted.internet.threads import deferToThread

        for family in (socket.AF_INET, socket.AF_UNIX):
            with self.subTest(family=family):
                ours, theirs = _pair(family)

                def ask(theirs: socket.socket = theirs) -> bytes:
                    sender = threading.Thread(target=theirs.sendall, args=(MUCH,), daemon=True)
                    sender.start()
                    found = b""
                    while len(found) < len(MUCH):
                        found += theirs.recv(2**20)
                    sender.join()
                    theirs.close()
                    return found

                def in_thread(ask: Callable[[], bytes] = ask) -> Deferred[bytes]:
                    return deferToThread(ask)

                self.assertEqual(await self.echoed(ours, family, in_thread), MUCH)

    def test_others(self) -> None:
        """What has no socket of its own stays as it is."""
        transport = StringTransport()
        make_quick(transport)
        make_quick(None)
        self.assertFalse(hasattr(transport, "socket"))


def _pair(family: int) -> tuple[socket.socket, socket.socket]:
    if family == socket.AF_UNIX:
        ours, theirs = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            theirs = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
    theirs.settimeout(60)
    return ours, theirs
