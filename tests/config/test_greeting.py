"""Tests of the greeting file (RFC 5321 4.2, 4.2.1, 4.3.1)."""

from __future__ import annotations

from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.greeting import MAX_CHARACTERS, MAX_LINE_OCTETS, greeting_lines
from hermes.config.schema import Settings, SMTPSettings


class GreetingFileTests(SynchronousTestCase):
    """What may stand in it."""

    def lines(self, octets: bytes) -> tuple[str, ...]:
        """The lines that are read from a file with these octets."""
        self.path = self.mktemp()
        Path(self.path).write_bytes(octets)
        return greeting_lines(attrs.evolve(Settings(), smtp=SMTPSettings(greeting_file=self.path)))

    def refused(self, octets: bytes, part: str) -> None:
        """It cannot be used, and the text names setting, file and reason."""
        error = self.assertRaises(ValueError, self.lines, octets)
        self.assertIn(f"[smtp] greeting_file: {self.path}: ", str(error))
        self.assertIn(part, str(error))

    def test_none(self) -> None:
        """By default there is none."""
        self.assertEqual(greeting_lines(Settings()), ())

    def test_lines(self) -> None:
        """Line ends of any system, and empty lines in between, but not at the end."""
        for octets in (b"One\n\nThree\n\n", b"One\r\n\r\nThree", b"One \r\rThree\r"):
            self.assertEqual(self.lines(octets), ("One", "", "Three"))

    def test_characters(self) -> None:
        """512 characters, as Mercury has it, and not one more; line ends count as one each."""
        half = b"x" * (MAX_CHARACTERS // 2)
        self.assertEqual(len("\n".join(self.lines(half + b"\n" + half[1:] + b"\n"))), MAX_CHARACTERS)
        self.refused(half + b"\n" + half, f"more than {MAX_CHARACTERS} characters")
        self.refused(b"x\n" * 100_000, f"more than {MAX_CHARACTERS} characters")

    def test_long_line(self) -> None:
        """With code and CRLF a line fits into 512 octets (RFC 5321 4.5.3.1.5)."""
        self.assertEqual(self.lines(b"x" * MAX_LINE_OCTETS), ("x" * MAX_LINE_OCTETS,))
        self.refused(b"y\n" + b"x" * (MAX_LINE_OCTETS + 1), "line 2 is too long")

    def test_not_ascii(self) -> None:
        """Nobody has said SMTPUTF8 before the greeting, and control characters are for terminals."""
        for octets in ("Gr\u00fc\u00df Gott".encode(), b"\xff", b"a\tb", b"a\x1b[31m", b"a\x00"):
            self.refused(b"fine\n" + octets, "line 2")

    def test_empty(self) -> None:
        """A file without a word is hardly meant."""
        for octets in (b"", b"\n \r\n"):
            self.refused(octets, "empty")

    def test_missing(self) -> None:
        """A file that is not there is named."""
        settings = attrs.evolve(Settings(), smtp=SMTPSettings(greeting_file="/nonexistent/greeting"))
        error = self.assertRaises(ValueError, greeting_lines, settings)
        self.assertIn("[smtp] greeting_file: /nonexistent/greeting: No such file", str(error))
