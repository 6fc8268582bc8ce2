"""Whether the measurement of collecting notices what did not come, or came otherwise."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.collect_rows import OCTETS, check
from bench.mailboxes import message


class CheckTests(SynchronousTestCase):
    """A maildir after a run."""

    def maildir(self, *texts: bytes) -> Path:
        """One with these messages."""
        maildir = Path(self.mktemp())
        (maildir / "new").mkdir(parents=True)
        for number, text in enumerate(texts):
            (maildir / "new" / str(number)).write_bytes(b"Return-Path: <x@example.net>\nReceived: here\n" + text)
        return maildir

    def sent(self, number: int) -> bytes:
        """A message without its first line, in the place of which another stands."""
        return message(number, OCTETS).partition(b"\n")[2]

    def test_all(self) -> None:
        """Each has come once; then the maildir is empty for the next run."""
        maildir = self.maildir(self.sent(1), self.sent(0))
        check("hermes", maildir, 2)
        self.assertEqual(list((maildir / "new").iterdir()), [])

    def test_wrong(self) -> None:
        """One too few, one twice, one that is another, and one that is none are found."""
        for texts in (
            (self.sent(0),),
            (self.sent(0), self.sent(0)),
            (self.sent(0), self.sent(1)[:-1]),
            (self.sent(0), b"Subject: x\n"),
        ):
            with self.assertRaises(AssertionError):
                check("hermes", self.maildir(*texts), 2)
