"""slapd of Debian for tests: on loopback, at free ports, in a temporary directory, with a schema of its own beside the usual."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.certificates import make_certificate

SUFFIX = "o=acme"
ADMIN, ADMIN_PASSWORD = "cn=admin,o=acme", "the service account"

#: slapd and its schemas are where Debian puts them.
SLAPD, SCHEMAS = "/usr/sbin/slapd", Path("/etc/ldap/schema")

#: What the tests need of NetWare's and Microsoft's schemas, by names alone: the numbers are from the branch for examples
#: (2.999, ITU-T X.660). userPrincipalName and sAMAccountName are here so that the profile ad can be tried at all.
_SCHEMA = """
attributetype ( 2.999.1.1 NAME 'loginDisabled' EQUALITY booleanMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.7 SINGLE-VALUE )
attributetype ( 2.999.1.2 NAME 'loginExpirationTime' EQUALITY generalizedTimeMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE )
attributetype ( 2.999.1.3 NAME 'mailForwardingAddress' EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
attributetype ( 2.999.1.4 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 2.999.1.5 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 2.999.1.6 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 2.999.1.7 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 2.999.1.8 NAME 'accountExpires' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 2.999.2.1 NAME 'networkUser' SUP top AUXILIARY
  MAY ( loginDisabled $ loginExpirationTime $ mailForwardingAddress ) )
objectclass ( 2.999.2.2 NAME 'user' SUP top AUXILIARY
  MAY ( sAMAccountName $ userPrincipalName $ proxyAddresses $ userAccountControl $ accountExpires ) )
objectclass ( 2.999.2.4 NAME 'computer' SUP top AUXILIARY )
objectclass ( 2.999.2.3 NAME 'mailGroup' SUP top AUXILIARY MAY mail )
"""

_CONFIG = """
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
include {root}/own.schema
pidfile {root}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
database mdb
suffix "{suffix}"
rootdn "{admin}"
rootpw "{password}"
directory {root}/db
index objectClass,cn,uid,mail eq
access to attrs=userPassword by self write by anonymous auth by * none
access to * by * read
"""


def lacks_slapd() -> str | None:
    """What trial's ``skip`` wants: None when slapd is there, else what to install."""
    there = Path(SLAPD).exists() and shutil.which("ldapadd")
    return None if there else "not installed: slapd, ldap-utils (.ci/run installs them)"


class Slapd:
    """
    One server with the entries of an LDIF text; ``authority`` is the certificate that its clients must trust, and may be that of
    a ``twin``.
    """

    def __init__(self, ldif: str, twin: Slapd | None = None) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="hermes-ldap-")
        self.root = Path(self._directory.name)
        self.authority, self.key = (twin.authority, twin.key) if twin else make_certificate(self.root, "localhost")
        with contextlib.ExitStack() as stack:
            opened = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
            self.port, self.tls_port = (each.getsockname()[1] for each in opened)
        (self.root / "db").mkdir()
        (self.root / "own.schema").write_text(_SCHEMA)
        (self.root / "slapd.conf").write_text(
            _CONFIG.format(
                schemas=SCHEMAS,
                root=self.root,
                certificate=self.authority,
                key=self.key,
                suffix=SUFFIX,
                admin=ADMIN,
                password=ADMIN_PASSWORD,
            )
        )
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.start()
            self.tool("ldapadd", stdin=ldif)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Where it is, in the clear or with StartTLS."""
        return f"ldap://localhost:{self.port}"

    @property
    def tls_url(self) -> str:
        """Where it is with TLS from the first octet."""
        return f"ldaps://localhost:{self.tls_port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        places = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        with (self.root / "slapd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [SLAPD, "-f", str(self.root / "slapd.conf"), "-h", places, "-d", "0"], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 120
        while True:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"slapd does not answer: {(self.root / 'slapd.log').read_text()}")
            # Another process is waited for: there is no clock of ours to advance.
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it as a power cut would; its entries stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Leave nothing behind."""
        self.stop()
        self._directory.cleanup()

    def tool(self, program: str, *words: str, stdin: str = "") -> str:
        """Run one of OpenLDAP's own programs as the administrator."""
        address = f"ldap://127.0.0.1:{self.port}"
        command = [program, "-x", "-H", address, "-D", ADMIN, "-w", ADMIN_PASSWORD, *words]
        done = subprocess.run(command, input=stdin.encode(), capture_output=True, check=False, timeout=120)
        if done.returncode:
            raise AssertionError(f"{program}: {done.stderr.decode()}")
        return done.stdout.decode()
