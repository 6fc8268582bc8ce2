"""Who is on the list of offenders, and in which words such a peer is turned away."""

from __future__ import annotations

import math
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import attrs

from hermes.core.outcome import Verdict
from hermes.core.peer_address import address_of
from hermes.core.reply import Reply
from hermes.core.units import format_time

Network = IPv4Network | IPv6Network

#: An IPv6 customer has a /64 at least: a single address of it says nothing about who is behind it.
IPV6_BITS = 64

#: What the trace calls a refusal that comes from the list.
LISTED = "offenders.listed"

#: Networks with fewer bits than these are nobody's own: what names them is a slip of the pen.
_FEWEST_BITS = {4: 8, 6: 16}


@attrs.frozen
class Offender:
    """
    One entry: an address or a network that may not connect for a while.

    ``since`` and ``until`` are seconds since the epoch; ``until`` is None for one that has no end. ``rule`` names what put it
    there (``smtp.max_relay_attempts``, or ``administrator``), ``reason`` says why in plain words and never goes over the wire.
    ``times`` counts how often it was reported.
    """

    network: Network
    since: float
    until: float | None
    rule: str
    reason: str = ""
    by_administrator: bool = False
    times: int = 1

    def active(self, now: float) -> bool:
        """True while it is in force."""
        return self.until is None or self.until > now

    def refusal(self, peer: str, now: float, contact: str) -> Verdict:
        """
        What a peer is told.

        While it has an end it is 421: an honest server behind that address keeps its mail and comes again (RFC 5321 4.2.1, 3.8).
        One without an end is 554, like any other refusal for good (RFC 5321 3.1).
        """
        remedy = f"ask {contact} to clear it"
        if self.until is None:
            said = Reply.of(554, "5.7.1", f"{peer} is blocked here: {remedy}")
        else:
            # Whole minutes: nobody comes back at the second, and the text should not change with each try.
            left = format_time(max(1, math.ceil((self.until - now) / 60)) * 60)
            said = Reply.of(421, "4.7.0", f"{peer} is blocked here for another {left}: try again later, or {remedy}")
        who = "an administrator" if self.by_administrator else self.rule
        return Verdict(
            said, LISTED, f"{self.network_text} was listed by {who}{f': {self.reason}' if self.reason else ''}"
        )

    @property
    def network_text(self) -> str:
        """The address, or the network with its bits, as people write it."""
        return network_text(self.network)


def network_text(network: Network) -> str:
    """An address alone, a network with its bits."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def network_of_peer(peer: str) -> Network | None:
    """What is listed when a peer offends: its IPv4 address or its IPv6 /64; None for what has no address."""
    address = address_of(peer)
    if address is None:
        return None
    return ip_network((address, address.max_prefixlen if address.version == 4 else IPV6_BITS), strict=False)


def parse_network(text: str) -> Network:
    """Read ``192.0.2.7``, ``192.0.2.0/24`` or the same in IPv6 (an address means its /64); raise ValueError with a remedy."""
    text = text.strip()
    if "/" not in text:
        network = network_of_peer(text)
        if network is None:
            raise ValueError(f"{text!r} is not an address: write one like 192.0.2.7, or a network like 192.0.2.0/24")
        return network
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not a network: write ADDRESS/BITS like 192.0.2.0/24") from None
    if str(ip_address(text.partition("/")[0])) != str(network.network_address):
        raise ValueError(f"{text!r} has bits set outside of its mask: did you mean {network}?")
    if isinstance(network.network_address, IPv6Address) and network.network_address.ipv4_mapped is not None:
        raise ValueError(f"{text!r} is IPv4 in the form of IPv6: write it as IPv4")
    if network.prefixlen < _FEWEST_BITS[network.version]:
        raise ValueError(
            f"{text!r} is a great part of the world: name networks of /{_FEWEST_BITS[network.version]} at most"
        )
    return network
