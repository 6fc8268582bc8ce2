"""The spool is killed at random under load, again and again on the same directory."""

from __future__ import annotations

import os
import random

from tests.crash import spool_load
from tests.crash.children import killed_after
from tests.crash.spool_load import octets_with
from tests.support.real_spool import SpoolTestCase, octets_of

KILLS = 5

#: Messages acknowledged before the kill, at most.
MAX_ACKNOWLEDGED = 400


class LoadTests(SpoolTestCase):
    """With the real threads."""

    def test_killed_again_and_again(self) -> None:
        """After every kill, every message that was acknowledged and not yet delivered is there whole."""
        self.done(self.spool.close())
        self.directory = os.path.abspath(self.directory)
        chance = random.Random(5321)
        promised: set[str] = set()
        finished: set[str] = set()
        for _ in range(KILLS):
            said = killed_after(spool_load, chance.randrange(1, MAX_ACKNOWLEDGED), self.directory)
            # Words are written whole or not at all, but the last one may be half.
            said = [line for line in said if len(line) == 13]
            finishing = {line[1:] for line in said if line[0] == "?"}
            finished |= {line[1:] for line in said if line[0] == "-"}
            promised |= {line[1:] for line in said if line[0] == "+"} - finishing
            self.spool = self.opened()
            found = {message.queue_id for message in self.done(self.spool.select(None))}
            self.assertEqual(promised - found, set())
            self.assertEqual(finished & found, set())
            for queue_id in found:
                content = self.done(self.spool.content(queue_id))
                self.assertEqual(octets_of(content), octets_with(queue_id))
            in_files = {queue_id for queue_id in found if len(octets_with(queue_id)) > 128 * 1024}
            self.assertEqual(self.body_files(), sorted(in_files))
            self.assertEqual(self.faults(), [])
            self.done(self.spool.close())
        self.spool = self.opened()
