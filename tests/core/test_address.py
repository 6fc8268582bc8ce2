"""Addresses as text."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core import address


class AddressTests(SynchronousTestCase):
    """Splitting and comparing."""

    def test_split_at_the_last_at(self) -> None:
        """A quoted local part may hold an at-sign."""
        self.assertEqual(address.split('"a@b"@example.org'), ('"a@b"', "example.org"))

    def test_without_domain(self) -> None:
        """``postmaster`` stands alone (RFC 5321 4.1.1.3)."""
        self.assertEqual(address.split("postmaster"), ("postmaster", ""))
        self.assertEqual(address.domain_of("postmaster"), "")

    def test_domain_in_lower_case(self) -> None:
        """Domains do not distinguish case (RFC 5321 2.4)."""
        self.assertEqual(address.domain_of("Joe@Example.ORG"), "example.org")

    def test_key(self) -> None:
        """Addresses that differ in case alone are the same mailbox."""
        self.assertEqual(address.key("Joe@Example.ORG"), address.key("joe@example.org"))

    def test_null(self) -> None:
        """Only the empty path is the null sender."""
        self.assertTrue(address.is_null(""))
        self.assertFalse(address.is_null("a@example.org"))
