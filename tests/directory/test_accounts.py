"""The rules for names and addresses of accounts, and the table of all of them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.directory.accounts import DuplicateAddressError, address_key, check_address, check_name, table_of
from tests.support.accounts import record


class NameTests(SynchronousTestCase):
    """:func:`check_name`."""

    def test_allowed(self) -> None:
        """Small letters, digits, dot, underscore, hyphen and plus; 1 to 64 of them."""
        for name in ("j", "joe", "joe.doe", "joe_doe", "joe-doe", "joe+x", "0", "_x", "a" * 63, "a" * 64, "a.", "a-"):
            self.assertEqual(name, check_name(name))

    def test_refused(self) -> None:
        """Whatever else there is, above all what would lead to another directory or be taken for an option."""
        for name in (
            "", ".", "..", ".a", "-a", "a/b", "../a", "a b", "a\n", "a\0b", "a:b", "a@b", "a]", "é", "\u0131", "a" * 65,
        ):  # fmt: skip
            self.assertRaises(ValueError, check_name, name)

    def test_capitals(self) -> None:
        """A name with capitals is refused with the name to write instead."""
        error = self.assertRaises(ValueError, check_name, "Joe")
        self.assertIn("'joe'", str(error))


class AddressTests(SynchronousTestCase):
    """:func:`check_address` and :func:`address_key`."""

    def test_form(self) -> None:
        """An address has a local part and a domain and nothing that would part a list of addresses."""
        for address in ("joe@example.org", "o'neil+x@example.org", "jörg@bücher.test", '"a@b"@example.org'):
            self.assertEqual(address, check_address(address))
        for address in (
            "joe",
            "@example.org",
            "joe@",
            "",
            "a b@example.org",
            "a,b@example.org",
            "<a@b.test>",
            "a\n@b.test",
        ):
            self.assertRaises(ValueError, check_address, address)

    def test_length(self) -> None:
        """Up to 254 octets (RFC 5321 4.5.3.1.3)."""
        for length, allowed in ((253, True), (254, True), (255, False)):
            address = "a" * (length - len("@example.org")) + "@example.org"
            if allowed:
                self.assertEqual(address, check_address(address))
            else:
                self.assertRaises(ValueError, check_address, address)

    def test_case(self) -> None:
        """Case matters neither in local parts nor in domains."""
        self.assertEqual(address_key("joe@example.org"), address_key("JOE@Example.ORG"))

    def test_composed_letters(self) -> None:
        """A letter with a mark is the same in one character and in two (RFC 6532 3.1)."""
        self.assertEqual(address_key("jo\u0308rg@example.org"), address_key("j\u00f6rg@Example.org"))


class TableTests(SynchronousTestCase):
    """:func:`table_of`."""

    def test_look_up(self) -> None:
        """Accounts are found by name, and names by the key of each address."""
        table = table_of([record("joe", "Joe@Example.org", "info@example.org"), record("ann")])
        self.assertEqual(["joe", "ann"], list(table.by_name))
        self.assertEqual({"joe@example.org": "joe", "info@example.org": "joe"}, table.name_by_address)

    def test_one_address_for_two(self) -> None:
        """An address, however written, reaches one account; listed twice by the same one it does no harm."""
        table_of([record("joe", "joe@example.org", "JOE@example.org")])
        error = self.assertRaises(
            DuplicateAddressError, table_of, [record("joe", "x@bücher.test"), record("ann", "X@xn--bcher-kva.test")]
        )
        self.assertEqual("ann", error.name)
        self.assertIn("joe", str(error))
