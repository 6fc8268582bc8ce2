"""
TLS for servers: where the certificate comes from, how it is replaced while the server runs, and what a session uses.

TLS 1.2 is the least that is spoken (RFC 8996). No client certificates are asked for, and no session tickets are given: there
are mail servers that break on either. (Those of TLS 1.2 are turned off by Twisted, those of TLS 1.3 in ``openssl.cnf``.)
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, ISSLTransport
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.interfaces import IServerTLS
from hermes.protocols.scram import TLS_EXPORTER, TLS_SERVER_END_POINT

#: Days left below which a certificate should have been renewed: authorities that renew by themselves do so at 30.
DAYS_OF_WARNING = 14


class CertificateError(Exception):
    """Certificate or key cannot be used; the text says which file, why, and what to do."""


@implementer(IServerTLS)
class ServerTLS:
    """One certificate and its key; :meth:`reload_if_changed` takes a renewed one, all or nothing."""

    _log = Logger()

    def __init__(self, certificate: str, key: str) -> None:
        self.file = certificate
        self._key = key
        self._refused: object = None
        # Before they are read: what changes meanwhile is noticed later. What is not there says so when it is read.
        with contextlib.suppress(OSError):
            self._stamp: object = self._stat()
        self._take()

    def context_factory(self) -> IOpenSSLServerConnectionCreator:
        """What ``startTLS`` and ``TLSMemoryBIOFactory`` take; connections made by it use the certificate of the moment."""
        return _Connections(self)

    @property
    def context(self) -> SSL.Context:
        """The OpenSSL context of the moment."""
        context: SSL.Context = self._factory.getContext()
        return context

    def reload_if_changed(self) -> bool:
        """
        Take the certificate anew if its files have changed; True when it was taken.

        A pair that does not fit (seen half-way through a renewal) changes nothing, is told once, and looked at again the next
        time.
        """
        stamp: object = None
        try:
            stamp = self._stat()
            if stamp == self._stamp:
                return False
            self._take()
        except (OSError, CertificateError) as error:
            refused = (stamp, str(error))
            if refused != self._refused:
                self._refused = refused
                self._log.warn(
                    "The certificate has changed but cannot be used, the old one stays: {error}", error=error
                )
            return False
        self._stamp, self._refused = stamp, None
        self._log.info("The certificate {file} has been taken anew", file=self.file)
        return True

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that the certificate is for, in small letters; ``*.`` stands for one label (RFC 9525 6.3)."""
        return self._names

    @property
    def expires_at(self) -> float:
        """When the certificate expires, as seconds since the epoch."""
        return self._expires.timestamp()

    @property
    def begins_at(self) -> float:
        """From when on the certificate is valid, as seconds since the epoch."""
        return self._begins.timestamp()

    def days_left(self, now: datetime | None = None) -> int:
        """Days until the certificate expires; negative when it has."""
        return (self._expires - (now or datetime.now(UTC))).days

    def _take(self) -> None:
        factory = load_context(self.file, self._key)
        leaf = _read_chain(self.file)[0]
        self._factory, self._names = factory, names_of(leaf)
        self._begins, self._expires = leaf.not_valid_before_utc, leaf.not_valid_after_utc

    def _stat(self) -> tuple[tuple[int, int], ...]:
        return tuple((status.st_mtime_ns, status.st_ino) for status in map(os.stat, (self.file, self._key)))


@implementer(IOpenSSLServerConnectionCreator)
class _Connections:
    """Makes the server's side of TLS connections."""

    def __init__(self, tls: ServerTLS) -> None:
        self._tls = tls

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803
        """Make the connection that Twisted feeds."""
        return SSL.Connection(self._tls.context, None)


def load_context(certificate_file: str, key_file: str) -> CertificateOptions:
    """Read certificate, chain and key and see that they belong together; raise :class:`CertificateError`."""
    chain = _read_chain(certificate_file)
    try:
        with open(key_file, "rb") as file:
            key = load_pem_private_key(file.read(), password=None)
    except OSError as error:
        raise CertificateError(f"{key_file}: the key cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{key_file}: this is not a private key in PEM form without a passphrase") from error
    # Twisted's annotations still name pyOpenSSL's own classes, which pyOpenSSL itself wants replaced by these.
    pair: Any = {"privateKey": key, "certificate": chain[0], "extraCertChain": chain[1:]}
    options = CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_2, **pair)
    try:
        options.getContext().check_privatekey()
    except SSL.Error as error:
        raise CertificateError(f"{key_file}: the key does not belong to the certificate {certificate_file}") from error
    return options


def _read_chain(certificate_file: str) -> list[x509.Certificate]:
    try:
        with open(certificate_file, "rb") as file:
            return x509.load_pem_x509_certificates(file.read())
    except OSError as error:
        raise CertificateError(f"{certificate_file}: the certificate cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CertificateError(f"{certificate_file}: there is no certificate in PEM form in it") from error


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names in a certificate, in small letters."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))


def days_left(certificate_file: str, now: datetime | None = None) -> int:
    """Days until the first certificate of the file expires; negative when it has."""
    return (_read_chain(certificate_file)[0].not_valid_after_utc - (now or datetime.now(UTC))).days


def describe(transport: Any) -> str | None:
    """Protocol and cipher of a connection (``TLSv1.3 TLS_AES_256_GCM_SHA384``); None when it is in the clear."""
    if not ISSLTransport.providedBy(transport):
        return None
    connection = _connection_of(transport)
    cipher = connection.get_cipher_name() if connection is not None else None
    return f"{connection.get_protocol_version_name()} {cipher}" if connection is not None and cipher else "TLS"


def is_tls_fault(reason: Failure) -> bool:
    """Whether a connection has ended with an error of TLS; a handshake that fails does."""
    return reason.check(SSL.Error) is not None


def channel_binding(transport: Any, name: str) -> bytes | None:
    """
    The octets that only the two ends of this very connection know (RFC 5056), after its handshake.

    ``name`` is ``tls-exporter`` (RFC 9266) or ``tls-server-end-point`` (RFC 5929 4); None when this connection has no such
    binding.
    """
    connection = _connection_of(transport)
    if connection is None:
        return None
    return binding_of(connection, connection.get_certificate(), name)


def binding_of(connection: SSL.Connection, server: X509 | None, name: str) -> bytes | None:
    """The same of a connection itself, at either end; ``server`` is the certificate of the one that is the server."""
    if not connection.get_cipher_name():
        return None
    if name == TLS_SERVER_END_POINT:
        return _end_point(server)
    # RFC 9266 3: TLS 1.2 would want the extended master secret, and OpenSSL does not say here whether it was agreed upon.
    if name != TLS_EXPORTER or connection.get_protocol_version() != SSL.TLS1_3_VERSION:
        return None
    octets: bytes = connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    return octets


def _end_point(server: X509 | None) -> bytes | None:
    if server is None:
        return None
    certificate = server.to_cryptography()
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        # RFC 5929 4.1: of a signature without a hash (Ed25519) it is not defined.
        return None
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, certificate.public_bytes(Encoding.DER)).digest()


def _connection_of(transport: Any) -> SSL.Connection | None:
    layer: Any = transport
    if not isinstance(layer, TLSMemoryBIOProtocol):
        # After startTLS a TCP transport keeps its place, and the TLS layer stands in as its protocol.
        layer = getattr(transport, "protocol", None)
    return layer.getHandle() if isinstance(layer, TLSMemoryBIOProtocol) else None
