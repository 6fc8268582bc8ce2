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

    def test_domains_in_two_forms(self) -> None:
        """U-label and A-label are the same domain, in any case; ss and sharp s are not (IDNA 2008)."""
        self.assertEqual("xn--bcher-kva.test", address.domain_key("Bücher.test"))
        self.assertEqual(address.domain_key("XN--BCHER-KVA.test"), address.domain_key("BÜCHER.test"))
        self.assertNotEqual(address.domain_key("strasse.test"), address.domain_key("straße.test"))

    def test_domains_that_cannot_be(self) -> None:
        """What DNS could never hold is compared as text and raises nothing."""
        for domain in ("bü cher.test", "ü" * 64 + ".test", "ü" * 300, "\udcff.test", "ü..test"):
            self.assertEqual(domain.lower(), address.domain_key(domain))
