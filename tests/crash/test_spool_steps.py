"""The spool is killed before every single step that it takes on the disk, and opened again."""

from __future__ import annotations

import hashlib

import attrs

from hermes.core.event import Kind
from tests.crash import spool_scenario
from tests.crash.day_case import DayCase, Note
from tests.crash.spool_scenario import REPORT
from tests.support.real_spool import envelope, octets_of

#: Fewer would mean that the scenario has lost some.
MIN_STEPS = 50


@attrs.define
class Story:
    """What a process has written down before it died."""

    accepting: dict[str, Note] = attrs.field(factory=dict)
    accepted: set[str] = attrs.field(factory=set)
    finishing: dict[str, set[int]] = attrs.field(factory=dict)
    finished: dict[str, set[int]] = attrs.field(factory=dict)
    reporting: set[str] = attrs.field(factory=set)
    observed: set[str] = attrs.field(factory=set)

    @classmethod
    def read(cls, notes: list[Note]) -> Story:
        """Read it."""
        story = cls()
        for note in notes:
            queue_id = note["id"]
            match note["what"]:
                case "accepting":
                    story.accepting[queue_id] = note
                case "accepted":
                    story.accepted.add(queue_id)
                case "settling":
                    story.finishing.setdefault(queue_id, set()).update(note["ordinals"])
                    if note["reports"]:
                        story.reporting.add(queue_id)
                case "settled":
                    story.finished[queue_id] = set(story.finishing[queue_id])
                case "observed" if note["kind"] == Kind.RECEIVED.value:
                    story.observed.add(queue_id)
        return story


class SpoolStepsTests(DayCase):
    """Between any two disk steps."""

    def test_every_step(self) -> None:
        """
        Wherever the process dies: what was acknowledged is there whole, what was not is there whole or not at all, finished
        recipients stay finished, no body file is left over, and the spool goes on working.
        """
        half_done = 0
        for notes in self.ended_days(spool_scenario, MIN_STEPS):
            story = Story.read(notes)
            half_done += story.accepting.keys() != story.accepted
            self.check(story)
        self.assertGreater(half_done, 20)

    def check(self, story: Story) -> None:
        """Compare what is there with what was promised."""
        found = {message.queue_id: message for message in self.done(self.spool.select(None))}
        reports = {queue_id for queue_id, message in found.items() if message.origin.protocol == "local"}
        for queue_id in found.keys() - reports:
            message, promised = found[queue_id], story.accepting[queue_id]
            self.assertEqual(self.digest(queue_id), promised["digest"])
            left = {recipient.ordinal for recipient in message.recipients}
            everybody = set(range(len(promised["to"])))
            self.assertLessEqual(everybody - story.finishing.get(queue_id, set()), left)
            self.assertLessEqual(left, everybody - story.finished.get(queue_id, set()))
        for queue_id in story.accepted - found.keys():
            everybody = set(range(len(story.accepting[queue_id]["to"])))
            self.assertEqual(everybody - story.finishing.get(queue_id, set()), set(), "an acknowledged message is lost")
        self.check_reports(story, found.keys() - reports, reports)
        self.assertLessEqual(story.observed, set(story.accepting) | reports)
        for queue_id in story.accepted | found.keys():
            self.assertIs(self.done(self.spool.track(queue_id, 10))[0].kind, Kind.RECEIVED)
        in_files = [queue_id for queue_id in found if self.done(self.spool.content(queue_id)).path is not None]
        self.assertEqual(self.body_files(), sorted(in_files))
        self.assertEqual(self.faults(), [])
        self.assertGreater(self.accept(envelope("z@example.com")).queue_id, max([*story.accepted, *found], default=""))

    def check_reports(self, story: Story, messages: set[str], reports: set[str]) -> None:
        """A report is there exactly when the message that it is about is finished."""
        for queue_id in story.reporting:
            self.assertEqual(len(reports), 0 if queue_id in messages else 1)
        if not story.reporting:
            self.assertEqual(reports, set())
        for queue_id in reports:
            octets = b"Return-Path: <>\n" + REPORT
            self.assertEqual(self.digest(queue_id), hashlib.sha256(octets).hexdigest())

    def digest(self, queue_id: str) -> str:
        """The digest of the octets that are there."""
        return hashlib.sha256(octets_of(self.done(self.spool.content(queue_id)))).hexdigest()
