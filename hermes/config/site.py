"""
A new site: a directory with ``config.ini``, the data directory, keys and a self-signed certificate.

Nothing that exists is touched, and when anything fails, exactly what was written is taken away again.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import stat
from collections.abc import Callable

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hermes.config.durable import sync_directory
from hermes.config.loader import load
from hermes.config.reference import config_ini
from hermes.config.schema import Settings

#: Ten years: nobody renews a self-signed certificate in time, and who needs trust replaces it with an authority's.
CERTIFICATE_DAYS = 3652

#: A clock that is slow by less than this still accepts the new certificate.
_BACKDATED = datetime.timedelta(hours=1)

#: X.520 gives a common name 64 characters; clients look at the alternative names anyway (RFC 9525 2).
_MAX_COMMON_NAME = 64

#: The standard ports, to which an offset may be added; the manhole has none of its own, and 22 is SSH's.
PORTS = {
    ("smtp", "listen"): 25,
    ("smtp", "submission"): 587,
    ("smtp", "submissions"): 465,
    ("pop3", "listen"): 110,
    ("pop3", "listen_tls"): 995,
}
MANHOLE_PORT = 22

#: Servers that are off unless somebody wants them, and that a demonstration shows.
DEMO_PORTS = {
    ("poppass", "listen"): 106,
    ("finger", "listen"): 79,
    ("phonebook", "listen"): 105,
}

#: What a demonstration adds to the standard ports when nothing else is asked for.
DEMO_OFFSET = 2000

_NAME = "config.ini"
_DATA = "data"
_CERTIFICATE = "tls/certificate.pem"
_KEY = "tls/key.pem"
_HOST_KEY = "manhole/host_key"
_AUTHORIZED_KEYS = "manhole/authorized_keys"
_DEMO_KEY = "manhole_key"


class SiteExistsError(Exception):
    """There is something already where the site should be; nothing was changed."""


@attrs.frozen
class Plan:
    """What a new site shall be; ``port_offset`` is added to the standard ports."""

    directory: str
    domain: str
    hostname: str
    postmaster: str
    demo: bool = False
    port_offset: int = 0

    @property
    def file(self) -> str:
        """The configuration's place."""
        return os.path.join(os.path.abspath(self.directory), _NAME)

    @property
    def manhole_key(self) -> str:
        """The key with which the demonstration's manhole is entered."""
        return os.path.join(os.path.abspath(self.directory), _DEMO_KEY)


def active_settings(plan: Plan) -> dict[tuple[str, str], str]:
    """The settings that differ from the defaults, as text."""
    host = "127.0.0.1" if plan.demo else "*"
    active = {
        ("hermes", "hostname"): plan.hostname,
        ("hermes", "domains"): plan.domain,
        ("hermes", "postmaster"): plan.postmaster,
        ("hermes", "data"): _DATA,
        ("tls", "certificate"): _CERTIFICATE,
        ("tls", "key"): _KEY,
    }
    for place, port in PORTS.items():
        active[place] = f"{host}:{port + plan.port_offset}"
    if plan.demo:
        for place, port in DEMO_PORTS.items():
            active[place] = f"{host}:{port + plan.port_offset}"
        active["phonebook", "accounts"] = "yes"
        active["smtp", "auth_without_tls"] = "loopback"
        active["pop3", "auth_without_tls"] = "loopback"
        active["manhole", "listen"] = f"{host}:{MANHOLE_PORT + plan.port_offset}"
    return active


def create(plan: Plan, populate: Callable[[Settings], None]) -> Settings:
    """
    Make the site and return its settings as they were read back from what was written.

    ``populate`` is called when all is there, to add the first accounts. Raises :class:`SiteExistsError`, OSError, ConfigError,
    or what ``populate`` raised; then there is no trace of the site.
    """
    directory = os.path.abspath(plan.directory)
    written = _Written()
    try:
        written.directory(directory)
        _write_keys(plan, directory, written)
        introduction = (f"The configuration of {plan.hostname}.", "")
        written.file(os.path.join(directory, _NAME), config_ini(active_settings(plan), introduction).encode())
        settings = load(os.path.join(directory, _NAME))
        before = written.names_below(directory)
        try:
            populate(settings)
        finally:
            written.adopt(directory, before)
    except BaseException:
        written.undo()
        raise
    return settings


