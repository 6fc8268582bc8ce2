"""The spool is killed before every step that it takes while addresses are replaced by those that they stand for."""

from __future__ import annotations

import hashlib

from hermes.core.event import Kind
from tests.crash import expansion_scenario
from tests.crash.day_case import DayCase, Note, noted
from tests.crash.expansion_scenario import MEMBERS
from tests.support.real_spool import octets_of

#: Fewer would mean that the scenario has lost some.
MIN_STEPS = 25


class ExpansionStepsTests(DayCase):
    """Between any two disk steps."""

    def test_every_step(self) -> None:
        """
        Wherever the process dies: there is either the list, and nothing was sent on; or its members and the message that was
        sent on, whole and once, each with its record in the trace. Nobody is lost and nobody is there twice.
        """
        seen = set()
        for notes in self.ended_days(expansion_scenario, MIN_STEPS):
            seen |= self.check(notes)
        # Both were met with: died before the transaction, and after it.
        self.assertEqual(seen, {"list", "members"})

    def check(self, notes: list[Note]) -> set[str]:
        """Compare what is there with what was written down; what was found."""
        found = {message.queue_id: message for message in self.done(self.spool.select(None))}
        sent_on = [message for message in found.values() if message.envelope.reverse_path == "srs@example.com"]
        digests = {note["id"]: note["digest"] for note in notes if note["what"] == "accepting"}
        seen = set()
        expanded = []
        for queue_id in noted(notes, "expanding"):
            kinds = [event.kind for event in self.done(self.spool.track(queue_id, 100))]
            was_expanded = Kind.EXPANDED in kinds
            self.assertEqual(kinds.count(Kind.FORWARDED), kinds.count(Kind.EXPANDED))
            if queue_id in noted(notes, "expanded"):
                self.assertTrue(was_expanded, "what was acknowledged is gone")
            ordinals = {each.ordinal for each in found[queue_id].recipients} if queue_id in found else set()
            if was_expanded:
                expanded.append(digests[queue_id])
                self.assertNotIn(0, ordinals)
                if queue_id not in noted(notes, "settling"):
                    self.assertEqual(ordinals, {1, *MEMBERS})
                    seen.add("members")
            else:
                self.assertEqual(ordinals, {0, 1})
                seen.add("list")
        octets = [octets_of(self.done(self.spool.content(message.queue_id))) for message in sent_on]
        bodies = [each.partition(b"\n")[2] for each in octets]
        self.assertEqual(sorted(hashlib.sha256(body).hexdigest() for body in bodies), sorted(expanded))
        return seen
