"""Names and passwords in the form in which they are compared (RFC 4013)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.saslprep import saslprep


class SaslprepTests(SynchronousTestCase):
    """The examples of RFC 4013 3, and each of its rules."""

    def test_examples(self) -> None:
        """The examples of RFC 4013 3 come out as it says."""
        for given, expected in [
            ("I\u00adX", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u00aa", "a"),
            ("\u2168", "IX"),
        ]:
            self.assertEqual(saslprep(given), expected)

    def test_prohibited_examples(self) -> None:
        """The examples of RFC 4013 3 that are errors are refused."""
        for given in ("\u0007", "\u06271"):
            self.assertRaises(ValueError, saslprep, given)

    def test_ascii_is_kept(self) -> None:
        """Every printable ASCII character stays as it is, the space included."""
        text = "".join(map(chr, range(0x20, 0x7F)))
        self.assertEqual(saslprep(text), text)

    def test_controls(self) -> None:
        """Control characters are refused, alone or beside other text."""
        for control in ("\0", "\t", "\r", "\n", "\x1f", "\x7f", "\u0085"):
            self.assertRaises(ValueError, saslprep, "a" + control)
            self.assertRaises(ValueError, saslprep, "\u00e9" + control)

    def test_two_ways_to_write(self) -> None:
        """A letter with its accent is the same however it was typed."""
        self.assertEqual(saslprep("e\u0301"), saslprep("\u00e9"))

    def test_spaces(self) -> None:
        """Other spaces become the space."""
        self.assertEqual(saslprep("a\u00a0b\u3000c"), "a b c")

    def test_prohibited_tables(self) -> None:
        """One character of each prohibited table is refused."""
        for character in ("\ue000", "\ufdd0", "\ud800", "\ufffd", "\u2ff0", "\u200e", "\U000e0001"):
            self.assertRaises(ValueError, saslprep, "a" + character)

    def test_right_to_left(self) -> None:
        """Text from right to left stands alone, and begins and ends as such."""
        self.assertEqual(saslprep("\u0627\u0628"), "\u0627\u0628")
        for mixed in ("\u0627a\u0628", "1\u0627", "\u06271"):
            self.assertRaises(ValueError, saslprep, mixed)
