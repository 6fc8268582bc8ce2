"""An export that is killed before any of its steps on the disk, and said again, ends with each message exactly once."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.cli import export_mail
from hermes.core.mbox import Quoting
from hermes.mailbox.kept_mail import CnmSource, MaildirSource, MboxSource
from tests.crash import export_child
from tests.crash.children import steps_of
from tests.crash.export_child import EARLIER, TARGETS, again
from tests.mailbox.test_kept_mail import read
from tests.support.maildirs import put

TEXTS = [b"a: 1\n\nFrom here\n", b"a: 2\n\n" + b"large\n" * 60_000, b"a: 3\n\nsame\n", b"a: 3\n\nsame\n"]


def found(kind: str, target: str) -> list[bytes]:
    """The messages of a target, in no order."""
    if kind == "maildir":
        return sorted(text for _, text in read(MaildirSource(target)))
    if kind == "cnm":
        return sorted(text for _, text in read(CnmSource(target)))
    with open(target, "rb") as file:
        return sorted(text for _, text in read(MboxSource(file, Quoting.MBOXRD)))


class ExportStepsTests(SynchronousTestCase):
    """Every step, of each kind of target."""

    @override
    def setUp(self) -> None:
        self.root = os.path.abspath(self.mktemp())
        for number, text in enumerate(TEXTS):
            put(os.path.join(self.root, "joe"), "new", f"{1_700_000_000 + number}.x.host,S={len(text)}", text)

    def check(self, kind: str, earlier: list[bytes]) -> None:
        """Killed before each step; looked at; said again, and again."""
        base = os.path.join(self.root, kind)
        steps = steps_of(export_child, base)
        self.assertGreater(len(steps), 5)
        expected = sorted(TEXTS + earlier)
        for die_at in range(1, len(steps) + 2):
            target = f"{base}-{die_at}"
            # Whoever looks into it meanwhile finds whole messages, and none of those that were there is missing.
            if os.path.exists(target):
                there = found(kind, target)
                self.assertEqual([text for text in there if text not in expected], [])
                self.assertEqual([text for text in earlier if text not in there], [])
            for _ in range(2):
                done = again(target)
                self.assertEqual(found(kind, target), expected, (kind, die_at))
            self.assertEqual((done.exported, done.already), (0, len(TEXTS)))
        left = [name for _, _, names in os.walk(self.root) for name in names if name.endswith(".part")]
        self.assertEqual(left, [])

    def test_mbox(self) -> None:
        """A file that is not there yet."""
        self.check("mbox", [])

    def test_mbox_that_is_there(self) -> None:
        """A file that has other messages."""
        self.check("grown", [EARLIER])

    def test_maildir(self) -> None:
        """A maildir."""
        self.check("maildir", [])

    def test_cnm(self) -> None:
        """A directory of .CNM files."""
        self.check("cnm", [])

    def test_all_targets(self) -> None:
        """Whatever the command can write is killed here."""
        self.assertEqual(set(TARGETS.values()), set(export_mail._TARGETS.values()))
