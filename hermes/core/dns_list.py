"""
Lists in the DNS as values: what is asked about a client, and what an answer means (RFC 5782).

A list answers with addresses in 127.0.0.0/8; which of them says why somebody is listed. Some answers say that the list does not
want to be asked; they are never taken for a listing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network

import attrs

from hermes.core.address_range import AddressRange
from hermes.core.peer_address import address_of

#: Answers of a list are in here (RFC 5782 2.1); anything else comes from a resolver that answers for names that are not there,
#: or from a domain that has been sold.
_ANSWERS = ip_network("127.0.0.0/8")

#: What Spamhaus and others answer to a mistyped zone, a public resolver, or too many questions.
_REFUSALS = ip_network("127.255.255.0/24")

#: With URIBL and SURBL it means that the question was refused. No list has it as its word for a listing.
_REFUSAL = IPv4Address("127.0.0.1")

_NORMAL = AddressRange.parse("127.0.0.2")

#: The entries that every list has for tests, and those that none has (RFC 5782 5).
TEST_LISTED = "127.0.0.2"
TEST_NOT_LISTED = "127.0.0.1"
TEST_LISTED_NAME = "test"
TEST_NOT_LISTED_NAME = "invalid"

# Networks whose addresses mean something else at every site: no list can know them, and asking would only tell on us.
_OURS = tuple(
    ip_network(text)
    for text in (
        *(
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
        ),
        *("::/127", "fc00::/7", "fe80::/10"),
    )
)


class Reading(enum.Enum):
    """What the answers of a list mean."""

    LISTED = "listed"
    CLEAR = "clear"  #: it answers, and with nothing that counts
    REFUSED = "refused"  #: it does not want to be asked by us, or it is not the list that answers


@attrs.frozen
class DNSList:
    """One list: where it is asked, about what, and which answers count; without ``counting`` all do."""

    name: str
    zone: str
    lookup: str
    counting: tuple[AddressRange, ...] = ()

    def question(self, peer: str, hello: str, sender_domain: str) -> str:
        """The name to look up; empty when there is nothing to ask about this client."""
        if self.lookup == "address":
            return address_question(peer, self.zone)
        name = sender_domain if self.lookup == "domain" else hello
        return name_question(name, self.zone)

    def read(self, answers: Iterable[str]) -> tuple[Reading, str]:
        """What the addresses in an answer mean, and the one that decides."""
        decided: tuple[Reading, str] = (Reading.CLEAR, "")
        for text in answers:
            address = IPv4Address(text)
            if self._counts(address):
                return Reading.LISTED, text
            if address not in _ANSWERS or address in _REFUSALS or address == _REFUSAL:
                decided = (Reading.REFUSED, text)
        return decided

    def _counts(self, address: IPv4Address) -> bool:
        if address not in _ANSWERS or address in _REFUSALS:
            return False
        if not self.counting:
            return address != _REFUSAL
        return any(each.first <= int(address) <= each.last for each in self.counting)


def address_question(peer: str, zone: str) -> str:
    """The name for an address: its octets, or the nibbles of IPv6, turned round (RFC 5782 2.1, 2.4); empty for our own kind."""
    return "" if is_ours(peer) else reversed_address(peer, zone)


@lru_cache(4096)
def is_ours(peer: str) -> bool:
    """True for an address that means something else at every site, and for what is no address: nobody else can know about it."""
    # None is of a UNIX socket, or a client that its front end does not know.
    address = address_of(peer)
    return address is None or any(address in network for network in _OURS)


def reversed_address(peer: str, zone: str) -> str:
    """The name for any address."""
    labels = ip_address(peer).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    return f"{labels}.{zone}"


def name_question(name: str, zone: str) -> str:
    """The name for a domain (RFC 5782 3); empty for what is none, like an address in brackets."""
    name = name.rstrip(".").lower()
    if "." not in name or name.startswith("[") or name.rpartition(".")[2].isdigit():
        return ""
    return f"{name}.{zone}"


def parse_counting(text: str) -> tuple[AddressRange, ...]:
    """Read ``any``, ``normal`` or a list of addresses and ranges; raise ValueError with a remedy."""
    word = text.strip().lower()
    if word in ("any", ""):
        return ()
    if word == "normal":
        return (_NORMAL,)
    counting = tuple(AddressRange.parse(item.strip()) for item in text.split(",") if item.strip())
    for each in counting:
        if each.version != 4 or IPv4Address(each.first) not in _ANSWERS or IPv4Address(each.last) not in _ANSWERS:
            raise ValueError(f"{each} is no answer of a list: they are in 127.0.0.0/8")
        refusals = AddressRange.parse(str(_REFUSALS))
        if each.first <= refusals.last and each.last >= refusals.first:
            raise ValueError(f"{each} has answers in it that mean that you may not ask, {_REFUSALS}: leave them out")
    return counting
