"""A command that is killed while it stores facts leaves whole groups of them, a sound spool, and no lock."""

from __future__ import annotations

from tests.crash import recording_child
from tests.crash.day_case import DayCase, noted
from tests.crash.recording_child import GROUP, GROUPS, facts
from tests.support.real_spool import envelope


class RecordingTests(DayCase):
    """Between any two statements."""

    def test_every_statement(self) -> None:
        """What was said to be durable is there, a group is there whole or not at all, and a server starts as ever."""
        cut_off = 0
        # Each group is a beginning, a row for each fact, and an end.
        for notes in self.ended_days(recording_child, GROUPS * (GROUP + 2)):
            durable = {int(number) for number in noted(notes, "recorded")}
            self.accept(envelope("anna@example.org"))
            self.assertEqual(self.faults(), [])
            for number in range(GROUPS):
                stored = [self.done(self.spool.track(each.queue_id, 100)) for each in facts(number)]
                whole, nothing = [[each] for each in facts(number)], [[]] * GROUP
                self.assertIn(stored, [whole] if number in durable else [whole, nothing])
            cut_off += len(durable) < GROUPS
        self.assertGreater(cut_off, GROUPS * GROUP)
