"""SMTP sessions over real TLS on the loopback, with the client of Python's library."""

from __future__ import annotations

import hashlib
import smtplib
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from hermes.core.outcome import PASS, Verdict
from hermes.core.reply import Reply
from hermes.net.tls import ServerTLS
from hermes.protocols.smtp.events import Flavor
from hermes.services.smtp_server import SMTPServerFactory
from tests.support.certificates import make_certificate
from tests.support.scram import MemoryKeys, ScramClient
from tests.support.smtp_site import PASSWORD, Site

NAME = "mail.example.org"

#: No test waits for this long; it ends one that would hang.
CLIENT_TIMEOUT_SECONDS = 20


class TLSTests(TestCase):
    """A server with a certificate of its own."""

    async def listen(self, *, implicit_tls: bool = False, **settings: Any) -> int:
        """Start a submission listener; its port."""
        certificate, key = make_certificate(Path(self.mktemp()), NAME)
        self.trust = ssl.create_default_context(cafile=certificate)
        self.site = Site(flavor=Flavor.SUBMISSION, **settings)
        self.ended: Deferred[None] = Deferred()
        self.factory = SMTPServerFactory(
            settings=self.site.settings.smtp,
            hostname=NAME,
            listener="submission",
            flavor=Flavor.SUBMISSION,
            clock=reactor,  # type: ignore[arg-type]
            portal=self.site.portal,
            gate=self.site.gate,
            journal=self.site.journal,
            server_tls=ServerTLS(certificate, key),
            implicit_tls=implicit_tls,
            scram=MemoryKeys(alice=PASSWORD),
        )
        # A test ends when the server has seen the end of the connection.
        left = self.site.gate.left

        def leave(peer: str) -> None:
            left(peer)
            self.ended.callback(None)

        self.patch(self.site.gate, "left", leave)
        port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    async def run_client(self, client: Callable[[], Any]) -> Any:
        """Run a blocking client in a thread, and wait for the server's end of the connection too."""
        result = await deferToThread(client)
        await self.ended
        return result

    def context(self) -> ssl.SSLContext:
        """What the client trusts: our certificate, whatever name it dialed."""
        self.trust.check_hostname = False
        return self.trust

    def submit(self, client: smtplib.SMTP) -> None:
        """Log in and send a message."""
        client.ehlo("client.example.com")
        client.login("alice", PASSWORD)
        client.sendmail("alice@example.org", ["bob@example.org"], b"Subject: x\r\n\r\n.text\r\n")
        client.quit()

    async def test_starttls(self) -> None:
        """STARTTLS, login, message: all inside TLS, as Received: tells."""
        port = await self.listen()

        def client() -> None:
            with smtplib.SMTP("127.0.0.1", port, timeout=CLIENT_TIMEOUT_SECONDS) as connection:
                connection.starttls(context=self.context())
                self.submit(connection)

        await self.run_client(client)
        self.check_message()

    async def test_implicit_tls(self) -> None:
        """The same with TLS from the first octet."""
        port = await self.listen(implicit_tls=True)

        def client() -> None:
            self.submit(smtplib.SMTP_SSL("127.0.0.1", port, timeout=CLIENT_TIMEOUT_SECONDS, context=self.context()))

        await self.run_client(client)
        self.check_message()

    async def test_behind_a_proxy_header(self) -> None:
        """Where the header of a front end and the beginning of TLS come in one piece, neither takes from the other."""
        port = await self.listen(implicit_tls=True, proxy_protocol=True, front_ends=(ip_network("127.0.0.0/8"),))

        def client() -> bytes:
            coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = self.context().wrap_bio(coming, going)
            with socket.create_connection(("127.0.0.1", port), CLIENT_TIMEOUT_SECONDS) as connection:
                going.write(b"PROXY TCP4 192.0.2.9 198.51.100.1 40000 465\r\n")
                while True:
                    try:
                        return tls.read()
                    except ssl.SSLWantReadError:
                        connection.sendall(going.read())
                        coming.write(connection.recv(65536))

        self.assertEqual(await self.run_client(client), b"220 mail.example.org ESMTP Hermes\r\n")

    def check_message(self) -> None:
        """The message is there, with its TLS."""
        (committed,) = self.site.spool.committed
        self.assertTrue(committed.octets.endswith(b"\n\n.text\n"))
        tls = committed.facts["tls"]
        self.assertRegex(str(tls), r"\ATLSv1\.[23] [A-Z0-9_-]+\Z")
        self.assertIn(f"with ESMTPSA ({tls})", committed.text.replace("\n\t", " "))
        self.assertEqual(committed.message.origin.tls, tls)

    async def test_scram_plus(self) -> None:
        """After STARTTLS a password is proved for the server with this very certificate (RFC 5929 4)."""
        port = await self.listen()

        def client() -> list[tuple[int, bytes]]:
            with smtplib.SMTP("127.0.0.1", port, timeout=CLIENT_TIMEOUT_SECONDS) as connection:
                connection.starttls(context=self.context())
                connection.ehlo("client.example.com")
                assert isinstance(connection.sock, ssl.SSLSocket)
                certificate = connection.sock.getpeercert(binary_form=True)
                assert certificate is not None
                scram = ScramClient(
                    "alice", PASSWORD, flag="p=tls-server-end-point", binding=hashlib.sha256(certificate).digest()
                )
                first = connection.docmd("AUTH", f"SCRAM-SHA-256-PLUS {b64encode(scram.first()).decode()}")
                final = connection.docmd(b64encode(scram.final(b64decode(first[1]))).decode())
                self.assertTrue(scram.trusts(b64decode(final[1])))
                return [first, final, connection.docmd("")]

        self.assertEqual([code for code, _ in await self.run_client(client)], [334, 334, 235])

    async def test_large_message(self) -> None:
        """A message of some megabytes passes through TLS whole."""
        port = await self.listen(implicit_tls=True)
        body = b"x" * 998 + b"\r\n"

        def client() -> None:
            connection = smtplib.SMTP_SSL("127.0.0.1", port, timeout=CLIENT_TIMEOUT_SECONDS, context=self.context())
            connection.login("alice", PASSWORD)
            connection.sendmail("alice@example.org", ["bob@example.org"], b"Subject: x\r\n\r\n" + body * 4096)
            connection.quit()

        await self.run_client(client)
        self.assertTrue(self.site.spool.committed[0].octets.endswith(b"\n\n" + body.replace(b"\r\n", b"\n") * 4096))

    async def test_refused_by_the_gate(self) -> None:
        """Whom the gate refuses hears it, also when TLS comes first."""
        port = await self.listen(implicit_tls=True)
        self.site.gate.admission = Verdict(Reply.of(421, "4.7.0", "Too many"), "limits.rate")

        def client() -> tuple[int, str | bytes]:
            try:
                smtplib.SMTP_SSL("127.0.0.1", port, timeout=CLIENT_TIMEOUT_SECONDS, context=self.context())
            except smtplib.SMTPConnectError as error:
                return error.smtp_code, error.smtp_error
            raise AssertionError("the connection was accepted")

        self.assertEqual(await deferToThread(client), (421, b"4.7.0 Too many"))
        # A connection that comes later sees the end of this one's closing.
        self.site.gate.admission = PASS

        def other() -> None:
            smtplib.SMTP_SSL("127.0.0.1", port, timeout=CLIENT_TIMEOUT_SECONDS, context=self.context()).quit()

        await self.run_client(other)

    async def test_lost(self) -> None:
        """A client that vanishes in the middle of a message leaves nothing behind but its trace."""
        port = await self.listen(implicit_tls=True)

        def client() -> None:
            connection = smtplib.SMTP_SSL("127.0.0.1", port, timeout=CLIENT_TIMEOUT_SECONDS, context=self.context())
            connection.login("alice", PASSWORD)
            connection.mail("alice@example.org")
            connection.rcpt("bob@example.org")
            connection.docmd("DATA")
            connection.send(b"Subject: x\r\n")
            connection.close()

        await self.run_client(client)
        self.assertEqual([rule for rule, _ in self.site.journal.refusals()], ["session.lost"])
        self.assertEqual(self.site.spool.aborted, ["000000000001"])
        self.assertEqual(self.factory.sessions, set())

    async def test_failed_handshake(self) -> None:
        """A handshake that fails ends the connection, and nothing else."""
        port = await self.listen()
        await self.run_client(lambda: self.fail_handshake(port))
        self.assertEqual(self.factory.sessions, set())
        self.assertEqual(self.site.journal.events, [])

    def fail_handshake(self, port: int) -> None:
        """STARTTLS, and then no TLS."""
        with smtplib.SMTP("127.0.0.1", port, timeout=CLIENT_TIMEOUT_SECONDS) as connection:
            connection.ehlo("client.example.com")
            connection.docmd("STARTTLS")
            connection.send(b"MAIL FROM:<x@example.com>\r\n")
            assert connection.sock is not None
            while connection.sock.recv(1000):
                pass
            connection.close()
