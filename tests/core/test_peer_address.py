"""Peers' addresses as all who judge by them see them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.peer_address import address_of, host_of, network_of, network_text


class AddressTests(SynchronousTestCase):
    """One address, one host, one network."""

    def test_address(self) -> None:
        """IPv4 in IPv6 is IPv4 (RFC 4291 2.5.5.2); what has no address is none."""
        self.assertEqual(address_of("192.0.2.7"), IPv4Address("192.0.2.7"))
        self.assertEqual(address_of("::ffff:192.0.2.7"), IPv4Address("192.0.2.7"))
        self.assertEqual(address_of("2001:db8::7"), IPv6Address("2001:db8::7"))
        for text in ("unix", "unknown", "", "192.0.2.256", "[192.0.2.7]"):
            self.assertIsNone(address_of(text), text)

    def test_host_and_network(self) -> None:
        """A customer has one IPv4 address or an IPv6 /64; neighbors share a /24 or a /48."""
        for peer, host, network in (
            ("192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
            ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
            ("unix", "unix", "unix"),
        ):
            self.assertEqual((host_of(peer), network_of(peer)), (host, network))

    @given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 128))
    def test_network(self, address: IPv4Address | IPv6Address, bits: int) -> None:
        """It is the one that ipaddress finds."""
        bits = min(bits, address.max_prefixlen)
        self.assertEqual(network_text(address, bits), str(ip_network((address, bits), strict=False)))
