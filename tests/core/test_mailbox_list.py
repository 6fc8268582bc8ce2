"""Addresses in fields, by RFC 5322 3.4 and appendix A, and by what else is sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.mailbox_list import MAX_FIELD_CHARACTERS, addresses


class AddressesTests(SynchronousTestCase):
    """:func:`addresses`."""

    def test_of_the_standard(self) -> None:
        """The forms of RFC 5322 3.4 and its appendices A.1.2, A.1.3, A.5 and A.6.1."""
        for value, found in (
            ("John Doe <jdoe@machine.example>", ["jdoe@machine.example"]),
            ('"Joe Q. Public" <john.q.public@example.com>', ["john.q.public@example.com"]),
            (
                "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
                ["mary@x.test", "jdoe@example.org", "one@y.test"],
            ),
            (
                '<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
                ["boss@nil.test", "sysservices@example.net"],
            ),
            ("A Group:Ed Jones <joe@where.test>,John <jdoe@one.test>;", ["joe@where.test", "jdoe@one.test"]),
            ("Undisclosed recipients:;", []),
            ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", ["pete@silly.test"]),
            ("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", []),
            ("Joe Q. Public <john.q.public@example.com>", ["john.q.public@example.com"]),
            (
                "Mary Smith <@node.test,@b.test:mary@example.net>, , jdoe@test  . example",
                ["mary@example.net", "jdoe@test.example"],
            ),
        ):
            self.assertEqual(addresses(value), found, value)

    def test_quoted_local_part(self) -> None:
        """A quoted local part stays as it is, whatever stands in it."""
        for address in ('"a b"@example.org', '"a@b"@example.org', '"a,b;c:d(e"@example.org', '"a\\"b"@example.org'):
            self.assertEqual(addresses(f"x@example.org, {address}"), ["x@example.org", address])
            self.assertEqual(addresses(f"X <{address}>"), [address])

    def test_what_is_none(self) -> None:
        """Words, halves of addresses, and what never ends."""
        halves = ("", " ", "joe", "@example.org", "joe@", "<>", "<joe>")
        for value in (*halves, '"joe@example.org"', "(joe@example.org)", "(((", '"joe@x', "\\"):
            self.assertEqual(addresses(value), [], value)

    def test_a_name_that_looks_like_an_address(self) -> None:
        """The address is what stands in the brackets."""
        self.assertEqual(addresses('"boss@example.com" <joe@example.org>'), ["joe@example.org"])
        self.assertEqual(addresses("boss@example.com <joe@example.org>"), ["joe@example.org"])

    def test_length(self) -> None:
        """So much of a field is read."""
        address = "joe@example.org"
        for octets, found in ((MAX_FIELD_CHARACTERS - 1, [address]), (MAX_FIELD_CHARACTERS, [address])):
            self.assertEqual(addresses(" " * (octets - len(address)) + address), found)
        self.assertEqual(addresses(" " * MAX_FIELD_CHARACTERS + address), [])

    @given(st.text(st.sampled_from('<>()",;:@\\ a.\u00e9'), max_size=60))
    def test_anything(self, value: str) -> None:
        """No text makes it fail, and what it finds has two parts."""
        for address in addresses(value):
            self.assertTrue(all(address.rpartition("@")[::2]))
