"""
Ranges of IP addresses as people write them: ``192.0.2.7``, ``192.0.2.0/24``, ``192.0.2.10-192.0.2.20``, and the same in IPv6.

A range holds both of its ends. IPv4 and IPv6 are two worlds: no range is in both.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import attrs

_FORMS = "write an address, ADDRESS/BITS like 192.0.2.0/24, or FIRST-LAST like 192.0.2.10-192.0.2.20"


@attrs.frozen
class AddressRange:
    """All addresses of one IP ``version`` from the number ``first`` to the number ``last``."""

    version: int
    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> AddressRange:
        """Read any of the forms; raise ValueError with a remedy."""
        if "%" in text:
            raise ValueError(
                f"{text!r} names an interface: write it without %, peers are known by their addresses alone"
            )
        if "/" in text:
            return _network(text)
        first_text, dash, last_text = (part.strip() for part in text.partition("-"))
        first = _address(first_text, text)
        last = _address(last_text, text) if dash else first
        if first.version != last.version:
            raise ValueError(f"{text!r} begins in IPv{first.version} and ends in IPv{last.version}: write two ranges")
        if int(first) > int(last):
            raise ValueError(f"{text!r} ends before it begins: did you mean {last}-{first}?")
        return cls(first.version, int(first), int(last))

    @property
    def size(self) -> int:
        """How many addresses there are."""
        return self.last - self.first + 1

    @property
    def is_half_the_world(self) -> bool:
        """True when at least half of all addresses of that version are in it: nobody's own network is that large."""
        return self.size >= 1 << (31 if self.version == 4 else 127)

    @property
    def is_global(self) -> bool:
        """True when an end of it is an address of the open Internet."""
        return any(self._end(number).is_global for number in (self.first, self.last))

    def __str__(self) -> str:
        first, last = self._end(self.first), self._end(self.last)
        if self.first == self.last:
            return str(first)
        if self.size & (self.size - 1) == 0 and self.first % self.size == 0:
            return f"{first}/{first.max_prefixlen - self.size.bit_length() + 1}"
        return f"{first}-{last}"

    def _end(self, number: int) -> IPv4Address | IPv6Address:
        return IPv4Address(number) if self.version == 4 else IPv6Address(number)


def _address(text: str, whole: str) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(f"{whole!r} is not a range of addresses: {_FORMS}") from None
    _refuse_mapped(address, whole)
    return address


def _network(text: str) -> AddressRange:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not a range of addresses: {_FORMS}") from None
    address = ip_address(text.partition("/")[0])
    _refuse_mapped(address, text)
    if address != network.network_address:
        raise ValueError(f"{text!r} has bits set outside of its mask: did you mean {network}?")
    return AddressRange(network.version, int(network.network_address), int(network.broadcast_address))


def _refuse_mapped(address: IPv4Address | IPv6Address, text: str) -> None:
    # Peers that come that way are known by their IPv4 addresses, so such a range would never hold anybody.
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise ValueError(f"{text!r} is IPv4 in the form of IPv6: write it as IPv4, like {address.ipv4_mapped}")
