"""What counts as one address, and what as one network."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network

from hermes.net.peer import UNIX_PEER


def host_of(peer: str) -> str:
    """What counts as one address: an IPv4 address, an IPv6 /64 (which is what one customer gets at least)."""
    return _prefix(peer, 32, 64)


def network_of(peer: str) -> str:
    """What counts as one network: IPv4 /24, IPv6 /48."""
    return _prefix(peer, 24, 48)


@lru_cache(4096)
def _prefix(peer: str, ipv4_bits: int, ipv6_bits: int) -> str:
    if peer == UNIX_PEER:
        return peer
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    bits = ipv4_bits if address.version == 4 else ipv6_bits
    return str(address) if bits == address.max_prefixlen else str(ip_network((address, bits), strict=False))
