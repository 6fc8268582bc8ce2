"""Tests of :mod:`hermes.protocols.smtp.grammar`."""

from __future__ import annotations

import contextlib

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core import address as core_address
from hermes.protocols.smtp.grammar import MalformedError, is_address_literal, is_domain, parse_path

ATEXT = "abcXYZ019!#$%&'*+-/=?^_`{|}~"
LET_DIG = "abcXYZ019"

ATOMS = st.text(ATEXT, min_size=1, max_size=8)
DOT_STRINGS = st.lists(ATOMS, min_size=1, max_size=4).map(".".join)
LABELS = st.tuples(st.text(LET_DIG, min_size=1, max_size=5), st.text(LET_DIG + "-", max_size=5)).map(
    lambda parts: f"{parts[0]}{parts[1]}z" if parts[1] else parts[0]
)
DOMAINS = st.lists(LABELS, min_size=1, max_size=5).map(".".join)
PRINTABLE = "".join(map(chr, range(32, 127)))


def path(text: str) -> tuple[str, str]:
    """Parse as a recipient's path."""
    return parse_path(text, "5.1.3")


class PathTests(SynchronousTestCase):
    """Paths in angle brackets."""

    def accepted(self, text: str, address: str) -> None:
        """The path is that address."""
        self.assertEqual(path(text), (address, ""))

    def refused(self, text: str, words: str) -> None:
        """The path is refused with these words among others."""
        error = self.assertRaises(MalformedError, path, text)
        self.assertEqual((error.code, error.enhanced), (501, "5.1.3"))
        self.assertIn(words, error.text)

    def test_plain(self) -> None:
        """The usual case, and what is behind it."""
        self.assertEqual(path("<name@example.org>"), ("name@example.org", ""))
        self.assertEqual(path("<name@example.org> SIZE=1"), ("name@example.org", " SIZE=1"))

    def test_case_is_kept(self) -> None:
        """An address stays as it was written."""
        self.accepted("<Some.Body@Example.ORG>", "Some.Body@Example.ORG")

    def test_atext(self) -> None:
        """Every character that RFC 5322 allows in an atom."""
        self.accepted("<!#$%&'*+-/=?^_`{|}~@example.org>", "!#$%&'*+-/=?^_`{|}~@example.org")

    def test_dots(self) -> None:
        """Dots stand between atoms only."""
        for local_part in (".a", "a.", "a..b", "."):
            self.refused(f"<{local_part}@example.org>", "not valid")

    def test_source_route(self) -> None:
        """A source route is dropped (RFC 5321 App. C)."""
        self.accepted("<@a.example,@b.example:c@d.example>", "c@d.example")
        self.accepted("<@a.example:c@d.example>", "c@d.example")
        for text in ("<@a.example>", "<@a.example,c@d.example>", "<a.example:c@d.example>", "<@:c@d.example>"):
            self.refused(text, "not valid")

    def test_quotes(self) -> None:
        """A quoted local part loses quotes that it does not need, and keeps the others with as few backslashes as can be."""
        self.accepted('<"name"@example.org>', "name@example.org")
        self.accepted('<"na\\me"@example.org>', "name@example.org")
        self.accepted('<"a.b"@example.org>', "a.b@example.org")
        self.accepted('<"a b"@example.org>', '"a b"@example.org')
        self.accepted('<"a\\ b"@example.org>', '"a b"@example.org')
        self.accepted('<"a\\"b\\\\c"@example.org>', '"a\\"b\\\\c"@example.org')
        self.accepted('<"a@b>c"@example.org>', '"a@b>c"@example.org')
        self.accepted('<"..a"@example.org>', '"..a"@example.org')
        self.accepted('<""@example.org>', '""@example.org')

    def test_bad_quotes(self) -> None:
        """Quotes that do not close, or do not enclose the whole local part."""
        for local_part in ('"a', 'a"', '"a"b', 'a"b"', '"a\\"', '"a"."b"', '"a\x07b"'):
            self.refused(f"<{local_part}@example.org>", "not valid")

    def test_brackets(self) -> None:
        """Without angle brackets the refusal says so."""
        self.refused("name@example.org", "angle brackets")
        self.refused("", "angle brackets")
        self.refused("<name@example.org", "closing")

    def test_domain_is_needed(self) -> None:
        """An address without a domain is told what it lacks."""
        self.refused("<name>", "needs a domain")
        self.refused("<>", "needs a domain")
        self.refused("<name@>", "not valid")
        self.refused("<@example.org>", "not valid")

    def test_domains(self) -> None:
        """Domains follow RFC 5321 4.1.2: no empty labels, no hyphens at their ends, no other characters."""
        self.accepted("<a@b>", "a@b")
        self.accepted("<a@xn--bcher-kva.example>", "a@xn--bcher-kva.example")
        for domain in (".example.org", "example.org.", "a..b", "-a.example", "a-.example", "a_b.example", "a b", "a@b"):
            self.refused(f"<a@{domain}>", "not valid")

    def test_local_part_limit(self) -> None:
        """A local part has at most 64 octets (RFC 5321 4.5.3.1.1), in the form in which it is kept."""
        for size in (63, 64):
            self.accepted(f"<{'x' * size}@example.org>", "x" * size + "@example.org")
        self.refused(f"<{'x' * 65}@example.org>", "64")
        self.accepted('<"' + "\\x" * 64 + '"@example.org>', "x" * 64 + "@example.org")
        self.refused("<" + "\u00fc" * 33 + "@example.org>", "64")

    def test_path_limit(self) -> None:
        """A path has at most 256 octets with everything in it (RFC 5321 4.5.3.1.3)."""
        label = "d" * 63
        for size, right in ((255, True), (256, True), (257, False)):
            domain = f"{label}.{label}.{label}."
            domain += "e" * (size - len(domain) - 4)
            text = f"<a@{domain}>"
            self.assertEqual(len(text), size)
            if right:
                self.accepted(text, f"a@{domain}")
            else:
                self.refused(text, "256")

    def test_label_limit(self) -> None:
        """A label has at most 63 octets (RFC 1035 2.3.4)."""
        self.accepted(f"<a@{'d' * 63}.example>", f"a@{'d' * 63}.example")
        self.refused(f"<a@{'d' * 64}.example>", "too long")

    def test_literals(self) -> None:
        """An address literal must be an address."""
        self.accepted("<a@[192.0.2.1]>", "a@[192.0.2.1]")
        self.accepted("<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]")
        for literal in ("[192.0.2.256]", "[2001:db8::1]", "[IPv6:x]", "[x:y]", "[IPv6:fe80::1%eth0]", "[192.0.02.1]"):
            self.refused(f"<a@{literal}>", "literal")
        self.refused("<a@[]>", "not valid")

    def test_utf8(self) -> None:
        """Letters of every script may be in an address (RFC 6531 3.3); what cannot be seen may not."""
        self.accepted("<j\u00fcrgen@b\u00fccher.example>", "j\u00fcrgen@b\u00fccher.example")
        self.accepted('<"\u7532 \u4e59"@\u4f8b.example>', '"\u7532 \u4e59"@\u4f8b.example')
        self.accepted("<\u0915\u094d\u200d@example.org>", "\u0915\u094d\u200d@example.org")
        for character in ("\u0085", "\u00a0", "\u00ad", "\u2028", "\u202e", "\ufeff"):
            self.refused(f"<a{character}b@example.org>", "invisible")
            self.refused(f"<a@b{character}c.example>", "invisible")

    @given(DOT_STRINGS, DOMAINS, st.lists(DOMAINS, max_size=2))
    def test_what_the_grammar_makes_is_accepted(self, local_part: str, domain: str, route: list[str]) -> None:
        """Whatever the ABNF can make within the limits is accepted."""
        address = f"{local_part}@{domain}"
        prefix = ",".join(f"@{host}" for host in route)
        text = f"<{prefix}{':' if prefix else ''}{address}>"
        assume(len(local_part) <= 64 and len(text) <= 256)
        self.accepted(text, address)

    @given(st.text(PRINTABLE, max_size=20), DOMAINS)
    def test_anything_can_be_quoted(self, content: str, domain: str) -> None:
        """What is quoted comes out in one form, which means the same and is its own form."""
        quoted = content.replace("\\", "\\\\").replace('"', '\\"')
        everything_escaped = "".join(f"\\{character}" for character in content)
        address, rest = path(f'<"{quoted}"@{domain}>')
        self.assertEqual(rest, "")
        self.assertEqual(path(f'<"{everything_escaped}"@{domain}>'), (address, ""))
        self.assertEqual(path(f"<{address}>"), (address, ""))
        local_part = core_address.split(address)[0]
        if local_part.startswith('"'):
            self.assertEqual(local_part, f'"{quoted}"')
        else:
            self.assertEqual(local_part, content)

    @given(st.text(max_size=60).map(lambda text: f"<{text}>"))
    def test_nothing_else_is_raised(self, text: str) -> None:
        """Whatever comes, there is an address that is its own form, or a refusal."""
        with contextlib.suppress(MalformedError):
            address, _ = path(text)
            self.assertEqual(path(f"<{address}>"), (address, ""))


