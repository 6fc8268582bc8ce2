"""Lists in the DNS: what is asked and what an answer means (RFC 5782)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.dns_list import DNSList, Reading, address_question, name_question, parse_counting


def read(answers: str, *found: str) -> Reading:
    """What a list that counts ``answers`` means by these."""
    return DNSList("test", "list.example", "address", parse_counting(answers)).read(found)[0]


class QuestionTests(SynchronousTestCase):
    """What is asked."""

    def test_address(self) -> None:
        """The examples of RFC 5782 2.1 and 2.4."""
        self.assertEqual(address_question("192.0.2.99", "bad.example.com"), "99.2.0.192.bad.example.com")
        self.assertEqual(
            address_question("2001:db8:1:2:3:4:567:89ab", "ugly.example.com"),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com",
        )

    def test_ours(self) -> None:
        """Nobody is asked about addresses that every site has, or about what has no address."""
        for peer in (
            *("10.1.2.3", "127.0.0.1", "192.168.1.1", "172.31.255.255", "169.254.0.1", "100.64.0.1", "0.0.0.0"),
            *("::1", "::", "fe80::1", "fd00::1", "unix", "unknown", ""),
        ):
            self.assertEqual(address_question(peer, "list.example"), "", peer)
        for peer in ("172.32.0.1", "100.128.0.1", "11.0.0.0", "2001:db8::1"):
            self.assertNotEqual(address_question(peer, "list.example"), "", peer)

    def test_name(self) -> None:
        """Domains are asked for as they are (RFC 5782 3); what is none is not asked for."""
        self.assertEqual(name_question("Shop.Example.", "list.example"), "shop.example.list.example")
        for name in ("", "localhost", "[192.0.2.1]", "[IPv6:2001:db8::1]", "192.0.2.1"):
            self.assertEqual(name_question(name, "list.example"), "", name)

    def test_lookup(self) -> None:
        """Each kind of list is asked about its own subject."""
        for lookup, expected in (
            ("address", "1.2.0.192.z.example"),
            ("domain", "from.example.z.example"),
            ("helo", "helo.example.z.example"),
        ):
            one = DNSList("test", "z.example", lookup)
            self.assertEqual(one.question("192.0.2.1", "helo.example", "from.example"), expected)

    @given(st.one_of(st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address)))
    def test_every_address(self, address: IPv4Address | IPv6Address) -> None:
        """Turned round again, a question is the address."""
        question = address_question(str(address), "z")
        if question:
            labels = question.removesuffix(".z").split(".")[::-1]
            if address.version == 4:
                self.assertEqual(ip_address(".".join(labels)), address)
            else:
                self.assertEqual(int("".join(labels), 16), int(address))


class ReadingTests(SynchronousTestCase):
    """What answers mean."""

    def test_any(self) -> None:
        """Every answer of a list counts, except those that mean that one may not ask."""
        for answer in ("127.0.0.2", "127.0.0.11", "127.1.2.3", "127.255.254.255", "127.0.0.0"):
            self.assertIs(read("any", answer), Reading.LISTED, answer)
        self.assertIs(read("any"), Reading.CLEAR)

    def test_normal(self) -> None:
        """Normal is 127.0.0.2 alone, as in Mercury."""
        self.assertIs(read("normal", "127.0.0.2"), Reading.LISTED)
        self.assertIs(read("normal", "127.0.0.3"), Reading.CLEAR)
        self.assertIs(read("Normal", "127.0.0.3", "127.0.0.2"), Reading.LISTED)

    def test_ranges(self) -> None:
        """Both ends of a range count, and nothing beside it."""
        for answer, expected in (
            ("127.0.0.3", Reading.CLEAR),
            ("127.0.0.4", Reading.LISTED),
            ("127.0.0.7", Reading.LISTED),
            ("127.0.0.8", Reading.CLEAR),
            ("127.0.1.2", Reading.LISTED),
        ):
            self.assertIs(read("127.0.0.4-127.0.0.7, 127.0.1.2", answer), expected, answer)

    def test_you_may_not_ask(self) -> None:
        """Refusals of Spamhaus and URIBL, and answers that no list gives, list nobody."""
        for answer in (
            *("127.255.255.0", "127.255.255.254", "127.255.255.255", "127.0.0.1"),
            *("192.0.2.1", "126.255.255.255", "128.0.0.0", "0.0.0.0"),
        ):
            self.assertIs(read("any", answer), Reading.REFUSED, answer)
            self.assertIs(read("normal", answer), Reading.REFUSED, answer)
        self.assertIs(read("any", "127.255.255.254", "127.0.0.2"), Reading.LISTED)

    def test_named_on_purpose(self) -> None:
        """Whoever counts 127.0.0.1 by name has a list that means it."""
        self.assertIs(read("127.0.0.1", "127.0.0.1"), Reading.LISTED)

    def test_wrong(self) -> None:
        """What is no answer of a list is told."""
        for text in (
            "some",
            "126.0.0.1-127.0.0.2",
            "127.0.0.2-128.0.0.0",
            "::1",
            "127.255.255.254",
            "127.0.0.2-127.255.255.255",
        ):
            self.assertRaises(ValueError, parse_counting, text)
        self.assertEqual(parse_counting(" ANY "), ())
