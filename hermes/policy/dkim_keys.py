"""
The keys of DKIM on disk: ``DIRECTORY/DOMAIN/SELECTOR.pem``, private keys that the server alone may read.

The end of a file's name is the state of the key, so that a change of state is one rename, and nothing can be half done:
``.next`` for a key whose record is being published, ``.pem`` for one in use, ``.retired`` for one that signs no more. A server
looks at the directory again once a second while it signs.

RFC 6376 3.6.1 (records), 8463 4 (Ed25519), 8301 3.2 (sizes).
"""

from __future__ import annotations

import base64
import enum
import os
import re
from collections.abc import Callable, Sequence

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from twisted.logger import Logger

from hermes.config.durable import sync_directory, write_durably
from hermes.protocols.dkim_signature import ED25519, RSA

#: RFC 8301 3.2: signers use 2048 bits at least, and verifiers need not take less than 1024. Above 2048 a record no longer fits
#: into one answer by UDP everywhere.
RSA_BITS = 2048
MIN_RSA_BITS = 1024

#: How often the directory of a domain is looked at.
LOOK_SECONDS = 1.0

#: Domains of which is remembered what keys they have, or that they have none.
MAX_DOMAINS = 10_000

# A name in A-labels: what else a From: has names no directory.
_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,250}[a-z0-9_])?\Z")


class State(enum.Enum):
    """How far a key has come; the value is the end of its file's name."""

    NEXT = ".next"
    IN_USE = ".pem"
    RETIRED = ".retired"


class KeyFaultError(ValueError):
    """A key that cannot be used; the text says why."""


@attrs.frozen
class SigningKey:
    """A private key, and where it belongs. It can be used in any thread."""

    domain: str
    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey = attrs.field(repr=False)
    state: State = State.IN_USE
    changed_at: float = 0.0

    @property
    def algorithm(self) -> str:
        """``rsa-sha256`` or ``ed25519-sha256``."""
        return ED25519 if isinstance(self.key, Ed25519PrivateKey) else RSA

    @property
    def words(self) -> str:
        """For people: ``rsa 2048`` or ``ed25519``."""
        return "ed25519" if isinstance(self.key, Ed25519PrivateKey) else f"rsa {self.key.key_size}"

    @property
    def name(self) -> str:
        """Where its record belongs."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record (RFC 6376 3.6.1)."""
        public = self.key.public_key()
        if isinstance(self.key, Ed25519PrivateKey):
            # RFC 8463 4: the 32 octets themselves.
            octets, kind = public.public_bytes(Encoding.Raw, PublicFormat.Raw), "ed25519"
        else:
            octets, kind = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "rsa"
        return f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode('ascii')}"

    def sign(self, octets: bytes) -> bytes:
        """The signature over octets."""
        if isinstance(self.key, Ed25519PrivateKey):
            # RFC 8463 3: PureEdDSA over the SHA-256.
            digest = hashes.Hash(hashes.SHA256())
            digest.update(octets)
            return self.key.sign(digest.finalize())
        return self.key.sign(octets, PKCS1v15(), hashes.SHA256())

    def matches(self, records: Sequence[bytes]) -> bool:
        """Whether one of the TXT records at its name is for this key; white space in p= does not count (RFC 6376 3.2)."""
        wanted = _tags(self.record.encode("ascii"))
        return any(
            tags.get(b"p") == wanted[b"p"] and tags.get(b"k", b"rsa") == wanted[b"k"] for tags in map(_tags, records)
        )


def _tags(record: bytes) -> dict[bytes, bytes]:
    """``tag-list = tag-spec *( ";" tag-spec ) [ ";" ]`` (RFC 6376 3.2)."""
    pairs = (part.partition(b"=") for part in record.split(b";"))
    return {name.strip(): b"".join(value.split()) for name, _, value in pairs}


