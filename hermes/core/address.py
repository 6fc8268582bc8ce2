"""
Mail addresses as text: how they are split, compared and written (RFC 5321 4.1.2, 2.4).

Inside Hermes an address is a ``str`` of the form ``local-part@domain``; the null reverse-path is ``""``. The grammar of
the wire (angle brackets, quoting, source routes) lives in :mod:`hermes.protocols.smtp.grammar`, which yields these.
"""

from __future__ import annotations

import idna

#: RFC 5321 4.5.3.1.3: a path has 256 octets with its brackets.
MAX_ADDRESS_OCTETS = 254


def split(address: str) -> tuple[str, str]:
    """Split into local part and domain; the domain is empty where there is none (``<postmaster>``)."""
    local_part, at, domain = address.rpartition("@")
    return (local_part, domain) if at else (address, "")


def domain_of(address: str) -> str:
    """The domain, in lower case, or an empty string."""
    return split(address)[1].lower()


def domain_key(domain: str) -> str:
    """The form under which domains are compared: lower case, and A-labels for a name with other letters (RFC 5890, UTS 46)."""
    # What is longer belongs to no address, and would take long to be encoded.
    if domain.isascii() or len(domain) > MAX_ADDRESS_OCTETS:
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        # Not a name that DNS could know. It is equal to itself only.
        return domain.lower()


def is_null(address: str) -> bool:
    """True for the null reverse-path, from which reports come and to which none go (RFC 5321 4.5.5)."""
    return not address


def key(address: str) -> str:
    """
    The form under which addresses are compared.

    Domains are case-insensitive (RFC 5321 2.4). Local parts are the receiving host's own business; Hermes, like every
    server people know, does not distinguish case in them.
    """
    return address.lower()
