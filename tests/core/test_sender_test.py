"""What is done about a sender who fails a test."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.sender_test import Consequence, parse_consequence


class ConsequenceTests(SynchronousTestCase):
    """The four words."""

    def test_words(self) -> None:
        """Off, note, refuse, and score with points or with one."""
        for text, expected in (
            ("off", Consequence(tested=False)),
            ("Note", Consequence()),
            ("refuse", Consequence(refuses=True)),
            ("score", Consequence(points=1)),
            ("score 12", Consequence(points=12)),
            (" SCORE  999 ", Consequence(points=999)),
        ):
            self.assertEqual(parse_consequence(text), expected, text)

    def test_wrong(self) -> None:
        """Everything else is told."""
        for text in ("", "on", "score x", "score 0", "score 1000", "score -1", "score\u0661", "refuse 2", "3"):
            self.assertRaises(ValueError, parse_consequence, text)
