"""The spool is killed before every step that it takes while a set of rules is carried out."""

from __future__ import annotations

import hashlib

from hermes.core.event import Kind
from tests.crash import rules_scenario
from tests.crash.day_case import DayCase, Note, noted
from tests.crash.rules_scenario import COPY, DERIVED
from tests.support.real_spool import octets_of

#: Fewer would mean that the scenario has lost some.
MIN_STEPS = 25


class RulesStepsTests(DayCase):
    """Between any two disk steps."""

    def test_every_step(self) -> None:
        """
        Wherever the process dies: there is either the address, and no rule was carried out; or everything that its rules say,
        whole and once, with the rules in the trace. So the next attempt loses nothing and does nothing twice.
        """
        seen = set()
        for notes in self.ended_days(rules_scenario, MIN_STEPS):
            seen |= self.check(notes)
        # Both were met with: died before the transaction, and after it.
        self.assertEqual(seen, {"address", "rules"})

    def check(self, notes: list[Note]) -> set[str]:
        """Compare what is there with what was written down; what was found."""
        found = {message.queue_id: message for message in self.done(self.spool.select(None))}
        digests = {note["id"]: note["digest"] for note in notes if note["what"] == "accepting"}
        seen = set()
        expected = []
        for queue_id in noted(notes, "expanding"):
            events = self.done(self.spool.track(queue_id, 100))
            expanded = [event for event in events if event.kind is Kind.EXPANDED]
            self.assertTrue(expanded or queue_id not in noted(notes, "expanded"), "what was acknowledged is gone")
            self.assertEqual(
                len([event for event in events if event.kind is Kind.FORWARDED]), len(expanded) * len(DERIVED)
            )
            ordinals = {each.ordinal for each in found[queue_id].recipients} if queue_id in found else set()
            if expanded:
                self.assertIn('.rul:1: Always Copy "PUBLIC:all"', str(expanded[0].facts["reason"]))
                expected += [(destination, lines, digests[queue_id]) for destination, lines in DERIVED.items()]
                self.assertNotIn(0, ordinals)
                if queue_id not in noted(notes, "settling"):
                    self.assertEqual(ordinals, {1, COPY})
                    self.assertIn("public:all", [each.destination for each in found[queue_id].recipients])
                    seen.add("rules")
            else:
                self.assertEqual(ordinals, {0, 1})
                seen.add("address")
        derived = []
        for message in found.values():
            (first, *_) = message.recipients
            if first.destination not in DERIVED:
                continue
            lines = DERIVED[first.destination]
            _, own, body = octets_of(self.done(self.spool.content(message.queue_id))).partition(lines)
            derived.append((first.destination, own, hashlib.sha256(body).hexdigest()))
        self.assertEqual(sorted(derived), sorted(expected))
        return seen
