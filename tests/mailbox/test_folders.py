"""Tests of :mod:`hermes.mailbox.folders`."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from hermes.mailbox import folders
from tests.support.maildirs import files_in


class NameTests(SynchronousTestCase):
    """What people call a folder, and its directory."""

    def test_named(self) -> None:
        """A slash stands between folders; what is not ASCII is in modified UTF-7 (RFC 3501 5.1.3)."""
        for text, name in (
            ("", ""),
            ("Inbox", ""),
            ("Work", ".Work"),
            ("Work/2026", ".Work.2026"),
            ("A & B", ".A &- B"),
            # The examples of RFC 3501 5.1.3.
            ("~peter/mail/台北/日本語", ".~peter.mail.&U,BTFw-.&ZeVnLIqe-"),
            ("Entwürfe", ".Entw&APw-rfe"),
        ):
            self.assertEqual(folders.named(text), name)

    def test_refused(self) -> None:
        """Names that would lead elsewhere, or that no other program would read, are refused; 240 octets fit."""
        for text in ("..", "a.b", "a//b", "/a", "a/", "a\0b", "a\nb", "x" * folders.MAX_NAME_OCTETS):
            self.assertRaises(ValueError, folders.named, text)
        longest = folders.named("x" * (folders.MAX_NAME_OCTETS - 1))
        path = self.mktemp()
        folders.make(path, longest)
        self.assertEqual(list(folders.inside(path)), [longest])
        for name in (".", "..", "...", ".a..b", ".a.", "a", "", "./a"):
            self.assertRaises(ValueError, folders.check, name)


class MakeTests(SynchronousTestCase):
    """Folders on the disk."""

    def test_make(self) -> None:
        """A folder is a marked maildir inside the mailbox, which is made too; making it again changes nothing."""
        path = self.mktemp()
        for _ in range(2):
            self.assertEqual(folders.make(path, ".Work"), os.path.join(path, ".Work"))
            self.assertEqual(files_in(path, ".Work"), ["cur", folders.MARK, "new", "tmp"])
        self.assertEqual(folders.make(path, ""), path)
        self.assertEqual(files_in(path, "."), [".Work", "cur", "new", "tmp"])

    def test_inside(self) -> None:
        """Directories with a dot are folders; links and files are not, and where nothing is there are none."""
        path = self.mktemp()
        self.assertEqual(list(folders.inside(path)), [])
        folders.make(path, ".Work")
        os.symlink(".Work", os.path.join(path, ".Link"))
        with open(os.path.join(path, ".file"), "wb"):
            pass
        self.assertEqual(list(folders.inside(path)), [".Work"])
