"""App passwords: their form, what is kept of them, and what they may be called and be for."""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.app_password import (
    LETTERS,
    MAX_NAME_CHARACTERS,
    check_name,
    check_services,
    digest_of,
    generate,
)


class FormTests(SynchronousTestCase):
    """:func:`generate` and :func:`digest_of`."""

    def test_generated(self) -> None:
        """Seven groups of four small letters, another each time, with at least 128 bits."""
        made = {generate() for _ in range(50)}
        self.assertEqual(len(made), 50)
        for each in made:
            self.assertRegex(each, r"\A[a-z]{4}(-[a-z]{4}){6}\Z")
        self.assertGreaterEqual(LETTERS * math.log2(26), 128)

    def test_as_people_type_it(self) -> None:
        """Capitals, spaces and missing hyphens make no difference; another letter does."""
        digest = digest_of("abcd-efgh-ijkl-mnop-qrst-uvwx-yzab")
        self.assertIsNotNone(digest)
        for text in (
            "abcdefghijklmnopqrstuvwxyzab",
            "ABCD EFGH IJKL MNOP QRST UVWX YZAB",
            "-".join("abcdefghijklmnopqrstuvwxyzab"),
        ):
            self.assertEqual(digest_of(text), digest, text)
        self.assertNotEqual(digest_of("abcd-efgh-ijkl-mnop-qrst-uvwx-yzac"), digest)

    def test_what_is_none(self) -> None:
        """One letter more or less, digits, other letters, two separators or white space around it: no app password."""
        right = "abcdefghijklmnopqrstuvwxyzab"
        for text in (
            "",
            right[1:],
            f"{right}c",
            f"{right[1:]}1",
            f"{right[1:]}\u00e4",
            f"{right[1:]}\u0131",
            f"{right[:4]}--{right[4:]}",
            f" {right}",
            f"{right}\n",
            "a" * 100_000,
            " ".join(right) + " ",
        ):
            self.assertIsNone(digest_of(text), text[:40])


class WordsTests(SynchronousTestCase):
    """Names and services."""

    def test_names(self) -> None:
        """What can be printed in a line, up to its limit."""
        for name in ("phone", "Anna's telephone", "\u00e4", "x" * MAX_NAME_CHARACTERS):
            self.assertEqual(check_name(f" {name} "), name)
        for name in ("", "  ", "a\nb", "\x1b[2J", "x" * (MAX_NAME_CHARACTERS + 1)):
            self.assertRaises(ValueError, check_name, name)

    def test_services(self) -> None:
        """In their order, each once, all when none is named; never the password server."""
        self.assertEqual(check_services([]), ("smtp", "pop3"))
        self.assertEqual(check_services([""]), ("smtp", "pop3"))
        self.assertEqual(check_services([" POP3", "smtp", "pop3"]), ("smtp", "pop3"))
        self.assertEqual(check_services(["pop3"]), ("pop3",))
        for service in ("poppass", "all", "smtp pop3"):
            self.assertRaises(ValueError, check_services, [service])
