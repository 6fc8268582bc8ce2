"""Encoded words (RFC 2047), with its own examples."""

from __future__ import annotations

import encodings
from email.header import Header

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.encoded_words import decoded


class DecodedTests(SynchronousTestCase):
    """Text as people read it."""

    def test_examples(self) -> None:
        """The examples of RFC 2047 8."""
        for coded, text in (
            ("=?ISO-8859-1?Q?a?=", "a"),
            ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=  \t =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
            ("=?US-ASCII?Q?Keith_Moore?= <moore@example.com>", "Keith Moore <moore@example.com>"),
            ("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"),
        ):
            self.assertEqual(decoded(coded), text)

    def test_kinds(self) -> None:
        """Cases do not matter, a language may be named (RFC 2231 5), and padding may be missing."""
        self.assertEqual(decoded("=?utf-8?q?=C3=a9?="), "é")
        self.assertEqual(decoded("=?utf-8*de?Q?=C3=A9?="), "é")
        self.assertEqual(decoded("=?utf-8?b?w6k?="), "é")

    def test_names(self) -> None:
        """A character set is known by each of its names, with hyphens and underscores and in any case."""
        for charset in (
            "UTF-8",
            "utf_8",
            "ISO_8859-1",
            "latin1",
            "Windows-1252",
            "koi8-u",
            "Big5",
            "cp874",
            "us-ascii",
        ):
            self.assertEqual(decoded(f"=?{charset}?Q?a?="), "a", charset)

    def test_invented_names(self) -> None:
        """Names of character sets that a stranger invents leave no trace in the process, however many there are."""
        before = len(encodings._cache)  # type: ignore[attr-defined]
        for number in range(50):
            word = f"=?invented-{number}?Q?a?="
            self.assertEqual(decoded(word), word)
            self.assertEqual(decoded(f"=?\u00e9{number}?Q?a?="), f"=?\u00e9{number}?Q?a?=")
        self.assertEqual(len(encodings._cache), before)  # type: ignore[attr-defined]

    def test_left_as_it_is(self) -> None:
        """What cannot be read stays what it was, and bad octets are marked."""
        for text in ("plain", "a =? b", "=?nothing-known?Q?a?=", "=?utf-8?B?a?=", "=?utf-8?X?a?=", "=?zlib?B?eJw=?="):
            self.assertEqual(decoded(text), text)
        self.assertEqual(decoded("=?utf-8?Q?=FF?="), "\ufffd")
        self.assertEqual(decoded("=?us-ascii?Q?\u4e00?="), "=?us-ascii?Q?\u4e00?=")

    @given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc"]), min_size=1))
    def test_what_others_write(self, text: str) -> None:
        """What Python's own mail package writes is read back."""
        self.assertEqual(decoded(Header(text, "utf-8", maxlinelen=10**6).encode()), text)

    @given(st.text("=?utf-8QB_ 0AF\t"))
    def test_anything(self, text: str) -> None:
        """Nothing that a stranger writes makes it fail."""
        decoded(text)
