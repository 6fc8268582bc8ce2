"""The server's certificate: what is refused and why, and how it is replaced while the server runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import hermes
from hermes.interfaces import IServerTLS
from hermes.net.tls import CertificateError, ServerTLS, days_left, describe, load_context
from tests.support.certificates import make_certificate

#: A handshake under TLS 1.3 in a fresh process; printed is how many octets the server sends behind it.
_HANDSHAKE = """
import sys
import hermes
from hermes.net.tls import load_context
from OpenSSL import SSL

server = SSL.Connection(load_context(*sys.argv[1:]).getContext(), None)
server.set_accept_state()
client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
client.set_connect_state()
said = b""
for _ in range(4):
    for here, there in ((client, server), (server, client)):
        try:
            here.do_handshake()
        except SSL.WantReadError:
            pass
        try:
            said = here.bio_read(65536)
        except SSL.WantReadError:
            said = b""
        there.bio_write(said) if said else None
        if here is server and client.get_state_string() == b"SSL negotiation finished successfully":
            print(client.get_protocol_version_name(), len(said))
            sys.exit()
"""


class TicketTests(SynchronousTestCase):
    """What is sent behind the handshake."""

    def sent_behind(self, **environment: str) -> str:
        """The version of TLS, and the number of octets."""
        files = make_certificate(Path(self.mktemp()))
        surroundings = {key: value for key, value in os.environ.items() if key != "OPENSSL_CONF"}
        surroundings["PYTHONPATH"] = str(Path(hermes.__file__).parents[1])
        words = [sys.executable, "-c", _HANDSHAKE, *files]
        done = subprocess.run(words, env=surroundings | environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def test_no_tickets(self) -> None:
        """Nothing is: there are mail servers that break on session tickets. Unless somebody has configured OpenSSL."""
        self.assertEqual(self.sent_behind(), "TLSv1.3 0")
        self.assertNotEqual(self.sent_behind(OPENSSL_CONF=os.devnull), "TLSv1.3 0")


class ServerTLSTests(SynchronousTestCase):
    """A pair of files."""

    def setUp(self) -> None:
        """One certificate."""
        self.directory = Path(self.mktemp())
        self.certificate, self.key = make_certificate(self.directory)

    def serial_seen(self, tls: ServerTLS) -> int:
        """The serial number that a client sees, and what describe() says on both sides."""
        server = TLSMemoryBIOFactory(tls.context_factory(), False, Factory.forProtocol(Protocol))
        client = TLSMemoryBIOFactory(CertificateOptions(), True, Factory.forProtocol(Protocol))
        client_side, server_side, pump = connectedServerAndClient(
            lambda: server.buildProtocol(None), lambda: client.buildProtocol(None)
        )
        pump.flush()
        self.description = describe(server_side.wrappedProtocol.transport)
        certificate = client_side.getPeerCertificate()
        return int(certificate.get_serial_number())

    def test_interface(self) -> None:
        """It is what services are given."""
        tls = ServerTLS(self.certificate, self.key)
        self.assertTrue(verifyObject(IServerTLS, tls))
        self.assertTrue(verifyObject(IOpenSSLServerConnectionCreator, tls.context_factory()))

    def test_described(self) -> None:
        """Protocol and cipher are known after the handshake."""
        self.serial_seen(ServerTLS(self.certificate, self.key))
        self.assertRegex(self.description or "", r"\ATLSv1\.[23] [A-Z0-9_-]+\Z")

    def test_in_the_clear(self) -> None:
        """A connection without TLS has no description."""
        self.assertEqual(describe(StringTransport()), None)

    def test_renewed(self) -> None:
        """Connections after a renewal use the new certificate; nothing is restarted."""
        tls = ServerTLS(self.certificate, self.key)
        before = self.serial_seen(tls)
        self.assertFalse(tls.reload_if_changed())
        for new, old in zip(make_certificate(self.directory / "new"), (self.certificate, self.key), strict=True):
            shutil.move(new, old)
        self.assertTrue(tls.reload_if_changed())
        self.assertNotEqual(self.serial_seen(tls), before)

    def test_half_renewed(self) -> None:
        """A certificate that does not fit its key changes nothing, and is taken when the key has followed."""
        tls = ServerTLS(self.certificate, self.key)
        before = self.serial_seen(tls)
        new_certificate, new_key = make_certificate(self.directory / "new")
        shutil.move(new_certificate, self.certificate)
        self.assertFalse(tls.reload_if_changed())
        self.assertEqual(self.serial_seen(tls), before)
        shutil.move(new_key, self.key)
        self.assertTrue(tls.reload_if_changed())

    def test_vanished(self) -> None:
        """Files that are gone for a moment change nothing."""
        tls = ServerTLS(self.certificate, self.key)
        os.unlink(self.key)
        self.assertFalse(tls.reload_if_changed())
        self.serial_seen(tls)

    def test_days_left(self) -> None:
        """The time left is known in days."""
        self.assertEqual(ServerTLS(self.certificate, self.key).days_left(), 30)
        expired, _ = make_certificate(self.directory, "old.example.org", days=-3)
        self.assertEqual(days_left(expired), -3)

    def test_old_protocols_are_refused(self) -> None:
        """TLS 1.1 and older are not spoken (RFC 8996)."""
        context = load_context(self.certificate, self.key).getContext()
        for old in (SSL.OP_NO_TLSv1, SSL.OP_NO_TLSv1_1, SSL.OP_NO_SSLv3):
            self.assertTrue(context.set_options(0) & old)


class RefusedTests(SynchronousTestCase):
    """Files that cannot be used; the error names the file."""

    def setUp(self) -> None:
        """One good certificate."""
        self.directory = Path(self.mktemp())
        self.certificate, self.key = make_certificate(self.directory)

    def error(self, certificate: str, key: str) -> str:
        """What is said."""
        return str(self.assertRaises(CertificateError, load_context, certificate, key))

    def test_missing(self) -> None:
        """No file."""
        self.assertIn("nothing.crt: the certificate cannot be read: No such file", self.error("nothing.crt", self.key))
        self.assertIn("nothing.key: the key cannot be read", self.error(self.certificate, "nothing.key"))

    def test_not_pem(self) -> None:
        """Something else in the file."""
        other = self.directory / "other"
        other.write_text("hello")
        self.assertIn("there is no certificate", self.error(str(other), self.key))
        self.assertIn("not a private key", self.error(self.certificate, str(other)))

    def test_of_another_key(self) -> None:
        """A pair that does not fit."""
        _, other = make_certificate(self.directory / "other")
        self.assertIn("does not belong to the certificate", self.error(self.certificate, other))
