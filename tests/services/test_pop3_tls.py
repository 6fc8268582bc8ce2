"""STLS and TLS from the first octet, over real connections on the loopback."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from hermes.config.schema import POP3Settings
from hermes.net.tls import ServerTLS
from hermes.protocols.scram import CHANNEL_BINDINGS, TLS_EXPORTER, TLS_SERVER_END_POINT
from tests.support.certificates import make_certificate
from tests.support.mailbox import MailboxRealm, MemoryMailbox
from tests.support.pop3 import Site
from tests.support.scram import MemoryKeys, ScramClient

MESSAGE = b"Subject: big\n\n" + b"0123456789\n" * 200_000


class Caller(Protocol):
    """The client."""

    def __init__(self) -> None:
        self.heard = b""
        self.closed: Deferred[None] = Deferred()
        self._ending: tuple[bytes, Deferred[bytes]] | None = None

    def dataReceived(self, data: bytes) -> None:
        """Keep it, and look whether it is all that is waited for."""
        self.heard += data
        self._look()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The server has closed."""
        self.closed.callback(None)

    async def until(self, end: bytes) -> bytes:
        """What was heard, when it ends so."""
        answer: Deferred[bytes] = Deferred()
        self._ending = end, answer
        self._look()
        return await answer

    async def say(self, text: str, end: bytes = b"\r\n") -> bytes:
        """Send lines; the answer, when it ends so."""
        assert self.transport is not None
        self.transport.write(text.encode() + b"\r\n")
        return await self.until(end)

    def _look(self) -> None:
        if self._ending is not None and self.heard.endswith(self._ending[0]):
            answer, self._ending = self._ending[1], None
            heard, self.heard = self.heard, b""
            answer.callback(heard)


class TLSTests(TestCase):
    """A server with a certificate, where nobody logs in without TLS."""

    timeout = 20

    def setUp(self) -> None:
        """Make it."""
        certificate, key = make_certificate(Path(self.mktemp()))
        self.mailbox = MemoryMailbox(MESSAGE)
        self.site = Site(MailboxRealm(ada=self.mailbox), clock=reactor)  # type: ignore[arg-type]
        self.factory = self.site.factory
        self.factory.settings = POP3Settings()
        self.tls = self.factory.tls = ServerTLS(certificate, key)

    async def connect(self, *, implicit: bool) -> Caller:
        """A client that has heard the greeting."""
        self.factory.implicit_tls = implicit
        outer = TLSMemoryBIOFactory(self.tls.context_factory(), False, self.factory) if implicit else self.factory
        port = reactor.listenTCP(0, outer, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        caller = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), Caller())
        if implicit:
            caller.transport.startTLS(CertificateOptions())
        await caller.until(b"ready\r\n")
        return caller

    async def read_and_quit(self, caller: Caller) -> None:
        """Log in, fetch a big message, and leave; TLS is seen by those who look, and nothing remains."""
        await caller.say("USER ada")
        self.assertEqual(await caller.say("PASS secret"), b"+OK mailbox open\r\n")
        (session,) = self.factory.sessions
        self.assertRegex(str(session.describe()["tls"]), r"^TLSv1\.[23] \w+")
        self.assertRegex(str(self.site.journal.facts("login")[0]["tls"]), r"^TLSv1\.[23] \w+")
        answer = await caller.say("RETR 1", b"\r\n.\r\n")
        self.assertTrue(answer.endswith(MESSAGE.replace(b"\n", b"\r\n") + b".\r\n"))
        self.assertEqual(await caller.say("QUIT"), b"+OK goodbye\r\n")
        await caller.closed
        while self.factory.sessions:
            # The server's end of the connection closes a moment later.
            await deferLater(reactor, 0)  # type: ignore[arg-type]
        self.assertEqual(self.mailbox.calls, ["open", "update", "close"])

    async def test_stls(self) -> None:
        """In the clear nobody logs in; after STLS the connection is under TLS, and all is as it should be."""
        caller = await self.connect(implicit=False)
        self.assertTrue((await caller.say("USER ada")).startswith(b"-ERR [AUTH]"))
        self.assertIn(b"\r\nSTLS\r\n", await caller.say("CAPA", b"\r\n.\r\n"))
        self.assertTrue((await caller.say("STLS")).startswith(b"+OK"))
        caller.transport.startTLS(CertificateOptions())  # type: ignore[union-attr]
        capabilities = await caller.say("CAPA", b"\r\n.\r\n")
        self.assertNotIn(b"STLS", capabilities)
        self.assertIn(b"\r\nUSER\r\n", capabilities)
        await self.read_and_quit(caller)

    async def test_clear_text_behind_stls(self) -> None:
        """What came in the clear behind STLS is never executed, and no name is remembered from before."""
        caller = await self.connect(implicit=False)
        self.assertEqual(await caller.say("STLS\r\nCAPA\r\nUSER ada"), b"+OK go ahead with TLS\r\n")
        caller.transport.startTLS(CertificateOptions())  # type: ignore[union-attr]
        self.assertTrue((await caller.say("PASS secret")).startswith(b"-ERR send USER first"))
        await self.read_and_quit(caller)

    async def test_scram_plus(self) -> None:
        """A password is proved for this one connection, by either channel binding; on another the proof would be wrong."""
        self.factory.scram = MemoryKeys(ada="secret")
        for binding in CHANNEL_BINDINGS:
            caller = await self.connect(implicit=True)
            handle = caller.transport.getHandle()  # type: ignore[union-attr]
            octets = {
                TLS_EXPORTER: handle.export_keying_material(b"EXPORTER-Channel-Binding", 32, b""),
                TLS_SERVER_END_POINT: handle.get_peer_certificate().to_cryptography().fingerprint(SHA256()),
            }
            wrong = ScramClient("ada", "secret", flag=f"p={binding}", binding=b"of another connection")
            await self.prove(caller, wrong)
            self.assertEqual(await caller.until(b"\r\n"), b"-ERR [AUTH] wrong name or password\r\n")
            self.assertEqual(self.site.journal.facts("login")[-1]["reason"], "the channel binding does not fit")
            right = ScramClient("ada", "secret", flag=f"p={binding}", binding=octets[binding])
            await self.prove(caller, right)
            self.assertTrue(right.trusts(b64decode((await caller.until(b"\r\n"))[2:])))
            self.assertEqual(await caller.say(""), b"+OK mailbox open\r\n")
            self.assertEqual(await caller.say("QUIT"), b"+OK goodbye\r\n")
            await caller.closed
            while self.factory.sessions:
                # The server's end of the connection closes a moment later.
                await deferLater(reactor, 0)  # type: ignore[arg-type]

    async def prove(self, caller: Caller, scram: ScramClient) -> None:
        """Send both messages; the answer to the second is on its way."""
        first = b64encode(scram.first()).decode()
        challenge = await caller.say(f"AUTH SCRAM-SHA-256-PLUS {first}")
        assert caller.transport is not None
        caller.transport.write(b64encode(scram.final(b64decode(challenge[2:]))) + b"\r\n")

    async def test_implicit(self) -> None:
        """With TLS from the first octet the greeting comes under it, and STLS is not offered."""
        caller = await self.connect(implicit=True)
        self.assertTrue((await caller.say("STLS")).startswith(b"-ERR"))
        await self.read_and_quit(caller)
