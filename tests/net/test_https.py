"""Asking web services: verified, bounded in time and octets, whatever they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.trial.unittest import TestCase

from hermes.core.fetched import Fetched
from hermes.interfaces import UnavailableError
from hermes.net import https
from hermes.net.fetch import Fetcher
from hermes.net.https import MAX_HEAD_OCTETS, MAX_OCTETS, Answer, post_form
from tests.support.certificates import make_certificate


class _Server(Protocol):
    """Sends its answer when the head of a request has come; without one it says nothing."""

    def __init__(self, answer: bytes, *, close: bool, flood: bytes) -> None:
        self._answer = answer
        self._close = close
        self._flood = flood
        self.seen = b""

    def dataReceived(self, data: bytes) -> None:
        """The request."""
        self.seen += data
        if b"\r\n\r\n" in self.seen or self._answer.startswith(b"220"):
            self.transport.write(self._answer)
            if self._flood:
                self.transport.registerProducer(self, False)
            elif self._close:
                self.transport.loseConnection()

    def resumeProducing(self) -> None:
        """More of the flood."""
        self.transport.write(self._flood)

    def stopProducing(self) -> None:
        """It was cut off."""


class ServedCase(TestCase):
    """A server that does what a test tells it."""

    timeout = 20

    def setUp(self) -> None:
        """Certificates, and nothing that listens."""
        self.certificate, self.key = make_certificate(Path(self.mktemp()), "localhost")
        self.connections: list[_Server] = []
        self.ports: list[Any] = []

    async def tearDown(self) -> None:
        """Nothing listens any more."""
        for port in self.ports:
            await port.stopListening()
        for connection in self.connections:
            if connection.transport.connected:
                connection.transport.abortConnection()

    def serve(self, answer: bytes = b"", *, close: bool = True, flood: bytes = b"", tls: bool = True) -> str:
        """Listen; the address."""

        def make(address: Any) -> _Server:
            connection = _Server(answer, close=close, flood=flood)
            self.connections.append(connection)
            return connection

        factory = Factory()
        factory.buildProtocol = make
        if tls:
            context = DefaultOpenSSLContextFactory(self.key, self.certificate)
            port = reactor.listenSSL(0, factory, context, interface="127.0.0.1")
        else:
            port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.ports.append(port)
        return f"https://localhost:{port.getHost().port}/token"


class PostTests(ServedCase):
    """Forms."""

    async def ask(self, address: str, authority: str | None = None) -> Answer | str:
        """Send a form."""
        return await post_form(reactor, address, {"a b": "c&d=\u00e4"}, authority=authority or self.certificate)

    async def test_answer(self) -> None:
        """The form goes as a form, and status and body come back; a redirect is an answer like any other."""
        for status, line in (
            (200, b"200 OK"),
            (400, b"400 Bad"),
            (302, b"302 Found\r\nLocation: https://example.net/"),
        ):
            address = self.serve(b"HTTP/1.1 " + line + b"\r\nContent-Length: 2\r\n\r\n{}", close=False)
            self.assertEqual(await self.ask(address), Answer(status, b"{}"))
            head, _, body = self.connections[-1].seen.partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"POST /token HTTP/1.1\r\n"))
            self.assertIn(b"content-type: application/x-www-form-urlencoded", head.lower())
            self.assertEqual(body, b"a+b=c%26d%3D%C3%A4")

    async def test_not_trusted(self) -> None:
        """A certificate of another authority, or for another name, is not spoken to: nothing of the form is sent."""
        address = self.serve(b"HTTP/1.1 200 OK\r\n\r\n")
        other, _ = make_certificate(Path(self.mktemp()), "other.example.net")
        for authority in (other, "/dev/null"):
            self.assertIsInstance(await self.ask(address, authority), str)
        self.certificate, self.key = make_certificate(Path(self.mktemp()), "other.example.net")
        self.assertIsInstance(await self.ask(self.serve(b"HTTP/1.1 200 OK\r\n\r\n")), str)
        self.assertEqual([connection.seen for connection in self.connections], [b""] * len(self.connections))

    async def test_never_in_the_clear(self) -> None:
        """Without HTTPS nothing is sent anywhere."""
        for address in ("http://localhost/", "ftp://localhost/", "localhost", "https://", "https:///x", ""):
            self.assertIn("is no https: address", str(await self.ask(address)))

    async def test_garbage(self) -> None:
        """What is not TLS, not HTTP, or breaks off, is told in words."""
        for answer in (b"", b"hello\r\n\r\n", b"\0" * 1000, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"):
            said = await self.ask(self.serve(answer))
            self.assertIsInstance(said, str, answer)
            self.assertIn("localhost", str(said))
        said = await self.ask(self.serve(b"220 mail.example.net ESMTP\r\n", tls=False))
        self.assertIsInstance(said, str)

    async def test_forms_of_answers(self) -> None:
        """With a length, in chunks, until the end, and after an interim one; whether or not the server closes (RFC 9112 6.3)."""
        for answer, close in (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", False),
            (b"HTTP/1.1 200 OK\r\n\r\n{}", True),
            (b"HTTP/1.0 200 OK\r\n\r\n{}", True),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", True),
        ):
            self.assertEqual(await self.ask(self.serve(answer, close=close)), Answer(200, b"{}"))

    async def test_too_long(self) -> None:
        """An answer of the largest size is taken, one octet more is not."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
        fits = MAX_OCTETS - len(head % 100000)
        for octets, taken in ((fits, True), (fits + 1, False)):
            said = await self.ask(self.serve(head % octets + b"x" * octets))
            self.assertEqual(isinstance(said, Answer), taken)
        self.assertIn("more than", str(said))

    async def test_floods(self) -> None:
        """A server that never ends, in its body, its headers or its status line, is cut off."""
        for start, flood in (
            (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10000),
            (b"HTTP/1.1 200 OK\r\n", b"X-More: of it\r\n" * 500),
            (b"HTTP/1.1 200 " + b"x" * 20000, b"x" * 10000),
            (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 300),
        ):
            said = await self.ask(self.serve(start, flood=flood))
            self.assertIsInstance(said, str, start)

    async def test_silence(self) -> None:
        """Who does not answer in time, at any stage, is not waited for."""
        self.patch(https, "SECONDS", 0.2)
        for answer in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"):
            said = await self.ask(self.serve(answer, close=False))
            self.assertIn("did not answer within", str(said))
        said = await self.ask(self.serve(close=False, tls=False))
        self.assertIn("did not answer within", str(said))

    async def test_nobody_there(self) -> None:
        """A refused connection is told with the system's words."""
        address = self.serve(b"")
        await self.ports.pop().stopListening()
        self.assertIn("cannot connect to localhost", str(await self.ask(address)))

    async def test_cancelled(self) -> None:
        """Who does not want the answer any more can say so."""
        asked = Deferred.fromCoroutine(self.ask(self.serve(close=False)))
        asked.addErrback(lambda failure: "cancelled")
        asked.cancel()
        self.assertIn(await asked, ("cancelled", "localhost cannot be found"))