class DomainTests(SynchronousTestCase):
    """Domains and literals by themselves."""

    def test_domain_limit(self) -> None:
        """A domain has at most 255 octets (RFC 5321 4.5.3.1.2)."""
        labels = "d" * 63 + "."
        for size, right in ((254, True), (255, True), (256, False)):
            self.assertEqual(is_domain(labels * 3 + "e" * (size - 192)), right, size)

    def test_limits_count_octets(self) -> None:
        """Labels outside ASCII are counted in UTF-8."""
        self.assertTrue(is_domain("\u00fc" * 31 + "a.example"))
        self.assertFalse(is_domain("\u00fc" * 32 + ".example." + "a" * 60))
        self.assertFalse(is_domain("\u00fc" * 32 + "." + "\u00fc" * 31))

    def test_not_a_domain(self) -> None:
        """Other text is no domain."""
        self.assertFalse(is_domain(""))
        self.assertFalse(is_domain("[192.0.2.1]"))

    def test_literal_needs_brackets(self) -> None:
        """An address without brackets is no literal."""
        self.assertTrue(is_address_literal("[ipv6:::1]"))
        for text in ("192.0.2.1", "[192.0.2.1", "192.0.2.1]", "[IPv6:192.0.2.1]"):
            self.assertFalse(is_address_literal(text), text)
