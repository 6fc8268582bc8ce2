"""Tests of :mod:`hermes.mailbox.import_record`."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from hermes.mailbox import import_record, maildir
from hermes.mailbox.import_record import FILE, ImportRecord, ImportRecordError
from hermes.mailbox.lock import InUseError

ONE, TWO = "0" * 32, "f" * 32


class ImportRecordTests(SynchronousTestCase):
    """The file beside the mail."""

    def setUp(self) -> None:
        """A mailbox."""
        self.path = self.mktemp()
        maildir.make(self.path)
        self.file = os.path.join(self.path, FILE)

    def known(self) -> set[str]:
        """What is remembered."""
        record = ImportRecord(self.path)
        record.close()
        record.close()
        return record.known

    def test_remembered(self) -> None:
        """What was added is known the next time; nobody else can read the file."""
        record = ImportRecord(self.path)
        record.add([ONE])
        record.add([TWO])
        record.close()
        self.assertEqual(self.known(), {ONE, TWO})
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)

    def test_one_at_a_time(self) -> None:
        """A second import has to wait."""
        record = ImportRecord(self.path)
        self.assertIn("just now", str(self.assertRaises(InUseError, ImportRecord, self.path)))
        record.close()
        self.known()
        # Given another name while it was being locked, it is not what was asked for.
        self.patch(os, "stat", lambda path, **_: os.lstat("."))
        self.assertRaises(InUseError, ImportRecord, self.path)

    def test_torn(self) -> None:
        """A line that was being written when a process died is forgotten, and the next one stands in its place."""
        with open(self.file, "w") as file:
            file.write(f"{ONE}\n{TWO[:5]}")
        record = ImportRecord(self.path)
        self.assertEqual(record.known, {ONE})
        record.add([TWO])
        record.close()
        self.assertEqual(self.known(), {ONE, TWO})

    def test_damaged(self) -> None:
        """A file that is something else is not guessed at."""
        with open(self.file, "wb") as file:
            file.write(b"\xff\xfe\n" * 40)
        self.assertIn("damaged", str(self.assertRaises(ImportRecordError, ImportRecord, self.path)))

    def test_link(self) -> None:
        """A link is not followed."""
        os.symlink("/etc/passwd", self.file)
        self.assertRaises(OSError, ImportRecord, self.path)

    def test_full(self) -> None:
        """There is an end to what is remembered."""
        record = ImportRecord(self.path)
        record.add([ONE, TWO])
        record.close()
        self.patch(import_record, "MAX_REMEMBERED", 2)
        self.assertEqual(len(self.known()), 2)
        self.patch(import_record, "MAX_REMEMBERED", 1)
        self.assertIn("move", str(self.assertRaises(ImportRecordError, ImportRecord, self.path)))
