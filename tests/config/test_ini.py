"""Tests of the reading of lines, held against Python's own reader of INI files."""

from __future__ import annotations

import configparser

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.ini import MAX_OCTETS, Document, decode, scan

_LINES = st.sampled_from(
    [
        "",
        "  ",
        "# comment",
        "  ; comment",
        "[smtp]",
        "[pop3]",
        " [hermes]",
        "a = 1",
        "A: 2",
        "b=x # y",
        "  c = 3",
        "   d : e = f",
        "\te",
        "key with spaces = v",
        "empty =",
        "  [not a section",
    ]
)


def _values(document: Document) -> dict[tuple[str, str], str]:
    return {(entry.section, entry.key): entry.text for entry in document.entries}


def _standard(text: str) -> dict[tuple[str, str], str] | None:
    """What configparser makes of the text; None when it refuses it."""
    parser = configparser.ConfigParser(interpolation=None, strict=True, default_section="\0")
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return {(section, key): parser[section][key] for section in parser.sections() for key in parser[section]}


def _squeezed(values: dict[tuple[str, str], str]) -> dict[tuple[str, str], list[str]]:
    """Values as their lines without empty ones: configparser keeps blank lines inside a value, which mean nothing here."""
    return {place: [line for line in text.split("\n") if line] for place, text in values.items()}


class ScanTests(SynchronousTestCase):
    """The lines of an INI file."""

    @settings(max_examples=400, deadline=None)
    @given(st.lists(_LINES, max_size=12))
    def test_agrees_with_configparser(self, lines: list[str]) -> None:
        """A text is understood exactly when configparser understands it, and then means the same."""
        text = "\n".join(lines)
        document = scan(text)
        standard = _standard(text)
        self.assertEqual(standard is None, bool(document.problems), text)
        if standard is not None:
            self.assertEqual(_squeezed(_values(document)), _squeezed(standard), text)

    def test_lines_are_counted(self) -> None:
        """Sections and keys know their lines, whatever the line ends are."""
        for end in ("\n", "\r\n", "\r"):
            document = scan(end.join(["# top", "[smtp]", "", "listen = *:25,", "    *:26", "max_size = 1M"]))
            self.assertEqual(document.sections, {"smtp": 2})
            self.assertEqual(document.lines, {("smtp", "listen"): 4, ("smtp", "max_size"): 6})
            self.assertEqual(_values(document)["smtp", "listen"], "*:25,\n*:26")

    def test_no_comments_behind_values(self) -> None:
        """A value holds all characters up to the end of its line: a password may have a # or a ;."""
        document = scan("[smarthost]\npassword = a #b ;c=d:e%s\n")
        self.assertEqual(_values(document), {("smarthost", "password"): "a #b ;c=d:e%s"})

    def test_duplicates(self) -> None:
        """A key or a section that comes twice is a problem that names the first line."""
        document = scan("[smtp]\na = 1\n[pop3]\na = 2\n[smtp]\nA = 3\n")
        self.assertEqual(
            [(problem.line, problem.section, problem.key) for problem in document.problems],
            [(5, "smtp", ""), (6, "smtp", "a")],
        )
        self.assertIn("line 1", document.problems[0].text)
        self.assertIn("line 2", document.problems[1].text)

    def test_every_problem(self) -> None:
        """What cannot be understood does not hide what follows."""
        document = scan("a = 1\n[smtp]\njunk\n= 2\nb = \x00\n[pop3] # x\nc = 3\n[tls]\nd = 4")
        self.assertEqual([problem.line for problem in document.problems], [1, 3, 4, 5, 6])
        self.assertEqual(_values(document), {("tls", "d"): "4"})


class DecodeTests(SynchronousTestCase):
    """The octets of a file."""

    def test_utf_8(self) -> None:
        """UTF-8 is read with or without a byte order mark."""
        self.assertEqual(decode("ä".encode()), "ä")
        self.assertEqual(decode("ä".encode("utf-8-sig")), "ä")

    def test_not_utf_8(self) -> None:
        """Other octets are refused, and the line is named."""
        error = self.assertRaises(ValueError, decode, b"a\nb\n\xe4\n")
        self.assertIn("line 3", str(error))

    def test_size_limit(self) -> None:
        """A file of up to 1 MiB is read."""
        for size in (MAX_OCTETS - 1, MAX_OCTETS):
            self.assertEqual(len(decode(b"#" * size)), size)
        self.assertRaises(ValueError, decode, b"#" * (MAX_OCTETS + 1))
