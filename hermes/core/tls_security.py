"""
How mail to one host must be protected: what the settings, the policies of its domain and the message itself ask for.

RFC 7435 (opportunistic), 7672 (DANE), 8461 (MTA-STS), 8689 (REQUIRETLS).
"""

from __future__ import annotations

import enum

import attrs


class Level(enum.IntEnum):
    """From nothing to a server that is known for certain; each asks for more than the one before."""

    NONE = 0  #: no TLS
    OPPORTUNISTIC = 1  #: TLS where it is offered, with any certificate
    ENCRYPTED = 2  #: TLS with any certificate
    VERIFIED = 3  #: TLS with a certificate for the host's name from an authority that is trusted
    DANE = 4  #: TLS with a certificate that the DNS vouches for


class Usage(enum.IntEnum):
    """What a TLSA record says about the certificate it names (RFC 7218 2.1); those of SMTP (RFC 7672 3.1)."""

    DANE_TA = 2  #: an authority's
    DANE_EE = 3  #: the server's own


@attrs.frozen
class TLSA:
    """
    One TLSA record (RFC 6698 2.1).

    ``selector`` 0 means the certificate and 1 its key, ``matching`` 0 the octets themselves, 1 their SHA-256 and 2 their SHA-512.
    """

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def usable(self) -> bool:
        """Whether an SMTP client can do anything with it (RFC 7672 3.1): the usages of PKIX are none for SMTP."""
        lengths = {1: 32, 2: 64}
        return (
            self.usage in (Usage.DANE_TA, Usage.DANE_EE)
            and self.selector in (0, 1)
            and self.matching in (0, 1, 2)
            and bool(self.data)
            and len(self.data) == lengths.get(self.matching, len(self.data))
        )


@attrs.frozen
class Security:
    """
    What one host must show.

    ``by`` says in a word for the trace who vouches for it: ``dane``, ``sts`` or ``pkix``. ``names`` are those for which its
    certificate may be beside the host's own, ``records`` the usable TLSA records. ``requires_tls`` says that it has to promise
    REQUIRETLS. ``watched`` says that failures are only to be reported (a policy that is being tested).
    ``domain`` and ``lines`` are the domain and its policy, for reports.
    """

    level: Level = Level.OPPORTUNISTIC
    by: str = "pkix"
    names: tuple[str, ...] = ()
    records: tuple[TLSA, ...] = ()
    requires_tls: bool = False
    watched: bool = False
    domain: str = attrs.field(default="", eq=False)
    lines: tuple[str, ...] = attrs.field(default=(), eq=False)


@attrs.frozen
class Proxy:
    """A SOCKS5 proxy (RFC 1928); with a username the login of RFC 1929."""

    host: str
    port: int
    username: str = ""
    password: str = attrs.field(default="", repr=False)


@attrs.frozen
class Way:
    """How a host is connected to: from which of our addresses, and through which proxy."""

    source_ipv4: str = ""
    source_ipv6: str = ""
    proxy: Proxy | None = None

    def source(self, address: str) -> str:
        """The address to connect from to that one; empty for any."""
        return self.source_ipv6 if ":" in address else self.source_ipv4
