"""What a day has left that was ended at every step: see :mod:`tests.crash.day`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.crash.children import steps_of
from tests.support.real_spool import SpoolTestCase

#: What a day has written down about one thing.
Note = dict[str, Any]


class DayCase(SpoolTestCase):
    """Tests that look at every end of a day."""

    def ended_days(self, scenario: ModuleType, min_steps: int) -> Iterator[list[Note]]:
        """
        Open the spool of each day in turn, see that it is sound, and tell what was written down until the day ended.

        With fewer steps the scenario has lost some. The last day is the one that was survived.
        """
        base = os.path.abspath(self.mktemp())
        steps = steps_of(scenario, base)
        self.assertGreaterEqual(len(steps), min_steps)
        for number in range(1, len(steps) + 2):
            self.done(self.spool.close())
            self.directory = f"{base}-{number}"
            self.spool = self.opened()
            self.assertEqual(self.faults(), [])
            yield [json.loads(line) for line in Path(f"{self.directory}.log").read_text().splitlines()]


def noted(notes: list[Note], what: str) -> list[str]:
    """What all notes of a kind are about, in their order."""
    return [note["id"] for note in notes if note["what"] == what]
