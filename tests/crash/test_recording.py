"""A command that is killed while it stores facts leaves whole groups of them, a sound spool, and no lock."""

from __future__ import annotations

import os
import random
import subprocess
import sys

from tests.crash import recording_child
from tests.crash.recording_child import GROUP, facts
from tests.support.real_spool import SpoolTestCase, envelope

#: How often it is killed.
KILLS = 5


class RecordingTests(SpoolTestCase):
    """Killed at random."""

    def test_killed(self) -> None:
        """What was said to be durable is there, a group is there whole or not at all, and a server starts as ever."""
        dice = random.Random(4155)
        for first in range(0, KILLS * 1000, 1000):
            self.done(self.spool.close())
            groups = self.record_and_die(first, dice.randint(1, 30))
            self.spool = self.opened()
            self.accept(envelope("anna@example.org"))
            self.assertEqual(self.faults(), [])
            for number in range(first, first + groups):
                for each in facts(number):
                    self.assertEqual(self.done(self.spool.track(each.queue_id, 100)), [each])
            # The group that was being stored.
            found = sum(bool(self.done(self.spool.track(each.queue_id, 100))) for each in facts(first + groups))
            self.assertIn(found, {0, GROUP})

    def record_and_die(self, first: int, count: int) -> int:
        """Kill a process when it has stored so many groups; how many were durable when it died."""
        command = [sys.executable, recording_child.__file__, self.directory, str(first)]
        environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ.get("PATH", "")}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(count)]
            process.kill()
            said += process.stdout.readlines()
        self.assertNotIn(b"", said)
        return len(said)