class FetchTests(ServedCase):
    """What a question to a stranger's web server meets (:mod:`hermes.net.fetch`)."""

    async def fetch(self, *pieces: bytes, **more: Any) -> Fetched | str:
        """Ask a server that answers so; its words when there is no answer."""
        url = self.serve(*pieces, **more)
        try:
            return await Fetcher(reactor, 15, self.certificate).fetch(f"{url}?a=b", {"Accept": "text/plain"})
        except UnavailableError as error:
            return str(error)

    async def test_whole(self) -> None:
        """An answer ends where it says, or with its connection; one without content has none, whatever follows."""
        for answer, expected, close in (
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay", Fetched(200, b"ok"), False),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Fetched(200, b"ok"), False),
            (b"HTTP/1.1 200 OK\r\n\r\nok", Fetched(200, b"ok"), True),
            (b"HTTP/1.1 204 No Content\r\n\r\n", Fetched(204, b""), False),
        ):
            self.assertEqual(await self.fetch(answer, close=close), expected)
        seen = self.connections[-1].seen
        self.assertTrue(seen.startswith(b"GET /token?a=b HTTP/1.1\r\nHost: localhost:"), seen)
        for line in (b"\r\nAccept: text/plain\r\n", b"\r\nConnection: close\r\n"):
            self.assertIn(line, seen)

    async def test_without_end(self) -> None:
        """Fields, interim answers, lines or content without end are not read to their end."""
        for answer, flood in (
            (b"HTTP/1.1 200 OK\r\n", b"X-More: of the same\r\n" * 1000),
            (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
            (b"HTTP/1.1 200 ", b"x" * 10_000),
            (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1000),
        ):
            said = await self.fetch(answer, flood=flood)
            self.assertIn("octets", str(said), answer)

    async def test_head(self) -> None:
        """A head may be so long; what goes on beyond is no head."""
        start = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: "
        for octets in (MAX_HEAD_OCTETS - 1, MAX_HEAD_OCTETS):
            head = start + b"x" * (octets - len(start) - 4)
            self.assertEqual(await self.fetch(head + b"\r\n\r\n", close=False), Fetched(200, b""))
        said = await self.fetch(start + b"x" * MAX_HEAD_OCTETS, close=False)
        self.assertIn(f"head of the answer has more than {MAX_HEAD_OCTETS} octets", str(said))

    async def test_no_address(self) -> None:
        """What is no address of a web page is not asked, whatever stands in it."""
        for url in (
            "http://localhost/",
            "https://",
            "https://localhost/a b",
            "https://localhost/\r\nX: y",
            "https://[/",
        ):
            with self.assertRaises(UnavailableError):
                await Fetcher(reactor, 15, self.certificate).fetch(url, {})
