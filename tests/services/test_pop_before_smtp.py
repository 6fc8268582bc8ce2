"""POP before SMTP: a login at a POP3 server, whatever that server does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from hermes.core.outcome import Outcome, Result
from hermes.net import pop3_opening
from hermes.net.tls import ServerTLS
from hermes.services import pop_before_smtp
from tests.services.test_smarthost import HOST, SmarthostCase
from tests.support.certificates import make_certificate
from tests.support.smtp_peer import Script


class _POP3(Protocol):
    """Says what its factory has for each verb, ``+OK`` by default."""

    def __init__(self, factory: POPPeer) -> None:
        self.factory: Any = factory

    def connectionMade(self) -> None:
        """Greet."""
        if self.factory.implicit:
            self.transport.startTLS(ServerTLS(*self.factory.certificate).context_factory())
        self.say("GREETING")

    def say(self, verb: str) -> None:
        """The answer to a verb."""
        answer = self.factory.replies.get(verb, b"+OK\r\n")
        self.transport.write(answer)
        if answer == b"":
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """A command, which always comes whole here."""
        for line in data.decode().splitlines():
            if line != "CAPA":
                self.factory.lines.append(line)
            self.say(line.split(" ", maxsplit=1)[0])
            if line == "STLS" and "STLS" not in self.factory.replies:
                self.transport.startTLS(ServerTLS(*self.factory.certificate).context_factory())


class POPPeer(Factory):
    """A POP3 server of sorts."""

    noisy = False

    def __init__(self, certificate: tuple[str, str], *, implicit: bool = False, **replies: bytes) -> None:
        self.certificate = certificate
        self.implicit = implicit
        self.replies = {"CAPA": b"-ERR\r\n", **replies}
        self.lines: list[str] = []
        self.open: list[_POP3] = []

    def buildProtocol(self, addr: Any) -> _POP3:
        """Somebody comes."""
        self.open.append(_POP3(self))
        return self.open[-1]


class PopBeforeSMTPTests(SmarthostCase):
    """A smart host that wants it."""

    timeout = 20

    def setUp(self) -> None:
        """No server yet."""
        super().setUp()
        self.pops: list[tuple[POPPeer, Any]] = []
        self.pair = make_certificate(Path(self.mktemp()), HOST)

    async def tearDown(self) -> None:
        """Nothing stays open."""
        await super().tearDown()
        for pop, port in self.pops:
            await port.stopListening()
            for connection in pop.open:
                connection.transport.abortConnection()

    async def through(self, tls: str = "starttls", times: int = 1, **options: Any) -> tuple[POPPeer, Outcome, Any]:
        """Send through a smart host with such a POP3 server."""
        pop = POPPeer(self.pair, implicit=tls == "implicit", **options)
        port = reactor.listenTCP(0, pop, interface="127.0.0.1")
        self.pops.append((pop, port))
        peer = self.peer(Script(extensions=["AUTH PLAIN"]))
        settings = {
            "username": "tim",
            "password": "pw",
            "pop_host": HOST,
            "pop_port": port.getHost().port,
            "pop_tls": tls,
        }
        agent = self.agent(peer, authority=self.pair[0], **settings)
        for _ in range(times):
            (outcome,) = await self.send(agent)
            for connection in list(peer.open):
                connection.cut()
        return pop, outcome, peer

    async def test_login(self) -> None:
        """The login comes first, with TLS as the settings say, and opens the way: SMTP itself has no login then."""
        for tls, lines in (
            ("none", ["USER tim", "PASS pw"]),
            ("starttls", ["STLS", "USER tim", "PASS pw"]),
            ("implicit", ["USER tim", "PASS pw"]),
        ):
            pop, outcome, peer = await self.through(tls)
            self.assertIs(outcome.result, Result.RELAYED, outcome.reason)
            self.assertEqual(pop.lines[: len(lines)], lines)
            self.assertNotIn("AUTH", peer.verbs)

    async def test_good_for_a_while(self) -> None:
        """One login is good for several connections."""
        pop, outcome, peer = await self.through("none", times=3)
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertEqual((pop.lines.count("USER tim"), peer.connections), (1, 3))

    async def test_refused(self) -> None:
        """A refusal delays the mail with the server's words, and is not provoked again for some minutes."""
        pop, outcome, peer = await self.through("none", times=3, PASS=b"-ERR [AUTH] wrong\r\n")
        self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.7.8"))
        self.assertIn(f"POP before SMTP at {HOST} failed: it refuses the login: [AUTH] wrong", outcome.reason)
        self.assertEqual((pop.lines.count("PASS pw"), peer.connections), (1, 0))
        self.assertEqual(pop_before_smtp.PAUSE_SECONDS, 300.0)

    async def test_never_in_the_clear(self) -> None:
        """Without STLS, or with a certificate that is not trusted, the password stays here."""
        pop, outcome, _ = await self.through(STLS=b"-ERR what?\r\n")
        self.assertIn("what?", outcome.reason)
        other = make_certificate(Path(self.mktemp()), "other.example.net")
        self.pair = (self.pair[0], self.pair[1])
        trusted, self.pair = self.pair, other
        pop2 = POPPeer(other)
        port = reactor.listenTCP(0, pop2, interface="127.0.0.1")
        self.pops.append((pop2, port))
        settings = {"username": "tim", "password": "pw", "pop_host": HOST, "pop_port": port.getHost().port}
        (outcome,) = await self.send(self.agent(self.peer(), authority=trusted[0], **settings))
        self.assertIn("its certificate is not trusted", outcome.reason)
        for each in (pop, pop2):
            self.assertFalse([line for line in each.lines if line.startswith(("USER", "PASS"))])

    async def test_hostile(self) -> None:
        """Garbage, floods, silence and a hang-up, at each stage, delay the mail and nothing else."""
        self.patch(pop3_opening, "LOGIN_SECONDS", 0.3)
        for verb in ("GREETING", "USER", "PASS"):
            for answer in (b"", b"hello\r\n", b"\xff\0\x1b\r\n", b"+" * 10_000, b"+OK\r\n" * 1000, b"+O"):
                _, outcome, peer = await self.through("none", **{verb: answer})
                self.assertIs(outcome.result, Result.DEFERRED, (verb, answer[:10]))
                self.assertTrue(outcome.reason.isprintable())
                self.assertEqual(peer.connections, 0)

    async def test_next_address(self) -> None:
        """When nobody is at one address of the server, the next is tried, as for SMTP."""
        self.names.hosts[HOST] = ("::1", "127.0.0.1")
        pop, outcome, _ = await self.through("none")
        self.assertIs(outcome.result, Result.RELAYED, outcome.reason)
        self.assertEqual(pop.lines[:2], ["USER tim", "PASS pw"])
        # What one address says about the password is not asked of the next.
        pop, outcome, _ = await self.through("none", PASS=b"-ERR [AUTH] wrong\r\n")
        self.assertEqual(pop.lines.count("PASS pw"), 1)

    async def test_nobody_there(self) -> None:
        """A server that cannot be reached or found is told."""
        settings = {"username": "tim", "password": "pw", "pop_tls": "none"}
        pop = reactor.listenTCP(0, POPPeer(self.pair), interface="127.0.0.1")
        port = pop.getHost().port
        await Deferred.fromCoroutine(_stopped(pop))
        (outcome,) = await self.send(self.agent(self.peer(), pop_host=HOST, pop_port=port, **settings))
        self.assertIn("cannot connect", outcome.reason)
        (outcome,) = await self.send(self.agent(self.peer(), pop_host="gone.example.net", **settings))
        self.assertIn("it cannot be found", outcome.reason)


async def _stopped(port: Any) -> None:
    await port.stopListening()
