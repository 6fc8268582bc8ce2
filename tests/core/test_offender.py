"""Entries of the list of offenders: whom they mean, how long they hold, and in which words."""

from __future__ import annotations

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.offender import LISTED, Offender, network_of_peer, parse_network

NOW = 1_800_000_000.0


def entry(until: float | None, **more: object) -> Offender:
    """An entry that ends then."""
    return Offender(ip_network("192.0.2.7"), NOW, until, "limits.login_failures", "because", **more)  # type: ignore[arg-type]


class OffenderTests(SynchronousTestCase):
    """One entry."""

    def test_active(self) -> None:
        """It holds until its end, and not at it; without an end it holds for ever."""
        self.assertTrue(entry(NOW + 1).active(NOW))
        self.assertFalse(entry(NOW + 1).active(NOW + 1))
        self.assertTrue(entry(None).active(NOW + 10**9))

    def test_refusal_for_a_while(self) -> None:
        """An honest server keeps its mail and comes again: 421, how long it lasts, and whom to ask."""
        for left, said in ((1800, "30m"), (1741, "30m"), (1740, "29m"), (1, "1m"), (0.2, "1m"), (90000, "1d 1h")):
            verdict = entry(NOW + left).refusal("192.0.2.7", NOW, "postmaster@example.org")
            text = f"192.0.2.7 is blocked here for another {said}: try again later, or ask postmaster@example.org to clear it"
            self.assertEqual((str(verdict.reply), verdict.rule), (f"421 4.7.0 {text}", LISTED))
            self.assertEqual(verdict.reason, "192.0.2.7 was listed by limits.login_failures: because")

    def test_refusal_for_good(self) -> None:
        """Without an end it is 554, and the reason stays with the administrator."""
        verdict = entry(None, by_administrator=True).refusal("192.0.2.7", NOW, "anna@example.org")
        self.assertEqual(str(verdict.reply), "554 5.7.1 192.0.2.7 is blocked here: ask anna@example.org to clear it")
        self.assertEqual(verdict.reason, "192.0.2.7 was listed by an administrator: because")
        without = Offender(ip_network("192.0.2.0/24"), NOW, None, "x").refusal("192.0.2.7", NOW, "anna@example.org")
        self.assertEqual(without.reason, "192.0.2.0/24 was listed by x")

    def test_fits_into_a_reply(self) -> None:
        """The longest address and contact there are leave the reply within its 512 octets (RFC 5321 4.5.3.1.5)."""
        peer = "2001:db8:1111:2222:3333:4444:5555:6666"
        contact = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 61}"
        verdict = entry(NOW + 3650 * 86400 + 3599).refusal(peer, NOW, contact)
        assert verdict.reply is not None
        self.assertLessEqual(len(verdict.reply.encode()), 512)


class NetworkTests(SynchronousTestCase):
    """Whom a text or a peer means."""

    def test_peers(self) -> None:
        """An IPv4 address is itself, also in the form of IPv6; an IPv6 address is its /64; anything else is nobody."""
        for peer, expected in (
            ("192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ):
            self.assertEqual(str(network_of_peer(peer)), expected)
        for peer in ("unix", "unknown", "", "192.0.2.300"):
            self.assertIsNone(network_of_peer(peer))

    def test_networks(self) -> None:
        """What administrators write."""
        for text, expected in (
            (" 192.0.2.7 ", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("2001:db8::7", "2001:db8::/64"),
            ("2001:db8::7/128", "2001:db8::7"),
            ("2001:db8::/48", "2001:db8::/48"),
            ("2001::/16", "2001::/16"),
        ):
            self.assertEqual(Offender(parse_network(text), 0, None, "").network_text, expected)

    def test_nonsense(self) -> None:
        """What is none is refused with a remedy."""
        for text, remedy in (
            ("", "is not an address"),
            ("anna", "is not an address"),
            ("192.0.2.1-192.0.2.9", "is not an address"),
            ("192.0.2.0/33", "is not a network"),
            ("anna/24", "is not a network"),
            ("192.0.2.7/24", "did you mean 192.0.2.0/24"),
            ("0.0.0.0/0", "great part of the world"),
            ("10.0.0.0/7", "great part of the world"),
            ("2000::/15", "great part of the world"),
            ("::ffff:192.0.2.0/120", "write it as IPv4"),
        ):
            with self.assertRaises(ValueError, msg=text) as raised:
                parse_network(text)
            self.assertIn(remedy, str(raised.exception))

    @given(st.text(max_size=50))
    def test_anything(self, text: str) -> None:
        """Whatever is written is a network that can be written down and read again, or a ValueError of ours."""
        try:
            network = parse_network(text)
        except ValueError as error:
            self.assertIn(":", str(error))
        else:
            self.assertEqual(parse_network(Offender(network, 0, None, "").network_text), network)

    @given(st.ip_addresses())
    def test_a_peer_is_in_its_own_network(self, address: object) -> None:
        """Whoever is listed is within what is listed."""
        network = network_of_peer(str(address))
        assert network is not None
        mapped = getattr(address, "ipv4_mapped", None)
        self.assertIn(mapped or address, network)
