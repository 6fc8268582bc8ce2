"""
Mail addresses as text: how they are split, compared and written (RFC 5321 4.1.2, 2.4).

Inside Hermes an address is a ``str`` of the form ``local-part@domain``; the null reverse-path is ``""``. The grammar of
the wire (angle brackets, quoting, source routes) lives in :mod:`hermes.protocols.smtp.grammar`, which yields these.
"""

from __future__ import annotations


def split(address: str) -> tuple[str, str]:
    """Split into local part and domain; the domain is empty where there is none (``<postmaster>``)."""
    local_part, at, domain = address.rpartition("@")
    return (local_part, domain) if at else (address, "")


def domain_of(address: str) -> str:
    """The domain, in lower case, or an empty string."""
    return split(address)[1].lower()


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
