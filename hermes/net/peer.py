"""Who is at the other end, in the one form that gates, logs and policies compare."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from hermes.config.setting import Network
from hermes.core.peer_address import address_of

#: What stands for the peer of a UNIX socket, which is this machine.
UNIX_PEER = "unix"

#: What stands for a client whose address its front end does not know: it is nobody's neighbor and in no network.
UNKNOWN_PEER = "unknown"


def peer_of(transport: Any) -> str:
    """
    The peer's address as text: ``192.0.2.1``, ``2001:db8::1``, or ``unix``.

    A listener on ``::`` shows IPv4 clients as ``::ffff:192.0.2.1``; they are given as IPv4 here and nowhere else.
    """
    host = getattr(transport.getPeer(), "host", None)
    return UNIX_PEER if host is None else normal(str(host))


@lru_cache(4096)
def normal(address: str) -> str:
    """An IP address in its one normal form, without zone and without the mapping of IPv4 into IPv6."""
    parsed = address_of(address.partition("%")[0])
    return address if parsed is None else str(parsed)


@lru_cache(4096)
def is_loopback(peer: str) -> bool:
    """True for this machine: 127.0.0.0/8, ::1 and UNIX sockets."""
    if peer == UNIX_PEER:
        return True
    address = address_of(peer)
    return address is not None and address.is_loopback


def within(peer: str, networks: Iterable[Network]) -> bool:
    """True for an address in one of the networks; whatever has no address is in none."""
    address = address_of(peer)
    return address is not None and any(address in network for network in networks)
