"""Patterns that name addresses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.address_pattern import any_matches, fault_of, matches


class MatchingTests(SynchronousTestCase):
    """Who is named by what."""

    def test_who_is_named(self) -> None:
        """Addresses, local parts with a star, domains, domains below, everybody, and the null sender."""
        for pattern, named, not_named in (
            ("joe@example.org", ["joe@example.org", "JOE@Example.ORG"], ["jo@example.org", "joe@a.example.org", ""]),
            ("scan*@example.org", ["scan@example.org", "Scan-2@example.org"], ["sca@example.org", "xscan@example.org"]),
            ("a*a@example.org", ["aa@example.org", "aba@example.org"], ["a@example.org", "ab@example.org"]),
            ("*@example.org", ["x@example.org", '"a b"@example.org'], ["x@example.com", "x@a.example.org", ""]),
            ("example.org", ["x@example.org"], ["x@xexample.org", "x@a.example.org", "example.org", ""]),
            ("*.example.org", ["x@a.example.org", "x@a.b.EXAMPLE.org"], ["x@example.org", "x@aexample.org", ""]),
            ("*", ["x@example.org", "postmaster"], [""]),
            ("postmaster@example.org", ["postmaster@example.org"], ["postmaster"]),
            ("<>", [""], ["x@example.org", "<>"]),
            ("joe@*.example.org", ["joe@a.example.org"], ["jim@a.example.org", "joe@example.org"]),
        ):
            for address in named:
                self.assertTrue(matches(pattern, address), (pattern, address))
            for address in not_named:
                self.assertFalse(matches(pattern, address), (pattern, address))
            self.assertEqual(fault_of(pattern), "")

    def test_lists(self) -> None:
        """One of a list is enough, and an empty list names everybody."""
        self.assertTrue(any_matches(("a.test", "b.test"), "x@b.test"))
        self.assertFalse(any_matches(("a.test", "b.test"), "x@c.test"))
        self.assertTrue(any_matches((), "x@c.test"))
        self.assertTrue(any_matches((), ""))

    def test_no_patterns(self) -> None:
        """What would name nobody, or not what was meant, is told with a remedy."""
        for text in (
            "",
            "@example.org",
            "joe@",
            "a*b*c@example.org",
            "exam*ple.org",
            "joe@*",
            "*.",
            "joe@ex*.org",
        ):
            self.assertIn("write joe@example.org", fault_of(text), text)

    @given(st.text(max_size=20), st.text(max_size=20))
    def test_anything(self, pattern: str, address: str) -> None:
        """Nothing is raised, and the null sender is named by its own pattern alone."""
        fault_of(pattern)
        if matches(pattern, address):
            self.assertEqual(pattern == "<>", address == "")
