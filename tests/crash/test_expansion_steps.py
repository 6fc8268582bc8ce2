"""The spool is killed before every step that it takes while addresses are replaced by those that they stand for."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from hermes.core.event import Kind
from tests.crash.expansion_scenario import MEMBERS
from tests.crash.test_spool_steps import octets_of
from tests.support.real_spool import SpoolTestCase

#: Fewer would mean that the scenario has lost some.
MIN_STEPS = 25


class StepTests(SpoolTestCase):
    """Between any two disk steps."""

    def test_every_step(self) -> None:
        """
        Wherever the process dies: there is either the list, and nothing was sent on; or its members and the message that was
        sent on, whole and once, each with its record in the trace. Nobody is lost and nobody is there twice.
        """
        base = os.path.abspath(self.mktemp())
        os.mkdir(base)
        command = [sys.executable, "-bb", "-W", "error", "-m", "tests.crash.expansion_scenario", base]
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
        self.assertEqual(seen, {"list", "members"})

    def check(self, notes: list[dict[str, object]]) -> set[str]:
        """Compare what is there with what was written down; what was found."""
        found = {message.queue_id: message for message in self.done(self.spool.select(None))}
        sent_on = [message for message in found.values() if message.envelope.reverse_path == "srs@example.com"]
        digests = {note["id"]: note["digest"] for note in notes if note["what"] == "accepting"}
        expanding = [note["id"] for note in notes if note["what"] == "expanding"]
        done = {note["id"] for note in notes if note["what"] == "expanded"}
        seen = set()
        expanded = []
        for queue_id in expanding:
            kinds = [event.kind for event in self.done(self.spool.track(str(queue_id), 100))]
            was_expanded = Kind.EXPANDED in kinds
            self.assertEqual(kinds.count(Kind.FORWARDED), kinds.count(Kind.EXPANDED))
            if queue_id in done:
                self.assertTrue(was_expanded, "what was acknowledged is gone")
            ordinals = {each.ordinal for each in found[queue_id].recipients} if queue_id in found else set()
            if was_expanded:
                expanded.append(digests[queue_id])
                self.assertNotIn(0, ordinals)
                if not any(note["id"] == queue_id and note["what"] == "settling" for note in notes):
                    self.assertEqual(ordinals, {1, *MEMBERS})
                    seen.add("members")
            else:
                self.assertEqual(ordinals, {0, 1})
                seen.add("list")
        octets = [octets_of(self.done(self.spool.content(message.queue_id))) for message in sent_on]
        bodies = [each.partition(b"\n")[2] for each in octets]
        self.assertEqual(sorted(hashlib.sha256(body).hexdigest() for body in bodies), sorted(map(str, expanded)))
        return seen
