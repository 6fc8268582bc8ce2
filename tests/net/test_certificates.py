"""Certificates by name (RFC 6066 3): which one a client sees, and how they are replaced."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.config.schema import Settings, TLSSettings
from hermes.config.sections.certificate import CertificateSettings
from hermes.interfaces import IServerTLS
from hermes.net.certificates import Certificates, Named, certificates_of
from hermes.net.tls import ServerTLS
from tests.support.certificates import make_certificate

DEFAULT = "mail.example.org"


class CertificatesTestCase(SynchronousTestCase):
    """A directory of certificates, and handshakes in memory."""

    def setUp(self) -> None:
        """The directory."""
        self.directory = Path(self.mktemp()).absolute()

    def tls(self, name: str, days: int = 30) -> ServerTLS:
        """A certificate for a name."""
        return ServerTLS(*make_certificate(self.directory, name, days))

    def shown(self, certificates: Certificates, name: bytes | None, most: int | None = None) -> str:
        """The name in the certificate that a client sees who asks for ``name``; ``most`` is the newest TLS that it speaks."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if most is not None:
            context.set_min_proto_version(SSL.TLS1_VERSION)
            context.set_max_proto_version(most)
            context.set_cipher_list(b"ALL:@SECLEVEL=0")
        client = SSL.Connection(context, None)
        if name is not None:
            client.set_tlsext_host_name(name)
        client.set_connect_state()
        # What Twisted calls for each connection.
        server = certificates.context_factory().serverConnectionForTLS(None)  # type: ignore[arg-type]
        server.set_accept_state()
        self.handshake(client, server)
        shown = client.get_peer_certificate(as_cryptography=True)
        assert shown is not None
        self.assertEqual(server.get_certificate(as_cryptography=True), shown)
        (attribute,) = shown.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        self.version = client.get_protocol_version()
        return str(attribute.value)

    def handshake(self, client: SSL.Connection, server: SSL.Connection) -> None:
        """Hand octets back and forth until both are done."""
        done: set[SSL.Connection] = set()
        for _ in range(10):
            for one, other in ((client, server), (server, client)):
                try:
                    one.do_handshake()
                    done.add(one)
                except SSL.WantReadError:
                    pass
                with contextlib.suppress(SSL.WantReadError):
                    other.bio_write(one.bio_read(1 << 16))
            if len(done) == 2:
                return
        raise AssertionError("the handshake does not end")


class ChoiceTests(CertificatesTestCase):
    """Which certificate is shown."""

    def several(self) -> Certificates:
        """One for everybody, one of its own names, one with a wildcard, one whose names are given."""
        return Certificates(
            self.tls(DEFAULT),
            [
                Named(self.tls("mx.example.net")),
                Named(self.tls("*.example.com")),
                Named(self.tls("xn--bcher-kva.example"), ("given.example", "*.given.example")),
            ],
        )

    def test_interface(self) -> None:
        """It is what services are given."""
        certificates = self.several()
        self.assertTrue(verifyObject(IServerTLS, certificates))
        self.assertTrue(verifyObject(IOpenSSLServerConnectionCreator, certificates.context_factory()))

    def test_by_name(self) -> None:
        """The certificate whose name is asked for, in whatever case; a wildcard is one label (RFC 9525 6.3)."""
        certificates = self.several()
        for asked, expected in (
            (b"mx.example.net", "mx.example.net"),
            (b"MX.Example.NET", "mx.example.net"),
            (b"a.example.com", "*.example.com"),
            (b"example.com", DEFAULT),
            (b"a.b.example.com", DEFAULT),
            (b"given.example", "xn--bcher-kva.example"),
            (b"x.given.example", "xn--bcher-kva.example"),
            (b"xn--bcher-kva.example", DEFAULT),
            (b"mail.example.org", DEFAULT),
            (b"nobody.example", DEFAULT),
            (None, DEFAULT),
        ):
            self.assertEqual(self.shown(certificates, asked), expected, asked)

    def test_names_that_are_none(self) -> None:
        """Whatever a client sends for a name, it gets an answer: that of those who name nobody."""
        for asked in (b"*.example.com", b"..", b"\xff\xfe.example", b"x" * 250, b"mx.example.net."):
            with self.subTest(asked=asked):
                expected = {b"mx.example.net.": "mx.example.net", b"*.example.com": "*.example.com"}.get(asked, DEFAULT)
                self.assertEqual(self.shown(self.several(), asked), expected)

    def test_internationalized(self) -> None:
        """Names outside ASCII come as A-labels (RFC 5890 2.3.2.1), and are in certificates like that."""
        certificates = Certificates(self.tls(DEFAULT), [Named(self.tls("xn--bcher-kva.example"))])
        self.assertEqual(self.shown(certificates, "b\u00fccher.example".encode("idna")), "xn--bcher-kva.example")

    def test_first_wins(self) -> None:
        """Of two certificates for one name the first is used, and an exact name before any wildcard."""
        certificates = Certificates(
            self.tls(DEFAULT),
            [
                Named(self.tls("*.example.net")),
                Named(self.tls("a.test"), ("x.test",)),
                Named(self.tls("b.test"), ("x.test",)),
                Named(self.tls("mx.example.net")),
            ],
        )
        self.assertEqual(self.shown(certificates, b"x.test"), "a.test")
        self.assertEqual(self.shown(certificates, b"mx.example.net"), "mx.example.net")
        self.assertEqual(self.shown(certificates, b"other.example.net"), "*.example.net")

    def test_one_alone(self) -> None:
        """Without further certificates everybody gets the one, whatever is asked for."""
        certificates = Certificates(self.tls(DEFAULT))
        self.assertEqual([self.shown(certificates, name) for name in (b"mx.example.net", None)], [DEFAULT] * 2)

    def test_old_tls_is_refused_for_every_name(self) -> None:
        """TLS 1.2 is the least (RFC 8996), also under a certificate that was chosen by name."""
        certificates = self.several()
        for name in (b"mx.example.net", None):
            self.assertEqual(self.shown(certificates, name, SSL.TLS1_2_VERSION)[:2], "mx" if name else "ma")
            self.assertEqual(self.version, SSL.TLS1_2_VERSION)
            self.assertRaises(SSL.Error, self.shown, certificates, name, SSL.TLS1_1_VERSION)

    def test_no_client_certificates(self) -> None:
        """Nobody is asked for a certificate: there are servers that cannot send after being asked."""
        certificates = self.several()
        for name in ("mx.example.net", DEFAULT):
            self.assertEqual(certificates.for_name(name).context.get_verify_mode(), SSL.VERIFY_NONE)


