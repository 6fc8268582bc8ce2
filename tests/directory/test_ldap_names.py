"""Names for directories: nothing in them is ever taken for a part of the language around them."""

from __future__ import annotations

import sys

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.directory.ldap.library import ldap3
from hermes.directory.ldap.names import (
    MAX_NAME_OCTETS,
    dn_parts,
    dn_value,
    filter_value,
    form_pieces,
    is_askable,
    is_below,
    nds_context,
    nds_dn,
    nds_parts,
)

compile_filter, parse_filter = (
    getattr(sys.modules["ldap3.operation.search"], name) for name in ("compile_filter", "parse_filter")
)

# What RFC 4515 3 and RFC 4514 2.4 and 3 set apart, and what people tried with them.
SPECIAL = [
    "*",
    "(",
    ")",
    "\\",
    "\0",
    '"',
    "+",
    ",",
    ";",
    "<",
    ">",
    "=",
    "#",
    " ",
    "\\2a",
    "&",
    "|",
    "!",
    "~",
    ":",
    "/",
    "\r\n",
]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30) | st.lists(
    st.sampled_from(SPECIAL), min_size=1, max_size=6
).map("".join)


class EscapingTests(SynchronousTestCase):
    """:func:`filter_value` and :func:`dn_value`, read by a library that nobody here wrote."""

    def assert_same(self, text: str) -> None:
        """A filter with the text has one comparison, with exactly this text; a name has one part, with exactly this value."""
        tree = parse_filter(f"(&(objectClass=person)(uid={filter_value(text)}))", None, False, False, None, False)
        both = compile_filter(tree.elements[0])["and"]
        self.assertEqual(len(both), 2)
        self.assertEqual(bytes(both[1]["equalityMatch"]["attributeDesc"]), b"uid")
        self.assertEqual(bytes(both[1]["equalityMatch"]["assertionValue"]), text.encode())
        ((kind, value, separator),) = ldap3.utils.dn.parse_dn(f"cn={dn_value(text)}")
        self.assertEqual((kind, separator), ("cn", ""))
        self.assertEqual(value, dn_value(text))
        ((kind, value),) = dn_parts(f"CN={dn_value(text)}")
        self.assertEqual((kind, value), ("cn", text.lower()))

    def test_every_special_character(self) -> None:
        """Each of them, alone, at the beginning, in the middle and at the end; and every octet of ASCII."""
        for special in [*SPECIAL, *map(chr, range(128))]:
            for text in (special, f"{special}x", f"x{special}y", f"x{special}"):
                self.assert_same(text)

    @given(TEXTS)
    @example("joe)(objectClass=*")
    @example("*)(uid=*))(|(uid=*")
    @example("joe,ou=sales")
    @example("\u212b\u0130")
    def test_any_text(self, text: str) -> None:
        """Whatever text it is."""
        self.assert_same(text)

    def test_what_can_be_asked(self) -> None:
        """Neither nothing, nor what is no UTF-8, nor what is longer than any name."""
        for text, askable in (
            ("", False),
            ("\udcff", False),
            ("x" * (MAX_NAME_OCTETS - 1), True),
            ("x" * MAX_NAME_OCTETS, True),
            ("x" * (MAX_NAME_OCTETS + 1), False),
            ("é" * (MAX_NAME_OCTETS // 2), True),
            ("é" * (MAX_NAME_OCTETS // 2 + 1), False),
        ):
            self.assertEqual(is_askable(text), askable, text)


class FormTests(SynchronousTestCase):
    """Forms of people's names."""

    def test_pieces(self) -> None:
        """The first name, or its beginning, and the surname; an underscore may be in a name, a dot may not."""
        for form, pieces in (
            ("ann.archer", ("ann", "archer")),
            ("a_archer", ("a", "archer")),
            ("ann_b_archer", ("ann", "archer")),
            ("ann_b.archer", ("ann_b", "archer")),
            ("ann", None),
            ("ann.b.archer", None),
            (".archer", None),
            ("ann.", None),
            ("_archer", None),
            ("ann_", None),
            ("", None),
        ):
            self.assertEqual(form_pieces(form), pieces, form)


class DottedTests(SynchronousTestCase):
    """Names of NDS."""

    def test_typed_and_typeless(self) -> None:
        """Both ways to write a name mean the same."""
        for name in ("joe.sales.acme", "CN=joe.OU=sales.O=acme", "cn=joe.sales.acme", "joe.ou=sales.acme"):
            self.assertEqual(nds_dn(nds_parts(name)), "cn=joe,ou=sales,o=acme", name)
        self.assertEqual(nds_dn(nds_parts("joe.acme")), "cn=joe,o=acme")
        self.assertEqual(nds_dn(nds_parts("joe.sales.us.O=acme.C=us")), "cn=joe,ou=sales,ou=us,o=acme,c=us")
        self.assertEqual(nds_dn(nds_parts(r"j\.doe.R\\D.acme")), r"cn=j\2edoe,ou=R\5cD,o=acme")

    def test_what_is_no_name(self) -> None:
        """A part that is empty, or a backslash with nothing behind it, is refused."""
        for name in ("", ".", "joe.", "joe..acme", "CN=.acme", " .acme", "joe\\"):
            self.assertRaises(ValueError, nds_parts, name)

    @given(TEXTS)
    def test_any_text(self, text: str) -> None:
        """Whatever somebody gives as a name is refused, or makes a distinguished name with as many parts as it has."""
        try:
            parts = nds_parts(text)
        except ValueError:
            return
        self.assertEqual(len(dn_parts(nds_dn(parts))), len(parts))

    def test_contexts(self) -> None:
        """A context is a container; ``[root]`` has no name."""
        self.assertEqual(nds_context("sales.acme"), "ou=sales,o=acme")
        self.assertEqual(nds_context(".OU=sales.O=acme"), "ou=sales,o=acme")
        self.assertEqual(nds_context("acme"), "o=acme")
        self.assertEqual(nds_context("[Root]"), "")

    def test_below(self) -> None:
        """What is in a container, and what is anywhere below it; the container itself is neither."""
        joe, base = dn_parts("CN=Joe, OU=Sales,O=acme"), dn_parts("o=ACME")
        self.assertTrue(is_below(joe, base, subtree=True))
        self.assertFalse(is_below(joe, base, subtree=False))
        self.assertTrue(is_below(joe, dn_parts("ou=sales,o=acme"), subtree=False))
        self.assertFalse(is_below(base, base, subtree=True))
        self.assertFalse(is_below(joe, dn_parts("ou=ales,o=acme"), subtree=True))
        self.assertTrue(is_below(joe, dn_parts(""), subtree=True))

    def test_distinguished_names(self) -> None:
        """Escapes of both kinds, and blanks around values (RFC 4514 2.4, 3)."""
        self.assertEqual(dn_parts(r"cn=a\,b\2c\ ,o= acme "), [("cn", "a,b, "), ("o", "acme")])
        self.assertRaises(ValueError, dn_parts, "joe,o=acme")
