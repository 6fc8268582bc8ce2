"""A peer's address, read from its text once for all who judge by it; and what counts as one address, and as one network."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

#: More than the connections that there are at one time. With all that hangs on it an address takes less than a kilobyte.
MAX_REMEMBERED = 4096


@lru_cache(MAX_REMEMBERED)
def address_of(peer: str) -> IPv4Address | IPv6Address | None:
    """The address, IPv4 that is mapped into IPv6 being IPv4; None of what has none: a UNIX socket, a client that is not known."""
    try:
        address = ip_address(peer)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


@lru_cache(MAX_REMEMBERED)
def host_of(peer: str) -> str:
    """What counts as one address: an IPv4 address, an IPv6 /64 (which is what one customer gets at least)."""
    address = address_of(peer)
    if address is None:
        return peer
    return str(address) if address.version == 4 else network_text(address, 64)


@lru_cache(MAX_REMEMBERED)
def network_of(peer: str) -> str:
    """What counts as one network: IPv4 /24, IPv6 /48."""
    address = address_of(peer)
    return peer if address is None else network_text(address, 24 if address.version == 4 else 48)


def network_text(address: IPv4Address | IPv6Address, bits: int) -> str:
    """The network of so many bits that an address is in; ipaddress needs five times as long for it."""
    cut = address.max_prefixlen - bits
    return f"{type(address)(int(address) >> cut << cut)}/{bits}"