def _write_keys(plan: Plan, directory: str, written: _Written) -> None:
    data = os.path.join(directory, _DATA)
    for path in (data, os.path.join(data, "tls"), os.path.join(data, "manhole")):
        written.directory(path)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = self_signed(key, (plan.hostname, plan.domain), demo=plan.demo)
    written.file(os.path.join(data, _KEY), _private(key, serialization.PrivateFormat.PKCS8))
    written.file(os.path.join(data, _CERTIFICATE), certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    host_key = ed25519.Ed25519PrivateKey.generate()
    written.file(os.path.join(data, _HOST_KEY), _private(host_key, serialization.PrivateFormat.OpenSSH))
    authorized = b"# Public keys of those who may enter the manhole, one a line, as in ~/.ssh/*.pub\n"
    if plan.demo:
        entry = ed25519.Ed25519PrivateKey.generate()
        written.file(plan.manhole_key, _private(entry, serialization.PrivateFormat.OpenSSH))
        public = entry.public_key()
        form = serialization.PublicFormat.OpenSSH
        authorized += public.public_bytes(serialization.Encoding.OpenSSH, form) + b" demonstration\n"
    written.file(os.path.join(data, _AUTHORIZED_KEYS), authorized)


def self_signed(key: ec.EllipticCurvePrivateKey, names: tuple[str, ...], *, demo: bool) -> x509.Certificate:
    """A certificate for these names (for a demonstration also for this machine), which its own key has signed."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:_MAX_COMMON_NAME])])
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys(names)]
    if demo:
        alternatives += [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        # Not an authority: who is told to trust this certificate shall not trust others made with its key.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def _private(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, form: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


class _Written:
    """Remembers what was made, so that exactly that can be taken away."""

    def __init__(self) -> None:
        self._made: list[str] = []
        self._modes: list[tuple[str, int]] = []

    def directory(self, path: str) -> None:
        """Make a directory for its owner alone, and its parents; one that exists must be empty."""
        if os.path.lexists(path):
            if not os.path.isdir(path) or os.listdir(path):
                raise SiteExistsError(f"{path} exists and is not an empty directory; nothing was changed")
            self._modes.append((path, stat.S_IMODE(os.stat(path).st_mode)))
            os.chmod(path, 0o700)
            return
        missing = [path]
        while not os.path.lexists(parent := os.path.dirname(missing[-1])):
            missing.append(parent)
        for each in reversed(missing):
            os.mkdir(each, 0o700)
            self._made.append(each)
            sync_directory(os.path.dirname(each))

    def file(self, path: str, octets: bytes, mode: int = 0o600) -> None:
        """Write a new file durably."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        self._made.append(path)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            # The umask may have taken rights away; it cannot have added any.
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        sync_directory(os.path.dirname(path))

    @staticmethod
    def names_below(directory: str) -> set[str]:
        """Every path below a directory."""
        return {os.path.join(parent, name) for parent, names, files in os.walk(directory) for name in (*names, *files)}

    def adopt(self, directory: str, before: set[str]) -> None:
        """Count what somebody else has made in a directory of ours since then as made here."""
        self._made += sorted(self.names_below(directory) - before)

    def undo(self) -> None:
        """Take everything away, the newest first: what is in a directory goes before it."""
        for path in reversed(self._made):
            with contextlib.suppress(OSError):
                if os.path.isdir(path) and not os.path.islink(path):
                    os.rmdir(path)
                else:
                    os.unlink(path)
        for path, mode in self._modes:
            with contextlib.suppress(OSError):
                os.chmod(path, mode)