class RenewalTests(CertificatesTestCase):
    """Certificates that are replaced while the server runs."""

    def setUp(self) -> None:
        """One for everybody, and one for another name."""
        super().setUp()
        self.default, self.other = self.tls(DEFAULT), self.tls("mx.example.net")
        self.certificates = Certificates(self.default, [Named(self.other)])

    def replace(self, old: str, new: str) -> None:
        """Put the files of one certificate into the place of another's."""
        make_certificate(self.directory, new, 60)
        for kind in ("crt", "key"):
            shutil.move(self.directory / f"{new}.{kind}", self.directory / f"{old}.{kind}")

    def test_unchanged(self) -> None:
        """What has not changed is not read again."""
        context = self.default.context
        self.assertFalse(self.certificates.reload_if_changed())
        self.assertIs(self.default.context, context)

    def test_renewed(self) -> None:
        """Either can be renewed alone, also for other names, and names still choose."""
        self.replace("mx.example.net", "mx2.example.net")
        self.assertTrue(self.certificates.reload_if_changed())
        self.assertEqual(self.shown(self.certificates, b"mx2.example.net"), "mx2.example.net")
        self.assertEqual(self.shown(self.certificates, b"mx.example.net"), DEFAULT)
        self.replace(DEFAULT, "mail2.example.org")
        self.assertTrue(self.certificates.reload_if_changed())
        self.assertEqual(self.shown(self.certificates, b"mx2.example.net"), "mx2.example.net")
        self.assertEqual(self.shown(self.certificates, None), "mail2.example.org")

    def test_broken(self) -> None:
        """A pair that does not fit is told once, and the old one goes on; when it fits, it is taken."""
        make_certificate(self.directory, "new.example.net")
        os.replace(self.directory / "new.example.net.crt", self.directory / "mx.example.net.crt")
        with capturedLogs() as told:
            self.assertFalse(self.certificates.reload_if_changed())
            self.assertFalse(self.certificates.reload_if_changed())
        self.assertEqual(len(told), 1)
        self.assertIn("does not belong", str(told[0]["error"]))
        self.assertEqual(self.shown(self.certificates, b"mx.example.net"), "mx.example.net")
        self.assertEqual(self.other.days_left(), 30)
        os.replace(self.directory / "new.example.net.key", self.directory / "mx.example.net.key")
        self.assertTrue(self.certificates.reload_if_changed())
        self.assertEqual(self.shown(self.certificates, b"new.example.net"), "new.example.net")

    def test_described(self) -> None:
        """File, names and days of each; the one for everybody has a star before its names."""
        self.assertEqual(
            self.certificates.describe(),
            [
                {"file": self.default.file, "names": f"* {DEFAULT}", "days_left": 30},
                {"file": self.other.file, "names": "mx.example.net", "days_left": 30},
            ],
        )


class SettingsTests(CertificatesTestCase):
    """From settings to certificates."""

    def test_none(self) -> None:
        """Without a certificate there is no TLS."""
        self.assertIsNone(certificates_of(Settings()))

    def test_all(self) -> None:
        """That of [tls], and every other."""
        pairs = [make_certificate(self.directory, name) for name in (DEFAULT, "a.test", "b.test")]
        settings = Settings(
            tls=TLSSettings(*pairs[0]),
            certificate={"a": CertificateSettings(*pairs[1]), "b": CertificateSettings(*pairs[2], ("c.test",))},
        )
        certificates = certificates_of(settings)
        assert certificates is not None
        self.assertEqual(
            [self.shown(certificates, name) for name in (None, b"a.test", b"c.test")], [DEFAULT, "a.test", "b.test"]
        )

    def test_unusable(self) -> None:
        """One that cannot be used is named."""
        pair = make_certificate(self.directory, DEFAULT)
        settings = Settings(tls=TLSSettings(*pair), certificate={"a": CertificateSettings("/nonexistent", pair[1])})
        error = self.assertRaises(ValueError, certificates_of, settings)
        self.assertIn("/nonexistent: the certificate cannot be read", str(error))
