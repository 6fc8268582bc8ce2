"""The server is killed at every step while it takes files from a drop directory, and takes what is left when it is up again."""

from __future__ import annotations

import os

from hermes.services import drop_files
from tests.crash import drop_scenario
from tests.crash.day_case import DayCase, noted
from tests.crash.drop_scenario import FILES, MortalDrop
from tests.crash.mortal import Death
from tests.support.real_spool import octets_of

#: Fewer would mean that the scenario has lost some.
MIN_STEPS = 30


class DropStepsTests(DayCase):
    """Between any two disk steps."""

    def test_every_step(self) -> None:
        """Wherever the process dies: each message is in the spool once and whole afterwards, and no file is left."""
        seen = set()
        for notes in self.ended_days(drop_scenario, MIN_STEPS):
            if noted(notes, "begins"):
                seen.add(self.check(set(noted(notes, "taken"))))
        # Died before a commit, and between a commit and the removal of its file.
        self.assertEqual(seen, {(0, 2), (1, 2), (1, 1), (2, 1), (2, 0)})

    def check(self, taken: set[str]) -> tuple[int, int]:
        """Take what is left; how many messages and how many files there were before."""
        drop = MortalDrop(self.spool, Death(0))
        directory = f"{self.directory}.drop"
        before = len(self.done(self.spool.select(None)))
        left = drop_files.left(directory)
        for file in left:
            self.assertNotEqual(self.done(drop.take(file)).queue_id, "")
        found = {message.envelope.reverse_path: message for message in self.done(self.spool.select(None))}
        self.assertEqual(len(self.done(self.spool.select(None))), len(FILES))
        self.assertEqual(sorted(found), sorted(f"{name}@example.org" for name in FILES))
        for name, text in FILES.items():
            queue_id = found[f"{name}@example.org"].queue_id
            self.assertTrue(octets_of(self.done(self.spool.content(queue_id))).endswith(b"\n\n" + text))
        self.assertLessEqual(taken, {message.queue_id for message in found.values()})
        self.assertEqual([os.listdir(os.path.join(directory, each)) for each in ("new", "failed")], [[], []])
        self.assertEqual(self.faults(), [])
        return before, len(left)
