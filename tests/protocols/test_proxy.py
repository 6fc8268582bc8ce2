"""Tests of the PROXY protocol's header, from HAProxy's specification."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.proxy import (
    FIXED_OCTETS,
    MAX_FOLLOWING_OCTETS,
    MAX_LINE_OCTETS,
    Header,
    HeaderReader,
    MalformedHeaderError,
)
from tests.support.engines import replay

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")

V4 = bytes([192, 0, 2, 9, 198, 51, 100, 1]) + struct.pack("!HH", 40000, 25)
V6 = bytes.fromhex("20010db8000000000000000000000009") + bytes(16) + struct.pack("!HH", 40000, 25)


def version_2(addresses: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    """A header of version 2."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(addresses)) + addresses


def read(data: bytes) -> Header | str | None:
    """What becomes of the octets, cut in every way: the header with all that followed, the refusal, or nothing yet."""

    def run(pieces: Iterable[bytes]) -> Header | str | None:
        reader, header = HeaderReader(), None
        for piece in pieces:
            if header is not None:
                header = Header(header.client, header.behind + piece)
                continue
            try:
                header = reader.receive(piece)
            except MalformedHeaderError:
                return "malformed"
        return header

    result: Header | str | None = replay(data, run)
    return result


class Version1Tests(SynchronousTestCase):
    """The line."""

    def test_addresses(self) -> None:
        """The source is the client; what comes behind the line is not the header's."""
        self.assertEqual(read(b"PROXY TCP4 192.0.2.9 198.51.100.1 40000 25\r\n"), Header("192.0.2.9", b""))
        line = b"PROXY TCP6 2001:DB8:0::9 ::1 0 65535\r\nEHLO x\r\n"
        self.assertEqual(read(line), Header("2001:db8::9", b"EHLO x\r\n"))

    def test_unknown(self) -> None:
        """UNKNOWN tells nothing, whatever stands behind it."""
        for rest in (b"", b" ", b" ffff::1 ffff::2 1 2", b" anything"):
            self.assertEqual(read(b"PROXY UNKNOWN" + rest + b"\r\n\n"), Header(None, b"\n"))

    def test_length(self) -> None:
        """A line has 107 octets at most."""
        for octets, expected in ((106, Header(None, b"")), (107, Header(None, b"")), (108, "malformed")):
            line = b"PROXY UNKNOWN " + b"x" * (octets - 16) + b"\r\n"
            self.assertEqual((len(line), read(line)), (octets, expected))
        self.assertIsNone(read(b"PROXY UNKNOWN ".ljust(MAX_LINE_OCTETS - 1, b"x")))
        self.assertEqual(read(b"PROXY UNKNOWN ".ljust(MAX_LINE_OCTETS, b"x")), "malformed")

    def test_incomplete(self) -> None:
        """A beginning is no header yet."""
        for begun in (b"", b"P", b"PROXY", b"PROXY TCP4 192.0.2.9 198.51.100.1 40000 25\r"):
            self.assertIsNone(read(begun))

    def test_malformed(self) -> None:
        """What is not the line of the specification is refused."""
        for line in (
            b"EHLO client.example.com\r\n",
            b"PROXIES\r\n",
            b"proxy TCP4 192.0.2.9 198.51.100.1 40000 25\r\n",
            b"PROXY TCP4 192.0.2.9 198.51.100.1 40000 25\n",
            b"PROXY TCP4 192.0.2.9 198.51.100.1 40000\r\n",
            b"PROXY TCP4 192.0.2.9  198.51.100.1 40000 25\r\n",
            b"PROXY TCP4 192.0.2.9 198.51.100.1 65536 25\r\n",
            b"PROXY TCP4 192.0.2.9 198.51.100.1 40000 65536\r\n",
            b"PROXY TCP4 192.0.2.256 198.51.100.1 40000 25\r\n",
            b"PROXY TCP4 192.0.2.9 ::1 40000 25\r\n",
            b"PROXY TCP6 192.0.2.9 198.51.100.1 40000 25\r\n",
            b"PROXY UDP4 192.0.2.9 198.51.100.1 40000 25\r\n",
            b"PROXY UNKNOWNS\r\n",
            b"\r\n\r\nEHLO client.example.com\r\n",
            b"\x16\x03\x01",
        ):
            self.assertEqual(read(line), "malformed", line)


