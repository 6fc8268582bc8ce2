"""An import that is killed before any of its steps on the disk, and said again, ends with each message exactly once."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.mailbox import maildir
from hermes.mailbox.import_record import ImportRecord
from tests.crash import import_child
from tests.crash.children import steps_of
from tests.crash.import_child import TEXTS, source
from tests.support.kept import import_into, in_tmp, stored
from tests.support.maildirs import files_in


class ImportStepsTests(SynchronousTestCase):
    """Every step."""

    @override
    def setUp(self) -> None:
        root = os.path.abspath(self.mktemp())
        os.makedirs(root)
        self.base = os.path.join(root, "box")
        self.steps = steps_of(import_child, self.base)
        self.assertGreater(len(self.steps), 40)

    def check(self, path: str, die_at: int) -> None:
        """What is there after the crash is whole, and after another import there is each message once."""
        inbox, folder = [path, os.path.join(path, ".Work")]
        for box in (inbox, folder):
            self.assertEqual([text for text in stored(box) if text not in TEXTS], [], die_at)
        if os.path.isdir(os.path.join(path, "tmp")):
            # Whatever is remembered is there: that was written last.
            record = ImportRecord(path)
            record.close()
            self.assertLessEqual(len(record.known), len(stored(inbox) + stored(folder)))
        done = import_into(path, source())
        self.assertEqual(done.imported + done.already, len(TEXTS))
        self.assertEqual(stored(inbox), sorted([*TEXTS[:3], TEXTS[4]]), die_at)
        self.assertEqual(stored(folder), [TEXTS[3]])
        self.assertEqual(in_tmp(inbox) + in_tmp(folder), [])
        self.assertEqual(import_into(path, source()).already, len(TEXTS))

    def test_every_step(self) -> None:
        """Killed before each of them, into a mailbox that is not there yet; the last one lives."""
        for die_at in range(1, len(self.steps) + 2):
            self.check(f"{self.base}-{die_at}", die_at)

    def test_read_between(self) -> None:
        """Between the crash and the next import the owner reads what is there: it is moved, and is not imported again."""
        for die_at in range(1, len(self.steps) + 2):
            path = f"{self.base}-{die_at}"
            for name in files_in(path, "new"):
                seen = maildir.with_flag(name.encode(), b"S").decode()
                os.rename(os.path.join(path, "new", name), os.path.join(path, "cur", seen))
            self.check(path, die_at)
