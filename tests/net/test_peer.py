"""The one form of a peer's address."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from hermes.net.peer import is_loopback, normal, peer_of, within


class PeerTests(SynchronousTestCase):
    """Addresses as text."""

    def test_ipv4(self) -> None:
        """An IPv4 address is as it is."""
        self.assertEqual(peer_of(StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 5))), "192.0.2.1")

    def test_mapped(self) -> None:
        """A listener for both kinds shows IPv4 clients as mapped; we do not."""
        transport = StringTransport(peerAddress=IPv6Address("TCP", "::ffff:192.0.2.1", 5))
        self.assertEqual(peer_of(transport), "192.0.2.1")

    def test_ipv6(self) -> None:
        """Shortest form, no zone."""
        self.assertEqual(normal("2001:DB8:0:0::1"), "2001:db8::1")
        self.assertEqual(normal("fe80::1%eth0"), "fe80::1")

    def test_unix(self) -> None:
        """A UNIX socket is this machine."""
        peer = peer_of(StringTransport(peerAddress=UNIXAddress(b"/x")))
        self.assertEqual((peer, is_loopback(peer)), ("unix", True))

    def test_something_else(self) -> None:
        """What is no address is not loopback."""
        self.assertEqual((normal("somewhere"), is_loopback("somewhere")), ("somewhere", False))

    def test_loopback(self) -> None:
        """127.0.0.0/8 and ::1, nothing else."""
        found = [
            is_loopback(peer) for peer in ("127.0.0.1", "127.255.0.1", "::1", "192.0.2.1", "2001:db8::1", "0.0.0.0")
        ]
        self.assertEqual(found, [True, True, True, False, False, False])

    def test_within(self) -> None:
        """An address is in a network of its own kind; what has no address is in none."""
        networks = (ip_network("192.0.2.0/25"), ip_network("2001:db8::/32"))
        peers = ("192.0.2.127", "192.0.2.128", "2001:db8::1", "2001:db9::1", "unix", "unknown")
        self.assertEqual([within(peer, networks) for peer in peers], [True, False, True, False, False, False])
        self.assertFalse(within("192.0.2.1", ()))