class Version2Tests(SynchronousTestCase):
    """The octets."""

    def test_addresses(self) -> None:
        """The source is the client, over IPv4 and over IPv6."""
        self.assertEqual(read(version_2(V4) + b"EHLO x\r\n"), Header("192.0.2.9", b"EHLO x\r\n"))
        self.assertEqual(read(version_2(V6, family=0x21)), Header("2001:db8::9", b""))

    def test_extensions(self) -> None:
        """Extensions behind the addresses are passed over, and are not the client's octets."""
        self.assertEqual(read(version_2(V4 + b"\x04\x00\x01x") + b"y"), Header("192.0.2.9", b"y"))

    def test_local(self) -> None:
        """LOCAL is the front end itself, which may want to know whether we live; its addresses are passed over."""
        for family, addresses in ((0x00, b""), (0x11, V4), (0x99, b"?")):
            self.assertEqual(read(version_2(addresses, command=0x20, family=family)), Header(None, b""))

    def test_other_families(self) -> None:
        """Families that exist and tell no TCP address are accepted, and tell nothing."""
        for family in (0x00, 0x12, 0x22, 0x31, 0x32):
            self.assertEqual(read(version_2(b"", family=family)), Header(None, b""))

    def test_length(self) -> None:
        """So much may follow the first sixteen octets, and no more."""
        for following in (MAX_FOLLOWING_OCTETS - 1, MAX_FOLLOWING_OCTETS):
            self.assertEqual(read(version_2(V4.ljust(following, b"\0"))), Header("192.0.2.9", b""))
        too_long = version_2(V4.ljust(MAX_FOLLOWING_OCTETS + 1, b"\0"))
        self.assertEqual(read(too_long), "malformed")
        # Before any of it has come.
        self.assertEqual(read(too_long[:FIXED_OCTETS]), "malformed")

    def test_incomplete(self) -> None:
        """A beginning is no header yet."""
        whole = version_2(V4)
        for octets in (1, 11, 12, 15, 16, len(whole) - 1):
            self.assertIsNone(read(whole[:octets]))

    def test_short_addresses(self) -> None:
        """Addresses that are not whole are refused."""
        self.assertEqual(read(version_2(V4[:11])), "malformed")
        self.assertEqual(read(version_2(V6[:35], family=0x21)), "malformed")

    def test_malformed(self) -> None:
        """Other versions, commands and families are refused."""
        for command, family in ((0x11, 0x11), (0x31, 0x11), (0x22, 0x11), (0x2F, 0x11), (0x21, 0x13), (0x21, 0x41)):
            self.assertEqual(read(version_2(V4, command=command, family=family)), "malformed", (command, family))


class AnyHeaderTests(SynchronousTestCase):
    """Whatever a front end, or somebody in its place, sends first."""

    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=30),
                st.sampled_from(
                    [
                        b"PROXY TCP4 192.0.2.7 127.0.0.1 1 25\r\n",
                        b"PROXY TCP6 ",
                        b"PROXY UNKNOWN",
                        b"2001:db8::1 ",
                        b" 65536 ",
                        b"\r\n",
                        b"\r\n\r\n\0\r\nQUIT\n",
                        b"\x21\x11\0\x0c",
                        b"\x20\x00\0\0",
                        b"\x21\x21\xff\xff",
                    ]
                ),
            ),
            max_size=8,
        )
    )
    def test_any(self, parts: list[bytes]) -> None:
        """A header, a refusal or nothing yet; what is held is bounded, and a client's address is one."""
        reader = HeaderReader()
        for part in parts:
            try:
                header = reader.receive(part)
            except MalformedHeaderError:
                return
            if header is not None:
                if header.client is not None:
                    ip_address(header.client)
                return
            self.assertLessEqual(len(reader._data), max(MAX_LINE_OCTETS, FIXED_OCTETS + MAX_FOLLOWING_OCTETS))
