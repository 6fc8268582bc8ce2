"""
The header of the PROXY protocol, by which a load balancer says whose connection it passes on, versions 1 and 2.

The protocol is HAProxy's and published with it (``proxy-protocol.txt``). The header comes before anything else, TLS included, and
is not to be guessed: whoever reads it knows that there is one. Nothing here is believed or not; that is the owner's business.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import attrs

#: Version 1: the longest line that can be, with its end.
MAX_LINE_OCTETS = 107

#: Version 2: what comes first, and how much may follow. Senders keep the whole within one segment of 536 octets; more would be
#: extensions that nobody needs to have said here.
FIXED_OCTETS = 16
MAX_FOLLOWING_OCTETS = 536

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

# "PROXY" SP ( "TCP4" / "TCP6" ) SP source SP destination SP source-port SP destination-port CRLF
# "PROXY" SP "UNKNOWN" *OCTET CRLF
_LINE = re.compile(
    rb"PROXY (?:(TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) ([0-9]{1,5}) ([0-9]{1,5})|UNKNOWN(?: .*)?)\r\n"
)

_MAX_PORT = 65535

#: What stands for TCP over IPv4 and over IPv6, and how long the two addresses and ports are.
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESS_OCTETS = {_TCP4: 12, _TCP6: 36}

#: Other families and transports that exist (unspecified, UDP, UNIX sockets): they tell no address that we could use.
_WITHOUT_ADDRESS = frozenset({0x00, 0x12, 0x22, 0x31, 0x32})


class MalformedHeaderError(Exception):
    """What came first is not a header of the PROXY protocol; the text says why."""


@attrs.frozen
class Header:
    """
    A header that has come whole.

    ``client`` is the address of the client; None when the connection is the front end's own (LOCAL), or of a family
    without addresses. ``behind`` are the octets that came behind it.
    """

    client: str | None
    behind: bytes


class HeaderReader:
    """Collects the header of one connection; it never holds more than one header and the piece that came last."""

    def __init__(self) -> None:
        self._data = b""

    def receive(self, data: bytes) -> Header | None:
        """Take octets: the header, or None while it is not whole; raise :class:`MalformedHeaderError`."""
        self._data += data
        if self._data.startswith(_SIGNATURE):
            return self._version_2()
        if _SIGNATURE.startswith(self._data):
            return None
        return self._version_1()

    def _version_1(self) -> Header | None:
        data = self._data
        if not data.startswith(b"PROXY "[: len(data)]):
            raise MalformedHeaderError("the connection does not begin with a PROXY header")
        end = data.find(b"\n", 0, MAX_LINE_OCTETS) + 1
        if not end:
            if len(data) >= MAX_LINE_OCTETS:
                raise MalformedHeaderError(f"the line has more than {MAX_LINE_OCTETS} octets")
            return None
        found = _LINE.fullmatch(data, 0, end)
        if found is None:
            raise MalformedHeaderError("the line is not one of version 1")
        family, source, destination, *ports = found.groups()
        if family is None:
            return Header(None, data[end:])
        if max(map(int, ports)) > _MAX_PORT:
            raise MalformedHeaderError("a port is too large")
        kind = IPv4Address if family == b"TCP4" else IPv6Address
        try:
            client, _ = kind(source.decode("ascii")), kind(destination.decode("ascii"))
        except AddressValueError:
            raise MalformedHeaderError("an address is not one of its family") from None
        return Header(str(client), data[end:])

    def _version_2(self) -> Header | None:
        data = self._data
        if len(data) < FIXED_OCTETS:
            return None
        version, command, family = data[12] >> 4, data[12] & 15, data[13]
        if version != 2 or command not in (0, 1):
            raise MalformedHeaderError("it is neither LOCAL nor PROXY of version 2")
        following = int.from_bytes(data[14:FIXED_OCTETS], "big")
        if following > MAX_FOLLOWING_OCTETS:
            raise MalformedHeaderError(f"more than {MAX_FOLLOWING_OCTETS} octets would follow")
        end = FIXED_OCTETS + following
        if len(data) < end:
            return None
        return Header(_client(family, data[FIXED_OCTETS:end]) if command else None, data[end:])


def _client(family: int, addresses: bytes) -> str | None:
    """The source address of version 2; extensions behind the addresses are passed over."""
    if family in _WITHOUT_ADDRESS:
        return None
    octets = _ADDRESS_OCTETS.get(family)
    if octets is None or len(addresses) < octets:
        raise MalformedHeaderError("its addresses are incomplete, or of no family that is known")
    return str(IPv4Address(addresses[:4]) if family == _TCP4 else IPv6Address(addresses[:16]))
