"""What can be paused."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.destination_pattern import what_matches
from hermes.core.outcome import Result
from hermes.core.pause import MAX_WHAT, fault_of, outcome_of, reason_of


class PauseTests(SynchronousTestCase):
    """fault_of() and what_matches()."""

    def test_names(self) -> None:
        """A text of some length, in one line."""
        for what in (
            "example.net",
            "smarthost:office",
            "*",
            "lmtp:unix:/run/lmtp",
            "pipe:/usr/bin/store .",
            "host:mx1.example.net",
            "x" * (MAX_WHAT - 1),
            "x" * MAX_WHAT,
        ):
            self.assertEqual(fault_of(what), "")
        for what in ("", " ", "host:", "HOST:", "a\nb", " x", "x" * (MAX_WHAT + 1)):
            self.assertIn("names nothing to be paused", fault_of(what))

    def test_dot_at_the_end(self) -> None:
        """As the DNS shows names they are those of no server and no domain here: such a pause would keep no mail back."""
        for what in ("host:mx1.example.net.", "HOST:*.example.net.", "example.net.", "joe@example.net."):
            self.assertIn("names nothing to be paused", fault_of(what), what)

    def test_outcome(self) -> None:
        """It names all the pauses that keep mail waiting, each once, in the words by which a resume finds it."""
        outcome = outcome_of("host:a.test", "host:*.test", "host:a.test")
        self.assertIs(outcome.result, Result.PAUSED)
        self.assertEqual(outcome.reason, f"{reason_of('host:a.test')}; {reason_of('host:*.test')}")

    def test_matches(self) -> None:
        """A destination, its agent, its next hop, the recipient or the recipient's domain; nothing else."""
        for what, expected in (
            ("smarthost", True),
            ("office", True),
            ("SMARTHOST:office", True),
            ("example.net", True),
            ("joe@Example.net", True),
            ("*.net", True),
            ("*.org", False),
            ("*.example.net", False),
            ("direct", False),
            ("joe", False),
        ):
            self.assertIs(what_matches(what, "smarthost:office", "joe@example.net"), expected, what)
