"""Opening sockets: what works, and what is said when it does not."""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import tempfile
from pathlib import Path
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial import util
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hermes.config.listener import parse_listener
from hermes.net.listen import ListenError, accept, bind, discard


class BindTests(SynchronousTestCase):
    """Sockets before anybody accepts."""

    def opened(self, text: str, inherited: dict[str, int] | None = None) -> socket.socket:
        """Bind, and close at the end."""
        opened = bind(parse_listener(text), (inherited or {}).__getitem__)
        self.addCleanup(opened.close)
        return opened

    def directory(self) -> Path:
        """A directory with a short path, as UNIX sockets want."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return Path(directory.name)

    def test_every_address(self) -> None:
        """One socket takes IPv4 and IPv6."""
        opened = self.opened("*:0")
        if opened.family == socket.AF_INET6:
            self.assertEqual(opened.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY), 0)
        socket.create_connection(("127.0.0.1", opened.getsockname()[1])).close()

    def test_ipv6_alone(self) -> None:
        """An IPv6 address does not take IPv4 along."""
        opened = self.opened("[::1]:0")
        self.assertEqual(opened.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY), 1)

    def test_no_delay(self) -> None:
        """Accepted connections send at once."""
        opened = self.opened("127.0.0.1:0")
        with socket.create_connection(opened.getsockname()):
            opened.setblocking(True)
            accepted, _ = opened.accept()
            with accepted:
                self.assertNotEqual(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 0)

    def test_taken(self) -> None:
        """A port that is taken is named, with a remedy."""
        port = self.opened("127.0.0.1:0").getsockname()[1]
        with self.assertRaisesRegex(ListenError, rf"127\.0\.0\.1:{port}: something else listens there already"):
            self.opened(f"127.0.0.1:{port}")

    def test_foreign_address(self) -> None:
        """An address that this machine does not have is said to be that."""
        with self.assertRaisesRegex(ListenError, "does not have that address"):
            self.opened("192.0.2.1:0")

    def test_unix(self) -> None:
        """A UNIX socket is for its owner and group."""
        path = self.directory() / "s"
        self.opened(f"unix:{path}")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)

    def test_unix_stale(self) -> None:
        """A socket that a killed process has left behind is replaced."""
        path = self.directory() / "s"
        self.opened(f"unix:{path}").close()
        self.opened(f"unix:{path}")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))

    def test_unix_in_use(self) -> None:
        """One that somebody listens at is not."""
        path = self.directory() / "s"
        self.opened(f"unix:{path}")
        with self.assertRaisesRegex(ListenError, "listens there already; stop it, or choose another file") as caught:
            self.opened(f"unix:{path}")
        self.assertTrue(caught.exception.in_use)

    def test_unix_forbidden(self) -> None:
        """Where no file may be made the directory is named; ports have nothing to do with it."""
        path = self.directory() / "s"
        for number in (errno.EACCES, errno.EROFS):
            words = OSError(number, os.strerror(number))
            with patch("socket.socket.bind", side_effect=words), self.assertRaises(ListenError) as caught:
                self.opened(f"unix:{path}")
            self.assertNotIn("port", str(caught.exception))
            self.assertTrue(str(caught.exception).endswith(f"must be able to write to {path.parent}"))
            self.assertFalse(caught.exception.in_use)

    def test_unix_elsewhere(self) -> None:
        """A directory that is not there is said to be that."""
        with self.assertRaisesRegex(ListenError, "s: No such file or directory"):
            self.opened(f"unix:{self.directory()}/none/s")

    def test_unix_is_a_file(self) -> None:
        """A file of that name is never removed."""
        path = self.directory() / "s"
        path.write_text("precious")
        with self.assertRaisesRegex(ListenError, "not a socket"):
            self.opened(f"unix:{path}")
        self.assertEqual(path.read_text(), "precious")

    def test_systemd(self) -> None:
        """A socket that systemd opened is found by its name."""
        given = self.opened("127.0.0.1:0")
        opened = self.opened("systemd:smtp", {"smtp": given.fileno()})
        self.assertEqual(opened.getsockname(), given.getsockname())

    def test_systemd_missing(self) -> None:
        """One that it did not open is asked for."""
        with self.assertRaisesRegex(ListenError, "no socket of that name .*; set FileDescriptorName=smtp"):
            self.opened("systemd:smtp", {"pop3": 0})


class Greeter(Protocol):
    """Says hello."""

    def connectionMade(self) -> None:
        """Greet and go."""
        self.transport.write(b"hello")
        self.transport.loseConnection()


class Listener(Protocol):
    """Collects what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.closed: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Collect."""
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:
        """Tell."""
        self.closed.callback(self.heard)


class AcceptTests(TestCase):
    """From bound to accepting."""

    # Twisted compares the path of a UNIX socket, which it has in octets, with text too.
    suppress = [util.suppress(message="Comparison between bytes and string", category=BytesWarning)]

    async def test_accepting(self) -> None:
        """A client that came between binding and accepting is served."""
        opened = bind(parse_listener("127.0.0.1:0"), {}.__getitem__)
        address = opened.getsockname()
        client = Listener()
        with socket.create_connection(address) as early:
            port = accept(reactor, opened, Factory.forProtocol(Greeter))
            reactor.adoptStreamConnection(early.fileno(), socket.AF_INET, _Once(client))
        self.assertEqual(await client.closed, b"hello")
        await port.stopListening()

    def test_rights(self) -> None:
        """A UNIX socket is not opened to more people when accepting begins."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = Path(directory.name) / "s"
        opened = bind(parse_listener(f"unix:{path}"), {}.__getitem__)
        path.chmod(0o600)
        port = accept(reactor, opened, Factory.forProtocol(Greeter))
        self.addCleanup(port.stopListening)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)

    def test_backlog(self) -> None:
        """More clients may wait to be accepted than Twisted's own fifty."""
        opened = bind(parse_listener("127.0.0.1:0"), {}.__getitem__)
        address = opened.getsockname()
        port = accept(reactor, opened, Factory.forProtocol(Greeter))
        self.addCleanup(port.stopListening)
        waiting = []
        for _ in range(60):
            client = socket.socket()
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect_ex(address)
            waiting.append(client)
        _, writable, _ = select.select([], waiting, [], 0)
        self.assertEqual(len(writable), 60)

    def test_discarded(self) -> None:
        """A socket at which nothing was accepted is closed, and its file removed; somebody else may have done that."""
        with tempfile.TemporaryDirectory() as directory:
            listener = parse_listener(f"unix:{directory}/s")
            for _ in range(2):
                opened = bind(listener, {}.__getitem__)
                discard(listener, opened)
                self.assertEqual((opened.fileno(), os.listdir(directory)), (-1, []))
            discard(listener, opened)

    def test_discarded_of_systemd(self) -> None:
        """What systemd has opened stays there for the next start."""
        with tempfile.TemporaryDirectory() as directory:
            given = bind(parse_listener(f"unix:{directory}/s"), {}.__getitem__)
            self.addCleanup(given.close)
            listener = parse_listener("systemd:lmtp")
            discard(listener, bind(listener, {"lmtp": given.fileno()}.__getitem__))
            self.assertEqual(os.listdir(directory), ["s"])

    def test_the_descriptor_is_taken_over(self) -> None:
        """No second descriptor stays open."""
        opened = bind(parse_listener("127.0.0.1:0"), {}.__getitem__)
        port = accept(reactor, opened, Factory.forProtocol(Greeter))
        self.addCleanup(port.stopListening)
        self.assertEqual(opened.fileno(), -1)
        os.fstat(port.fileno())


class _Once(Factory):
    """Makes one protocol."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: object) -> Protocol:
        """Give it out."""
        return self._protocol
