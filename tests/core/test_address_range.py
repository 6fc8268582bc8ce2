"""Ranges of addresses: how they are written and read."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.address_range import AddressRange

_NETWORKS = st.one_of(
    st.builds(
        lambda number, bits: IPv4Network((number, bits), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32)
    ),
    st.builds(
        lambda number, bits: IPv6Network((number, bits), strict=False), st.integers(0, 2**128 - 1), st.integers(0, 128)
    ),
)


class AddressRangeTests(SynchronousTestCase):
    """Reading, writing, measuring."""

    def test_forms(self) -> None:
        """An address, a network, and from one address to another, in both versions; a network is written as one again."""
        for text, written, size in (
            ("192.0.2.7", "192.0.2.7", 1),
            ("192.0.2.0/24", "192.0.2.0/24", 256),
            ("192.0.2.7/32", "192.0.2.7", 1),
            ("192.0.2.0/255.255.255.0", "192.0.2.0/24", 256),
            ("192.0.2.10-192.0.2.20", "192.0.2.10-192.0.2.20", 11),
            ("192.0.2.10 - 192.0.2.10", "192.0.2.10", 1),
            ("192.0.2.0-192.0.2.3", "192.0.2.0/30", 4),
            ("192.0.2.2-192.0.2.5", "192.0.2.2-192.0.2.5", 4),
            ("0.0.0.0/0", "0.0.0.0/0", 2**32),
            ("2001:DB8::/32", "2001:db8::/32", 2**96),
            ("2001:db8::1-2001:db8::ff", "2001:db8::1-2001:db8::ff", 255),
            ("::/0", "::/0", 2**128),
        ):
            parsed = AddressRange.parse(text)
            self.assertEqual((str(parsed), parsed.size), (written, size), text)

    def test_refused(self) -> None:
        """What is not a range is refused with a remedy."""
        for text, remedy in (
            ("", "FIRST-LAST"),
            ("*", "FIRST-LAST"),
            ("example.org", "FIRST-LAST"),
            ("192.0.2.300", "FIRST-LAST"),
            ("192.0.2.0/33", "FIRST-LAST"),
            ("192.0.2.1-", "FIRST-LAST"),
            ("192.0.2.1-192.0.2.2-192.0.2.3", "FIRST-LAST"),
            ("192.0.2.0/24-192.0.3.0/24", "FIRST-LAST"),
            ("192.0.2.1/24", "did you mean 192.0.2.0/24?"),
            ("192.0.2.9-192.0.2.1", "did you mean 192.0.2.1-192.0.2.9?"),
            ("192.0.2.1-2001:db8::1", "write two ranges"),
            ("::ffff:192.0.2.1", "like 192.0.2.1"),
            ("::ffff:192.0.2.0/120", "like 192.0.2.0"),
            ("fe80::1%eth0", "without %"),
            ("fe80::%eth0/64", "without %"),
        ):
            error = self.assertRaises(ValueError, AddressRange.parse, text)
            self.assertIn(remedy, str(error), text)

    def test_half_the_world(self) -> None:
        """Half of all addresses is everybody's; one address fewer is not."""
        for text, expected in (
            ("0.0.0.0/0", True),
            ("128.0.0.0/1", True),
            ("0.0.0.1-255.255.255.254", True),
            ("0.0.0.1-127.255.255.255", False),
            ("::/1", True),
            ("::1-7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", False),
        ):
            self.assertEqual(AddressRange.parse(text).is_half_the_world, expected, text)

    def test_global(self) -> None:
        """Private, loopback and documentation addresses are nobody's on the Internet; one end out there is enough."""
        for text, expected in (
            ("10.0.0.0/8", False),
            ("127.0.0.1", False),
            ("fd00::/8", False),
            ("8.8.8.0/24", True),
            ("9.255.255.0-10.0.0.255", True),
            ("2600::/16", True),
        ):
            self.assertEqual(AddressRange.parse(text).is_global, expected, text)

    @given(_NETWORKS)
    def test_networks(self, network: IPv4Network | IPv6Network) -> None:
        """Every network is the range from its first to its last address, and is written as the network again."""
        assume(not (isinstance(network, IPv6Network) and network.network_address.ipv4_mapped))
        alone = network.prefixlen == network.max_prefixlen
        text = str(network.network_address) if alone else str(network)
        parsed = AddressRange.parse(text)
        expected = AddressRange(network.version, int(network.network_address), int(network.broadcast_address))
        self.assertEqual((parsed, str(parsed)), (expected, text))
