"""
Certificates that the DNS vouches for: DANE for SMTP (RFC 7672), as far as it is about certificates.

OpenSSL's own functions for it are not to be reached from Python, so what a server has shown is compared here, after the
handshake: by its key or octets (DANE-EE), or by a chain to the authority that the record names (DANE-TA).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509Store, X509StoreContext, X509StoreContextError, X509StoreFlags
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname

from hermes.core.tls_security import TLSA, Usage

#: Certificates of a chain that are looked at: ten times what servers send. OpenSSL bounds the octets.
MAX_CHAIN = 32

_HASHES = {1: hashlib.sha256, 2: hashlib.sha512}


def dane_problem(connection: SSL.Connection, records: Sequence[TLSA], names: Sequence[str]) -> str:
    """
    What is wrong with the certificate of a connection after its handshake, in words; empty when it is good.

    ``names`` are those that a certificate of an authority may be for (RFC 7672 3.2.3): A-labels.
    """
    chain = (connection.get_peer_cert_chain() or [])[:MAX_CHAIN]
    if not chain:
        return "the server showed no certificate"
    # RFC 7672 3.1.1: of the server's own certificate neither the name nor the dates matter.
    if any(record.usage == Usage.DANE_EE and _matches(chain[0], record) for record in records):
        return ""
    problem = "no TLSA record is for its certificate"
    for anchor in _anchors(chain, records):
        problem = _chain_problem(chain, anchor)
        if not problem:
            return _name_problem(connection, names)
    return problem


def _matches(certificate: X509, record: TLSA) -> bool:
    """RFC 6698 2.1.2 and 2.1.3."""
    plain = certificate.to_cryptography()
    if record.selector == 0:
        octets = plain.public_bytes(Encoding.DER)
    else:
        octets = plain.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    make = _HASHES.get(record.matching)
    return (octets if make is None else make(octets).digest()) == record.data


def _anchors(chain: Sequence[X509], records: Sequence[TLSA]) -> list[X509]:
    """The authorities that are trusted: those shown that a record names, and those that stand in a record as a whole."""
    anchors = []
    for record in records:
        if record.usage != Usage.DANE_TA:
            continue
        anchors += [each for each in chain if _matches(each, record)]
        if record.selector == 0 and record.matching == 0:
            try:
                anchors.append(X509.from_cryptography(x509.load_der_x509_certificate(record.data)))
            except ValueError:
                continue
    return anchors


def _chain_problem(chain: Sequence[X509], anchor: X509) -> str:
    store = X509Store()
    store.add_cert(anchor)
    # RFC 7672 3.1.2: the authority named may be one in the middle.
    store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
    try:
        X509StoreContext(store, chain[0], list(chain[1:])).verify_certificate()
    except X509StoreContextError as error:
        return f"its chain to the authority in the TLSA record is broken: {error}"
    return ""


def _name_problem(connection: SSL.Connection, names: Sequence[str]) -> str:
    for name in names:
        try:
            verify_hostname(connection, name)
        except (VerificationError, CertificateError, ValueError):
            continue
        return ""
    return f"it is not for {' or '.join(names)}"
