"""What only the two ends of a TLS connection know (RFC 5929, RFC 9266)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase

from hermes.net import tls
from hermes.net.tls import ServerTLS, channel_binding
from tests.support.certificates import SHA256, make_certificate


class ChannelBindingTests(SynchronousTestCase):
    """Both ends of a connection."""

    def connect(self, digest: Any = SHA256, *, old: bool = False, handshake: bool = True) -> tuple[Any, Any]:
        """The server's transport, and the client's handle."""
        server_tls = ServerTLS(*make_certificate(Path(self.mktemp()), digest=digest))
        options = CertificateOptions(lowerMaximumSecurityTo=TLSVersion.TLSv1_2) if old else CertificateOptions()
        server = TLSMemoryBIOFactory(server_tls.context_factory(), False, Factory.forProtocol(Protocol))
        client = TLSMemoryBIOFactory(options, True, Factory.forProtocol(Protocol))
        client_side, server_side, pump = connectedServerAndClient(
            lambda: server.buildProtocol(None), lambda: client.buildProtocol(None), greet=False
        )
        if handshake:
            pump.flush()
        return server_side.wrappedProtocol.transport, client_side.getHandle()

    def test_exporter(self) -> None:
        """Under TLS 1.3 both ends derive the same, and two connections never do."""
        found = set()
        for _ in range(2):
            transport, handle = self.connect()
            octets = channel_binding(transport, "tls-exporter")
            self.assertEqual(octets, handle.export_keying_material(b"EXPORTER-Channel-Binding", 32, b""))
            found.add(octets)
        self.assertEqual([len(octets or b"") for octets in found], [32, 32])

    def test_no_exporter_before_tls_1_3(self) -> None:
        """Under TLS 1.2 it would be unique only with the extended master secret (RFC 9266 3), so there is none."""
        transport, handle = self.connect(old=True)
        self.assertEqual(handle.get_protocol_version_name(), "TLSv1.2")
        self.assertIsNone(channel_binding(transport, "tls-exporter"))
        self.assertIsNotNone(channel_binding(transport, "tls-server-end-point"))

    def test_end_point(self) -> None:
        """The certificate's digest by the hash that it is signed with."""
        for digest, name in ((hashes.SHA256(), "sha256"), (hashes.SHA384(), "sha384")):
            transport, handle = self.connect(digest)
            certificate = handle.get_peer_certificate().to_cryptography().public_bytes(Encoding.DER)
            expected = hashlib.new(name, certificate).digest()
            self.assertEqual(channel_binding(transport, "tls-server-end-point"), expected)

    def test_old_hashes(self) -> None:
        """Instead of MD5 and SHA-1 it is SHA-256 (RFC 5929 4.1); nobody signs with these any more, so one is made up."""
        transport, _ = self.connect()
        for algorithm in (hashes.MD5(), hashes.SHA1()):
            certificate = Mock(Certificate, signature_hash_algorithm=algorithm)
            certificate.public_bytes.return_value = b"certificate"
            connection = Mock()
            connection.get_certificate().to_cryptography.return_value = certificate
            self.patch(tls, "_connection_of", lambda transport, found=connection: found)
            found = channel_binding(transport, "tls-server-end-point")
            self.assertEqual(found, hashlib.sha256(b"certificate").digest())

    def test_no_end_point(self) -> None:
        """A signature without a hash has none (RFC 5929 4.1), nor has a connection without a certificate of ours."""
        transport, _ = self.connect(None)
        self.assertIsNone(channel_binding(transport, "tls-server-end-point"))
        connection = Mock()
        connection.get_certificate.return_value = None
        self.patch(tls, "_connection_of", lambda transport: connection)
        self.assertIsNone(channel_binding(transport, "tls-server-end-point"))

    def test_nothing_else(self) -> None:
        """Other names, connections without TLS, and those whose handshake is not over have none."""
        transport, _ = self.connect()
        self.assertIsNone(channel_binding(transport, "tls-unique"))
        for name in ("tls-exporter", "tls-server-end-point"):
            self.assertIsNone(channel_binding(StringTransport(), name))
            self.assertIsNone(channel_binding(self.connect(handshake=False)[0], name))
