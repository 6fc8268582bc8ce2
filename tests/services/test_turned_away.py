"""Connections that are refused do not flood the trace."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.services.turned_away import MAX_RECORDED, WINDOW_SECONDS, TurnedAway
from tests.support.smtp_site import Site


class TurnedAwayTests(SynchronousTestCase):
    """Counting."""

    def test_limit(self) -> None:
        """As many as the limit are recorded in a window; those above it are told with the first of the next."""
        turned_away = TurnedAway()
        answers = [turned_away.record(1000.0) for _ in range(MAX_RECORDED + 2)]
        self.assertEqual(answers, [0] * MAX_RECORDED + [None, None])
        self.assertEqual(turned_away.record(1000.0 + WINDOW_SECONDS - 1), None)
        self.assertEqual(turned_away.record(1000.0 + WINDOW_SECONDS), 3)
        self.assertEqual(turned_away.record(1000.0 + WINDOW_SECONDS), 0)

    def test_sessions(self) -> None:
        """Every refused client hears its refusal, recorded or not."""
        site = Site()
        site.gate.admission = Verdict(Reply.of(421, "4.7.0", "Too many"), "limits.rate")
        for _ in range(MAX_RECORDED + 5):
            self.assertEqual(site.connect(greet=None).heard(), ["421 4.7.0 Too many"])
        self.assertEqual(len(site.journal.events), MAX_RECORDED)
        self.assertNotIn("unrecorded", site.journal.events[0].facts)
        site.clock.advance(WINDOW_SECONDS)
        site.connect(greet=None)
        self.assertEqual(site.journal.events[-1].facts["unrecorded"], 5)
