"""Figures over HTTP: who gets them, and how little a peer can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.core.metric import gauge
from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.interfaces import IControl
from hermes.services.metrics_server import (
    CONNECTION_SECONDS,
    MAX_CONNECTIONS,
    MAX_FIELDS,
    MAX_HEADER_OCTETS,
    REFUSALS_SECONDS,
    MetricsFactory,
)

GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


@implementer(IControl)
class Control:
    """Answers with one family, or as the test says."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Any = [gauge("hermes_x", "What x is.", 7).as_json()]

    async def call(self, command: str, arguments: Mapping[str, Any]) -> Any:
        """Answer."""
        assert command == "metrics"
        self.asked += 1
        answer = self.answer
        if isinstance(answer, Exception):
            raise answer
        return await answer if isinstance(answer, Deferred) else answer


class Wire(StringTransport):
    """A connection that knows how it was ended."""

    aborted = False

    def abortConnection(self) -> None:
        """Note it."""
        self.aborted = True
        super().abortConnection()

    @property
    def over(self) -> bool:
        """Whether this end has had enough."""
        return self.aborted or self.disconnecting


class MetricsServerTestCase(SynchronousTestCase):
    """A server with a clock, and wires to it."""

    def setUp(self) -> None:
        """One that lets in who is not 203.0.113.9."""
        self.clock = Clock()
        self.control = Control()
        self.factory = MetricsFactory(self.control, self.clock, self.refusal)

    @staticmethod
    def refusal(peer: str) -> Verdict | None:
        """Judge."""
        no = Verdict(Reply.of(554, "5.7.1", "No"), "metrics.stranger", f"no [access:NAME] allows {peer}")
        return no if peer == "203.0.113.9" else None

    def connect(self, peer: str = "192.0.2.1") -> tuple[Any, Wire]:
        """A connection."""
        address = IPv4Address("TCP", peer, 1234)
        wire = Wire(peerAddress=address)
        channel: Any = self.factory.buildProtocol(address)
        channel.makeConnection(wire)
        return channel, wire

    def ask(self, octets: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send octets on a new connection: status, fields and body of the answer; the connection has ended."""
        channel, wire = self.connect()
        channel.dataReceived(octets)
        self.assertTrue(wire.over)
        channel.connectionLost(Failure(ConnectionLost()))
        return self.read(wire.value())

    def read(self, answer: bytes) -> tuple[int, dict[str, str], bytes]:
        """Take an answer apart."""
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        return int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in rest)}, body


class AnswerTests(MetricsServerTestCase):
    """What is answered."""

    def test_get(self) -> None:
        """The text, in the form that Prometheus reads, on a connection that ends."""
        status, fields, body = self.ask(GET)
        self.assertEqual(status, 200)
        self.assertEqual(body, b"# HELP hermes_x What x is.\n# TYPE hermes_x gauge\nhermes_x 7.0\n")
        self.assertEqual(fields["content-type"].split(";")[0], "text/plain")
        self.assertEqual(fields["content-length"], str(len(body)))
        self.assertEqual(fields["connection"], "close")

    def test_query(self) -> None:
        """Words after a question mark change nothing."""
        self.assertEqual(self.ask(b"GET /metrics?name=x HTTP/1.0\r\n\r\n")[0], 200)

    def test_head(self) -> None:
        """HEAD has the same fields, and no body (RFC 9110 9.3.2)."""
        _, wanted, body = self.ask(GET)
        status, fields, nothing = self.ask(GET.replace(b"GET", b"HEAD"))
        self.assertEqual((status, nothing), (200, b""))
        self.assertEqual(fields["content-length"], wanted["content-length"])
        self.assertNotEqual(body, b"")

    def test_other_methods(self) -> None:
        """405 says what is allowed (RFC 9110 15.5.6)."""
        for method in (b"POST", b"DELETE", b"OPTIONS", b"XYZ"):
            status, fields, _ = self.ask(GET.replace(b"GET", method))
            self.assertEqual((status, fields["allow"]), (405, "GET, HEAD"))
        self.assertEqual(self.control.asked, 0)

    def test_other_paths(self) -> None:
        """There is nothing else, whatever the method."""
        for path in (b"/", b"/metrics/", b"/metrics/../etc", b"/%6detrics", b"/favicon.ico", b"*"):
            self.assertEqual(self.ask(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")[0], 404)
        self.assertEqual(self.ask(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")[0], 404)

    def test_octet_by_octet(self) -> None:
        """A request in pieces is the same request."""
        channel, wire = self.connect()
        for octet in GET:
            channel.dataReceived(bytes([octet]))
        self.assertEqual(self.read(wire.value())[0], 200)

    def test_one_request(self) -> None:
        """What comes after the first request is not answered."""
        channel, wire = self.connect()
        channel.dataReceived(GET + GET)
        channel.dataReceived(GET)
        self.assertEqual(wire.value().count(b"HTTP/1.1 200"), 1)
        self.assertTrue(wire.over)

    def test_cannot_be_told(self) -> None:
        """What is a matter of the moment is 503 with the words; a fault of ours is 500 and in the log."""
        self.control.answer = ValueError("worker 1 is being replaced: try again in a moment")
        status, _, body = self.ask(GET)
        self.assertEqual((status, body), (503, b"worker 1 is being replaced: try again in a moment\n"))
        self.control.answer = RuntimeError("what nobody shall see")
        status, _, body = self.ask(GET)
        self.assertEqual(status, 500)
        self.assertNotIn(b"nobody shall see", body)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class GatheringTests(MetricsServerTestCase):
    """What takes a while."""

    def test_once(self) -> None:
        """Who asks while the figures are being gathered gets the same; who asks later, new ones."""
        self.control.answer = answer = Deferred()
        wires = []
        for _ in range(3):
            channel, wire = self.connect()
            channel.dataReceived(GET)
            wires.append(wire)
        self.assertEqual([wire.value() for wire in wires], [b""] * 3)
        answer.callback([gauge("hermes_y", "Y.", 1).as_json()])
        self.assertEqual([self.read(wire.value())[0] for wire in wires], [200] * 3)
        self.assertEqual(self.control.asked, 1)
        self.control.answer = []
        self.ask(GET)
        self.assertEqual(self.control.asked, 2)

    def test_gone_meanwhile(self) -> None:
        """Who leaves while the figures are being gathered is forgotten, and harms nobody else."""
        self.control.answer = answer = Deferred()
        leaving, _ = self.connect()
        leaving.dataReceived(GET)
        staying, wire = self.connect()
        staying.dataReceived(GET)
        leaving.connectionLost(Failure(ConnectionLost()))
        answer.callback([])
        self.assertEqual(self.read(wire.value())[0], 200)

    def test_all_gone(self) -> None:
        """When nobody waits any more, the figures are nobody's."""
        self.control.answer = answer = Deferred()
        channel, _ = self.connect()
        channel.dataReceived(GET)
        channel.connectionLost(Failure(ConnectionLost()))
        answer.errback(RuntimeError("late"))
        self.assertEqual(self.flushLoggedErrors(RuntimeError), [])


class HostilePeerTests(MetricsServerTestCase):
    """A peer that does not mean well."""

    def test_slow(self) -> None:
        """However slowly somebody speaks, the connection ends in its time, and not before."""
        channel, wire = self.connect()
        for octet in b"GET /me":
            channel.dataReceived(bytes([octet]))
            self.clock.advance(CONNECTION_SECONDS / 8)
        self.assertFalse(wire.over)
        self.clock.advance(CONNECTION_SECONDS / 8)
        self.assertTrue(wire.aborted)

    def test_does_not_read(self) -> None:
        """Who takes no answer is not waited for."""
        channel, wire = self.connect()
        channel.dataReceived(GET)
        self.clock.advance(CONNECTION_SECONDS)
        self.assertTrue(wire.aborted)

    def test_in_time(self) -> None:
        """A connection that has ended has no timer."""
        self.ask(GET)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def header(self, octets: int) -> bytes:
        """A request whose lines have so many octets together, without their ends."""
        first, host = b"GET /metrics HTTP/1.1", b"X: "
        return first + b"\r\n" + host + b"a" * (octets - len(first + host)) + b"\r\n\r\n"

    def test_header_octets(self) -> None:
        """A header below and at the limit is read, one above it is refused at once."""
        for octets, status in ((MAX_HEADER_OCTETS - 1, 200), (MAX_HEADER_OCTETS, 200), (MAX_HEADER_OCTETS + 1, 400)):
            self.assertEqual(self.ask(self.header(octets))[0], status, octets)

    def test_line_without_end(self) -> None:
        """A line that never ends is not kept."""
        channel, wire = self.connect()
        for _ in range(3):
            channel.dataReceived(b"a" * MAX_HEADER_OCTETS)
        self.assertTrue(wire.over)

    def test_fields(self) -> None:
        """As many fields as are allowed, and one more."""
        for count, status in ((MAX_FIELDS - 1, 200), (MAX_FIELDS, 200), (MAX_FIELDS + 1, 400)):
            lines = b"".join(b"X%d: y\r\n" % number for number in range(count))
            self.assertEqual(self.ask(b"GET /metrics HTTP/1.1\r\n" + lines + b"\r\n")[0], status, count)

    def test_body(self) -> None:
        """A body is refused before it comes, and what comes of it is neither kept nor read as a request."""
        for field in (b"Content-Length: 1", b"Content-Length: 99999999999", b"Transfer-Encoding: chunked"):
            channel, wire = self.connect()
            channel.dataReceived(b"GET /metrics HTTP/1.1\r\n" + field + b"\r\nExpect: 100-continue\r\n\r\nx")
            channel.dataReceived(GET)
            status, fields, body = self.read(wire.value())
            self.assertEqual((status, fields["connection"], body), (413, "close", b""))
            self.assertTrue(wire.over)
        self.assertEqual(self.control.asked, 0)
        self.assertEqual(self.ask(GET.replace(b"Host", b"Content-Length: 0\r\nHost"))[0], 200)

    def test_not_http(self) -> None:
        """What is no request at all is told so, and that is the end."""
        for octets in (b"EHLO example.org\r\n", b"\x16\x03\x01\x00\r\n", b"GET\r\n"):
            self.assertEqual(self.ask(octets)[0], 400)

    def test_connections(self) -> None:
        """There are so many connections at once and no more; one that has ended makes room for another."""
        channels = [self.connect() for _ in range(MAX_CONNECTIONS)]
        self.assertFalse(any(wire.over for _, wire in channels))
        with capturedLogs() as logged:
            _, above = self.connect()
        self.assertTrue(above.aborted)
        self.assertEqual([event["log_level"] for event in logged], [LogLevel.warn])
        channels[0][0].connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.ask(GET)[0], 200)

    def test_stranger(self) -> None:
        """Who may not ask is not heard, takes nobody's place, and is in the log once in ten minutes."""
        with capturedLogs() as logged:
            for _ in range(MAX_CONNECTIONS + 1):
                channel, wire = self.connect("203.0.113.9")
                channel.dataReceived(GET)
                self.assertEqual((wire.aborted, wire.value()), (True, b""))
                channel.connectionLost(Failure(ConnectionLost()))
            self.assertEqual(len(logged), 1)
            self.assertIn("no [access:NAME] allows 203.0.113.9", logged[0]["why"])
            self.clock.advance(REFUSALS_SECONDS)
            self.connect("203.0.113.9")
            self.assertEqual(len(logged), 2)
        self.assertEqual(self.ask(GET)[0], 200)
