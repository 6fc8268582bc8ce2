"""The spool is killed before every step that it takes while a set of rules is carried out."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hermes.core.event import Kind
from tests.crash.rules_scenario import COPY, DERIVED
from tests.crash.test_spool_steps import octets_of
from tests.support.real_spool import SpoolTestCase

#: Fewer would mean that the scenario has lost some.
MIN_STEPS = 25


class StepTests(SpoolTestCase):
    """Between any two disk steps."""

    def test_every_step(self) -> None:
        """
        Wherever the process dies: there is either the address, and no rule was carried out; or everything that its rules say,
        whole and once, with the rules in the trace. So the next attempt loses nothing and does nothing twice.
        """
        base = os.path.abspath(self.mktemp())
        os.mkdir(base)
        command = [sys.executable, "-bb", "-W", "error", "-m", "tests.crash.rules_scenario", base]
        subprocess.run(command, cwd=Path(__file__).parents[2], timeout=120, check=True)
        steps = len(list(Path(base).glob("*.log")))
        self.assertGreater(steps, MIN_STEPS)
        seen = set()
        for number in range(1, steps + 1):
            self.done(self.spool.close())
            self.directory = os.path.join(base, str(number))
            self.spool = self.opened()
            seen |= self.check([json.loads(line) for line in Path(f"{self.directory}.log").read_text().splitlines()])
            self.assertEqual(self.faults(), [])
        # Both were met with: died before the transaction, and after it.
        self.assertEqual(seen, {"address", "rules"})

    def check(self, notes: list[dict[str, Any]]) -> set[str]:
        """Compare what is there with what was written down; what was found."""
        found = {message.queue_id: message for message in self.done(self.spool.select(None))}
        digests = {note["id"]: note["digest"] for note in notes if note["what"] == "accepting"}
        settling = {note["id"] for note in notes if note["what"] == "settling"}
        done = {note["id"] for note in notes if note["what"] == "expanded"}
        seen = set()
        expected = []
        for queue_id in [note["id"] for note in notes if note["what"] == "expanding"]:
            events = self.done(self.spool.track(queue_id, 100))
            expanded = [event for event in events if event.kind is Kind.EXPANDED]
            self.assertTrue(expanded or queue_id not in done, "what was acknowledged is gone")
            self.assertEqual(
                len([event for event in events if event.kind is Kind.FORWARDED]), len(expanded) * len(DERIVED)
            )
            ordinals = {each.ordinal for each in found[queue_id].recipients} if queue_id in found else set()
            if expanded:
                self.assertIn('.rul:1: Always Copy "PUBLIC:all"', str(expanded[0].facts["reason"]))
                expected += [(destination, lines, digests[queue_id]) for destination, lines in DERIVED.items()]
                self.assertNotIn(0, ordinals)
                if queue_id not in settling:
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