def load_key(path: str, domain: str, selector: str, state: State) -> SigningKey:
    """Read a key; raise KeyFaultError or OSError."""
    with open(path, "rb") as file:
        octets = file.read(64 * 1024)
        changed_at = os.fstat(file.fileno()).st_mtime
    try:
        key = load_pem_private_key(octets, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFaultError("this is not a private key in PEM form without a passphrase") from None
    if isinstance(key, RSAPrivateKey):
        if key.key_size < MIN_RSA_BITS:
            raise KeyFaultError(f"has {key.key_size} bits: nobody trusts an RSA key of less than {MIN_RSA_BITS}")
    elif not isinstance(key, Ed25519PrivateKey):
        raise KeyFaultError("is neither an RSA nor an Ed25519 key")
    return SigningKey(domain, selector, key, state, changed_at)


def keys_of(directory: str, domain: str) -> tuple[list[SigningKey], list[str]]:
    """All keys of a domain, RSA first, and what is wrong with those files that cannot be used; raises OSError."""
    place = os.path.join(directory, domain)
    keys, faults = [], []
    try:
        names = sorted(os.listdir(place))
    except FileNotFoundError:
        return [], []
    for name in names:
        selector, end = os.path.splitext(name)
        state = next((state for state in State if state.value == end), None)
        if state is None:
            continue
        path = os.path.join(place, name)
        try:
            keys.append(load_key(path, domain, selector, state))
        except (KeyFaultError, OSError) as error:
            faults.append(f"{path}: {getattr(error, 'strerror', None) or error}")
    # Verifiers of old stop at the first signature that they do not understand.
    keys.sort(key=lambda key: (key.algorithm != RSA, key.selector))
    return keys, faults


def domains_of(directory: str) -> list[str]:
    """The domains that have a directory of keys."""
    try:
        entries = list(os.scandir(directory))
    except FileNotFoundError:
        return []
    return sorted(entry.name for entry in entries if entry.is_dir() and _DOMAIN.match(entry.name))


def create_key(
    directory: str, domain: str, selector: str, algorithm: str, state: State, bits: int = RSA_BITS
) -> SigningKey:
    """Make a key and keep it; raises OSError, FileExistsError when the selector has been used."""
    place = os.path.join(directory, domain)
    os.makedirs(place, mode=0o700, exist_ok=True)
    if any(os.path.exists(os.path.join(place, selector + each.value)) for each in State):
        raise FileExistsError(f"{selector} is a selector of {domain} already")
    key = Ed25519PrivateKey.generate() if algorithm == ED25519 else generate_private_key(65537, bits)
    octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # Whoever makes it, it must be the server's to read: it belongs to whom the data directory does.
    owner = os.stat(os.path.dirname(os.path.abspath(directory)))
    path = os.path.join(place, selector + state.value)
    write_durably(path, octets, 0o600, (owner.st_uid, owner.st_gid))
    for made in (directory, place):
        if os.geteuid() == 0:
            os.chown(made, owner.st_uid, owner.st_gid)
    return load_key(path, domain, selector, state)


def change_state(directory: str, key: SigningKey, state: State, now: float) -> None:
    """Put a key into another state; the file's time tells since when."""
    place = os.path.join(directory, key.domain)
    before, after = (os.path.join(place, key.selector + each.value) for each in (key.state, state))
    os.utime(before, (now, now))
    os.rename(before, after)
    sync_directory(place)


@attrs.define
class _Known:
    keys: list[SigningKey]
    stamp: int | None
    looked_at: float


class Keyring:
    """The keys as they are on disk, for one thread. A file that is broken is told once, and the others go on."""

    _log = Logger()

    def __init__(self, directory: str, seconds: Callable[[], float]) -> None:
        self._directory = directory
        self._seconds = seconds
        self._known: dict[str, _Known] = {}

    def keys(self, domain: str, selectors: Sequence[str] = ()) -> list[SigningKey]:
        """The keys that sign for a domain: those in use, or those of these selectors in whatever state."""
        if not _DOMAIN.match(domain) or ".." in domain:
            return []
        known = self._known.get(domain)
        now = self._seconds()
        if known is None or not 0 <= now - known.looked_at < LOOK_SECONDS:
            known = self._look(domain, known, now)
        if selectors:
            return [key for key in known.keys if key.selector in selectors]
        return [key for key in known.keys if key.state is State.IN_USE]

    def is_empty(self) -> bool:
        """Whether no domain can have keys; a look at the disk."""
        try:
            with os.scandir(self._directory) as entries:
                return next(entries, None) is None
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def _look(self, domain: str, known: _Known | None, now: float) -> _Known:
        try:
            stamp: int | None = os.stat(os.path.join(self._directory, domain)).st_mtime_ns
        except OSError:
            stamp = None
        if known is not None and known.stamp == stamp:
            known.looked_at = now
            return known
        keys: list[SigningKey] = []
        if stamp is not None:
            try:
                keys, faults = keys_of(self._directory, domain)
            except OSError as error:
                faults = [f"{error.filename}: {error.strerror}"]
            for fault in faults:
                self._log.error("A key for DKIM cannot be used: {fault}", fault=fault)
        if len(self._known) >= MAX_DOMAINS:
            self._known.clear()
        known = self._known[domain] = _Known(keys, stamp, now)
        return known
