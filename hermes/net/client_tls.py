"""
TLS towards other servers: verified by name, or merely private (RFC 3207, 7435, 8314).

Verified: the chain must lead to a trusted authority and the certificate must be for the name we wanted. Opportunistic: any
certificate will do, because the other choice is no TLS at all; it never fails on one.
"""

from __future__ import annotations

import hashlib
from ipaddress import ip_address

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import extract_patterns, verify_hostname, verify_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from hermes.core.tls_security import TLSA
from hermes.net.dane import dane_problem
from hermes.net.resolver import encode_name
from hermes.net.tls import binding_of
from hermes.protocols.scram import CHANNEL_BINDINGS

_CODES = SSL.X509VerificationCodes

#: OpenSSL's numbers in words that say what to do about it.
_PROBLEMS = {
    _CODES.ERR_CERT_HAS_EXPIRED: "it has expired",
    _CODES.ERR_CERT_NOT_YET_VALID: "it is not valid yet",
    _CODES.ERR_DEPTH_ZERO_SELF_SIGNED_CERT: "it is self-signed",
    _CODES.ERR_SELF_SIGNED_CERT_IN_CHAIN: "its chain ends in an authority that is not trusted",
    _CODES.ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its authority is not trusted",
    _CODES.ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its authority is not trusted",
    _CODES.ERR_CERT_REVOKED: "it has been revoked",
    _CODES.ERR_INVALID_PURPOSE: "it is not for servers",
}


#: The same in the words of reports (RFC 8460 4.3.2).
_FAILURE_TYPES = {_CODES.ERR_CERT_HAS_EXPIRED: "certificate-expired"}


def verifying_context(authority: str = "") -> SSL.Context:
    """
    What trusts the system's authorities, or only those in the PEM file ``authority``.

    Raises ``OSError`` or ``SSL.Error`` when the file cannot be used.
    """
    context = CertificateOptions().getContext()
    if authority:
        with open(authority, "rb"):
            pass  # OpenSSL's own error does not say that the file is missing
        context.load_verify_locations(authority)
    else:
        context.set_default_verify_paths()
    return context


def opportunistic_context() -> SSL.Context:
    """What takes any certificate."""
    return CertificateOptions().getContext()


@implementer(IOpenSSLClientConnectionCreator)
class TLSAttempt:
    """
    TLS for one connection, to be given to ``transport.startTLS``.

    ``name`` is who the server must be, and goes along as SNI unless it is an address. With ``pins`` it must have one of these
    public keys (SHA-256 of its SubjectPublicKeyInfo), and nothing else of the certificate matters. With ``records`` of the DNS
    it must be what they say (DANE), where a certificate of an authority may also be for one of ``names``. ``by`` is the word for
    who wants it verified. With ``watch`` the certificate is looked at, and nothing fails. Afterwards :attr:`problem`
    says in words what was wrong with the certificate, when it was that.
    """

    def __init__(
        self,
        context: SSL.Context,
        name: str,
        *,
        verify: bool,
        pins: frozenset[bytes] = frozenset(),
        records: tuple[TLSA, ...] = (),
        names: tuple[str, ...] = (),
        by: str = "pkix",
        watch: bool = False,
    ) -> None:
        self._context = context
        self._name = name
        self._verify = verify and not pins and not records
        self._records = records
        self._names = names
        self._by = by
        self._watch = watch and not self._verify and not records and not pins
        #: What was wrong with the certificate, as RFC 8460 4.3.2 calls it; also when it was only watched.
        self.failure_type = ""
        self._pins = pins
        self._connection: SSL.Connection | None = None
        self.problem: str | None = None

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803
        """Make the connection: what Twisted calls."""
        connection = self._connection = SSL.Connection(self._context, None)
        if not _is_address(self._name):
            # RFC 6066 3: a host name in A-labels.
            connection.set_tlsext_host_name(encode_name(self._name))
        if self._verify:
            connection.set_verify(SSL.VERIFY_PEER, self._chain_verified)
        elif self._watch:
            connection.set_verify(SSL.VERIFY_PEER, self._chain_watched)
        else:
            connection.set_verify(SSL.VERIFY_NONE, _anything_goes)
        return connection

    def _chain_verified(self, connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
        if not ok and self.problem is None:
            self.failure_type = _FAILURE_TYPES.get(code, "certificate-not-trusted")
            self.problem = _PROBLEMS.get(code, f"OpenSSL reports error {code}")
        return bool(ok)

    def _chain_watched(self, connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
        if not ok:
            self.failure_type = self.failure_type or _FAILURE_TYPES.get(code, "certificate-not-trusted")
        return True

    def check_name(self) -> bool:
        """After the handshake: whether the certificate is for the name (RFC 6125) or has the key, when that has to be."""
        connection = self._connection
        if self._pins and connection is not None:
            pin = _pin(connection)
            if pin not in self._pins:
                self.problem = f"its public key has the SHA-256 {pin.hex() or 'of nothing'}, which pin does not name"
            return self.problem is None
        if self._records and connection is not None:
            names = [encode_name(name).decode("ascii") for name in (self._name, *self._names)]
            self.problem = dane_problem(connection, self._records, names) or None
            self.failure_type = "validation-failure" if self.problem else ""
            return self.problem is None
        if connection is None or not (self._verify or self._watch):
            return True
        try:
            if _is_address(self._name):
                verify_ip_address(connection, self._name)
            else:
                verify_hostname(connection, encode_name(self._name).decode("ascii"))
        except (VerificationError, CertificateError):
            self.failure_type = self.failure_type or "certificate-host-mismatch"
            if self._verify:
                self.problem = f"it is for {_names(connection)}"
        return self.problem is None

    def binding(self) -> tuple[str, bytes]:
        """
        The name and the octets of what only the two ends of this connection know, after its handshake; empty without any.

        RFC 9266 2: tls-exporter with TLS 1.3; before it, the server's certificate (RFC 5929 4).
        """
        connection = self._connection
        if connection is not None:
            for name in CHANNEL_BINDINGS:
                octets = binding_of(connection, connection.get_peer_certificate(), name)
                if octets is not None:
                    return name, octets
        return "", b""

    @property
    def verified(self) -> str:
        """In a word, how the server was verified: ``dane``, ``sts``, ``pkix``, ``pin`` or ``none``."""
        if self._pins:
            return "pin"
        if self._records:
            return "dane"
        return self._by if self._verify else "none"

    @property
    def description(self) -> str:
        """Protocol and cipher, like ``TLSv1.3 TLS_AES_256_GCM_SHA384``."""
        connection = self._connection
        if connection is None:
            return "TLS"
        return f"{connection.get_protocol_version_name()} {connection.get_cipher_name()}"


def _pin(connection: SSL.Connection) -> bytes:
    """The SHA-256 of the server's public key; empty without a certificate."""
    certificate = connection.get_peer_certificate()
    if certificate is None:
        return b""
    key = certificate.to_cryptography().public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _anything_goes(connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
    return True


def _is_address(name: str) -> bool:
    if name.startswith("["):
        return True  # an address literal (RFC 5321 4.1.3)
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _names(connection: SSL.Connection) -> str:
    """Whom a certificate is for, shortly."""
    certificate = connection.get_peer_certificate()
    patterns = [] if certificate is None else extract_patterns(certificate)
    names = [_pattern_text(getattr(pattern, "pattern", "")) for pattern in patterns[:5]]
    return ", ".join(names) or "nobody in particular"


def _pattern_text(pattern: object) -> str:
    return pattern.decode("ascii", "backslashreplace") if isinstance(pattern, bytes) else str(pattern)
