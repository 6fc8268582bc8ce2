"""Tests of export: :mod:`hermes.mailbox.exporting` and its targets; Python's own mailbox module reads them, too."""

from __future__ import annotations

import contextlib
import errno
import mailbox
import os

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.mbox import Quoting
from hermes.mailbox import export_files, folders, maildir
from hermes.mailbox.export_files import CnmTarget, ExportError, MaildirTarget
from hermes.mailbox.export_mbox import PART, MboxTarget
from hermes.mailbox.exporting import Exported, Target, export
from hermes.mailbox.kept_mail import CnmSource, MaildirSource, MboxSource
from hermes.mailbox.lock import InUseError
from tests.mailbox.test_kept_mail import read as read_source
from tests.support.kept import import_into, stored
from tests.support.maildirs import files_in, put, read

TEXT = b"Return-Path: <anna@example.org>\nSubject: x\n\nbody\n"
NAME = "1767261600.x.host"
FROM = b"From anna@example.org Thu Jan  1 10:00:00 2026\n"


class ExportTestCase(SynchronousTestCase):
    """A mailbox, and a place for targets."""

    def setUp(self) -> None:
        """Make them."""
        self.path = os.path.abspath(self.mktemp())
        self.target = os.path.abspath(self.mktemp())
        maildir.make(self.path)

    def put(self, name: str, octets: bytes = TEXT, directory: str = "new", folder: str = "") -> None:
        """A message."""
        put(os.path.join(self.path, folder), directory, name, octets)

    def export(self, kind: type[Target], *others: str) -> Exported:
        """Export."""
        done = Exported()
        target = kind(self.target)
        try:
            export(self.path, ["", *others], target, done, lambda seen, total: None)
        finally:
            target.close()
        return done

    def octets(self) -> bytes:
        """The target, when it is a file."""
        with open(self.target, "rb") as file:
            return file.read()

    def texts(self) -> list[bytes]:
        """The messages of a target that is an mbox."""
        with open(self.target, "rb") as file:
            return [text for _, text in read_source(MboxSource(file, Quoting.MBOXRD))]


class MboxTests(ExportTestCase):
    """An mbox."""

    def test_octets(self) -> None:
        """A line with sender and time in UTC, the message quoted, its flags in its header, and an empty line (RFC 4155)."""
        self.put(NAME, TEXT + b"From here\n>From there\n")
        self.put("1767261601.y.host:2,FRS", b"Subject: y\n\nno end", "cur")
        self.put("1767261602.z.host:2,", b"Status: RO\n\nz\n", "cur")
        self.export(MboxTarget)
        self.assertEqual(
            self.octets(),
            FROM + TEXT + b">From here\n>>From there\n\n"
            b"From MAILER-DAEMON Thu Jan  1 10:00:01 2026\nSubject: y\nStatus: RO\nX-Status: AF\n\nno end\n\n"
            b"From MAILER-DAEMON Thu Jan  1 10:00:02 2026\nStatus: O\n\nz\n\n",
        )
        self.assertEqual(os.stat(self.target).st_mode & 0o777, 0o600)

    def test_twice(self) -> None:
        """The second time nothing is added; what is new is, and messages that are the same are as many as they are."""
        for number in range(3):
            self.put(f"{number}.x.host")
        self.assertEqual(self.export(MboxTarget).exported, 3)
        before = self.octets()
        done = self.export(MboxTarget)
        self.assertEqual((done.exported, done.already), (0, 3))
        self.assertEqual(self.octets(), before)
        self.put("4.x.host", TEXT + b"4\n")
        os.rename(os.path.join(self.path, "new", "0.x.host"), os.path.join(self.path, "cur", "0.x.host:2,S"))
        self.assertEqual(self.export(MboxTarget).exported, 1)
        self.assertEqual(self.texts(), [TEXT] * 3 + [TEXT + b"4\n"])
        self.assertFalse(os.path.exists(self.target + PART))

    def test_nothing(self) -> None:
        """An empty mailbox is an empty file; an empty message is one."""
        self.export(MboxTarget)
        self.assertEqual(self.octets(), b"")
        self.put(NAME, b"")
        self.export(MboxTarget)
        line = b"From MAILER-DAEMON Thu Jan  1 10:00:00 2026\n\n"
        self.assertEqual(self.octets(), line)
        os.unlink(self.target)
        # What is no more than a field that is made anew is an empty message, too.
        self.put(NAME, b"Status: RO\n")
        self.export(MboxTarget)
        self.assertEqual(self.octets(), line)

    def test_what_is_there_stays(self) -> None:
        """Messages of others stay in front, octet for octet, whatever their last line ends with, and so do rights."""
        for before in (
            FROM + b"a: b\r\n\r\nx\r\n\r\n",
            FROM + b"a: b\n\nx",
            FROM + b"a: b\n\nx\n",
            FROM + b"a: b\n\nx\n\n",
        ):
            with open(self.target, "wb") as file:
                file.write(before)
            os.chmod(self.target, 0o640)
            self.put(NAME)
            self.export(MboxTarget)
            self.assertTrue(self.octets().startswith(before))
            self.assertEqual(self.texts(), [b"a: b\n\nx\n", TEXT])
            self.assertEqual(os.stat(self.target).st_mode & 0o777, 0o640)

    def test_no_mbox(self) -> None:
        """A file that is no mbox is left as it is."""
        with open(self.target, "wb") as file:
            file.write(b"a letter\n")
        self.put(NAME)
        self.assertIn("no mbox", str(self.assertRaises(ExportError, self.export, MboxTarget)))
        self.assertEqual(self.octets(), b"a letter\n")

    def test_torn(self) -> None:
        """Whatever beginning of the file a dying process has left, what comes of it is the same."""
        self.put("1.x.host", b"a: 1\n\nx\n")
        self.put("2.x.host", b"a: 2\n\nFrom y\n")
        self.export(MboxTarget)
        whole = self.octets()
        os.unlink(self.target)
        for size in range(len(whole) + 1):
            with open(self.target + PART, "wb") as file:
                file.write(whole[:size])
            self.export(MboxTarget)
            self.assertEqual(self.octets(), whole, size)
            os.unlink(self.target)

    def test_torn_behind_others(self) -> None:
        """The same where there was something before; if that has changed, it is begun anew."""
        for ending in (b"x\n\n", b"x"):
            before = FROM + b"b: 1\n\n" + ending
            self.put("1.x.host", b"a: 1\n\ny\n")
            for begin in (
                b"",
                before[:20],
                before,
                before + b"\n",
                before + b"\n\n",
                before + b"\n\n" + FROM + b"a: 1\n\ny",
            ):
                for there in (before, FROM + b"other: 1\n\nx\n\n"):
                    with open(self.target + PART, "wb") as file:
                        file.write(begin)
                    with open(self.target, "wb") as file:
                        file.write(there)
                    self.export(MboxTarget)
                    self.assertEqual(len(self.texts()), 2, (begin, there))
                    self.assertTrue(self.octets().startswith(there))

    def test_one_at_a_time(self) -> None:
        """A second export into the same file has to wait, also one that comes when the first has just put it into its place."""
        first = MboxTarget(self.target)
        self.assertRaises(ExportError, MboxTarget, self.target)
        first.close()
        self.patch(os, "stat", lambda path, **_: os.lstat(self.path))
        self.assertRaises(ExportError, MboxTarget, self.target)

    def test_changed_meanwhile(self) -> None:
        """What another program puts into the file during an export is not lost; said again, the export adds to it."""
        for before in (b"", FROM + b"a: b\n\nx\n\n"):
            if before:
                with open(self.target, "wb") as file:
                    file.write(before)
            self.put(NAME)
            target = MboxTarget(self.target)
            with open(self.target, "ab") as file:
                file.write(FROM + b"new: mail\n\ny\n\n")
            with contextlib.closing(target):
                error = self.assertRaises(ExportError, export, self.path, [""], target, Exported(), lambda *_: None)
            self.assertIn("changed", str(error))
            self.assertEqual(self.octets(), before + FROM + b"new: mail\n\ny\n\n")
            self.assertEqual(self.export(MboxTarget).exported, 1)
            self.assertEqual(self.texts()[-2:], [b"new: mail\n\ny\n", TEXT])
            os.unlink(self.target)

    def test_owner(self) -> None:
        """A file that somebody else has stays theirs, where this user may give it back."""
        with open(self.target, "wb") as file:
            file.write(FROM + b"a: b\n\nx\n\n")
        given: list[tuple[int, int]] = []
        self.patch(os, "fchown", lambda descriptor, user, group: given.append((user, group)))
        self.put(NAME)
        self.export(MboxTarget)
        owner = os.stat(self.target)
        self.assertEqual(given, [(owner.st_uid, owner.st_gid)])

        def refuse(descriptor: int, user: int, group: int) -> None:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        self.patch(os, "fchown", refuse)
        self.put("1767261601.y.host", TEXT + b"y\n")
        self.assertEqual(self.export(MboxTarget).exported, 1)

    def test_links(self) -> None:
        """A link in the place of what is written is not followed."""
        other = self.mktemp()
        os.symlink(other, self.target + PART)
        self.assertRaises(OSError, MboxTarget, self.target)
        self.assertFalse(os.path.exists(other))

    def test_read_by_python(self) -> None:
        """Python's own reader finds the messages and their flags."""
        self.put(NAME, TEXT + b"From here\n")
        self.put("1767261601.y.host:2,FRS", b"Subject: y\n\nbody\n", "cur")
        self.export(MboxTarget)
        box = mailbox.mbox(self.target)
        self.addCleanup(box.close)
        self.assertEqual([(message["subject"], message.get_flags()) for message in box], [("x", ""), ("y", "ROAF")])
        self.assertEqual(next(message.get_from() for message in box), "anna@example.org Thu Jan  1 10:00:00 2026")


class MaildirTests(ExportTestCase):
    """A maildir."""

    def test_octets(self) -> None:
        """Messages keep name, flags, time and octets, and folders their names."""
        self.put(NAME, TEXT.replace(b"\n", b"\r\n"))
        self.put("2.y.host,S=5:2,S", directory="cur")
        folders.make(self.path, ".Work")
        self.put("3.z.host", folder=".Work")
        self.assertEqual(self.export(MaildirTarget, ".Work").exported, 3)
        self.assertEqual(files_in(self.target, "new"), [NAME])
        self.assertEqual(read(self.target, "new", NAME), TEXT.replace(b"\n", b"\r\n"))
        self.assertEqual(files_in(self.target, "cur"), ["2.y.host,S=5:2,S"])
        self.assertEqual(files_in(os.path.join(self.target, ".Work"), "new"), ["3.z.host"])
        self.assertEqual(files_in(self.target, ".Work"), ["cur", folders.MARK, "new", "tmp"])
        self.assertEqual(os.stat(os.path.join(self.target, "cur", "2.y.host,S=5:2,S")).st_mtime, 2)

    def test_twice(self) -> None:
        """A message that is there is known by its name, whatever flags it has got there."""
        self.put(NAME)
        self.export(MaildirTarget)
        os.rename(os.path.join(self.target, "new", NAME), os.path.join(self.target, "cur", f"{NAME}:2,FS"))
        done = self.export(MaildirTarget)
        self.assertEqual((done.exported, done.already), (0, 1))
        self.assertEqual(files_in(self.target, "cur"), [f"{NAME}:2,FS"])

    def test_twins(self) -> None:
        """Two messages whose names differ in their flags alone are both there."""
        self.put(NAME)
        self.put(f"{NAME}:2,S", TEXT + b"other\n", "cur")
        for _ in range(2):
            self.export(MaildirTarget)
            self.assertEqual(sorted(stored(self.target)), sorted([TEXT, TEXT + b"other\n"]))

    def test_one_at_a_time(self) -> None:
        """A second export has to wait."""
        first = MaildirTarget(self.target)
        self.assertRaises(InUseError, MaildirTarget, self.target)
        first.close()
        MaildirTarget(self.target).close()

    def test_many(self) -> None:
        """Names are made durable now and then, and at the end."""
        self.patch(export_files, "_GROUP", 2)
        synced: list[str] = []
        self.patch(export_files, "sync_directory", synced.append)
        for number in range(3):
            self.put(f"{number}.x.host")
        self.export(MaildirTarget)
        self.assertEqual(synced, [os.path.join(self.target, "new")] * 2)

    def test_read_by_python(self) -> None:
        """Python's own reader finds the messages, flags and folders."""
        self.put("2.y.host,S=5:2,RS", directory="cur")
        folders.make(self.path, ".Work")
        self.export(MaildirTarget, ".Work")
        box = mailbox.Maildir(self.target, create=False)
        self.assertEqual([(message["subject"], message.get_flags()) for message in box], [("x", "RS")])
        self.assertEqual(box.list_folders(), [])
        self.put("3.z.host", folder=".Work")
        self.export(MaildirTarget, ".Work")
        self.assertEqual(box.list_folders(), ["Work"])


class CnmTests(ExportTestCase):
    """Files of Mercury and Pegasus Mail."""

    def test_octets(self) -> None:
        """One file for each, with eight letters and .CNM for a name, and CRLF."""
        self.put(NAME)
        self.export(CnmTarget)
        (name,) = os.listdir(self.target)
        self.assertRegex(name, r"^[0-9A-Z]{8}\.CNM$")
        self.assertEqual(read(self.target, "", name), TEXT.replace(b"\n", b"\r\n"))
        self.assertEqual(os.stat(os.path.join(self.target, name)).st_mtime, 1767261600)

    def test_twice(self) -> None:
        """Nothing comes twice, and messages that are the same are as many as they are."""
        for number in range(3):
            self.put(f"{number}.x.host")
        self.put("3.x.host", TEXT + b"other\n")
        self.assertEqual(self.export(CnmTarget).exported, 4)
        done = self.export(CnmTarget)
        self.assertEqual((done.exported, done.already, len(os.listdir(self.target))), (0, 4, 4))

    def test_names_that_are_taken(self) -> None:
        """Where something else has a name another one is tried; there is an end to it."""
        self.put(NAME)
        self.export(CnmTarget)
        (name,) = os.listdir(self.target)
        os.unlink(os.path.join(self.target, name))
        for other in ("file", "directory", "link"):
            place = os.path.join(self.target, name)
            if other == "file":
                with open(place, "wb") as file:
                    file.write(b"another message\n")
            elif other == "directory":
                os.mkdir(place)
            else:
                os.symlink("/etc/passwd", place)
            self.assertEqual(self.export(CnmTarget).exported, 1)
            self.assertEqual(self.export(CnmTarget).already, 1)
            for each in os.listdir(self.target):
                path = os.path.join(self.target, each)
                os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
        with open(os.path.join(self.target, name), "wb"):
            pass
        self.patch(export_files, "MAX_TRIES", 1)
        self.assertRaises(ExportError, self.export, CnmTarget)


class MeanwhileTests(ExportTestCase):
    """A mailbox that others use."""

    def test_moved_and_removed(self) -> None:
        """A message that is read meanwhile is exported; one that is deleted is counted as gone."""
        for number in range(3):
            self.put(f"{number}.x.host", TEXT + b"%d\n" % number)

        def show(seen: int, total: int) -> None:
            self.assertEqual(total, 3)
            if seen == 0:
                new, cur = os.path.join(self.path, "new"), os.path.join(self.path, "cur")
                os.unlink(os.path.join(new, "0.x.host"))
                os.rename(os.path.join(new, "1.x.host"), os.path.join(cur, "1.x.host:2,S"))

        done, target = Exported(), MaildirTarget(self.target)
        export(self.path, [""], target, done, show)
        target.close()
        self.assertEqual((done.exported, done.gone, done.seen), (2, 1, 3))
        self.assertEqual(files_in(self.target, "cur"), ["1.x.host:2,S"])

    def test_unreadable(self) -> None:
        """What cannot be read is told, and the others are exported."""
        self.put("1.x.host")
        self.put("2.x.host")

        def show(seen: int, total: int) -> None:
            if seen == 0:
                os.unlink(os.path.join(self.path, "new", "1.x.host"))
                os.symlink("/etc/passwd", os.path.join(self.path, "new", "1.x.host"))

        done, target = Exported(), MaildirTarget(self.target)
        export(self.path, [""], target, done, show)
        target.close()
        self.assertEqual((done.exported, done.failed, len(done.problems)), (1, 1, 1))


#: Messages made of what matters to the formats.
WORDS = (b"From ", b">", b"\n", b"a", b"Status: RO\n", b"Subject: x\n", FROM, b"\r", b"\r\n", b"\0", b"\xff", b".")
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=10).map(b"".join), max_size=5)


class RoundTripTests(ExportTestCase):
    """Out, and in again."""

    @settings(max_examples=30, deadline=None)
    @given(TEXTS)
    def test_there_and_back(self, texts: list[bytes]) -> None:
        """What was imported, exported in any way, and imported again is known."""
        home, kept = os.path.abspath(self.mktemp()), os.path.abspath(self.mktemp())
        for number, text in enumerate(texts):
            put(kept, "new", f"{number}.x.host", text)
        maildir.make(kept)
        import_into(home, MaildirSource(kept))
        first = stored(home)
        for kind in (MboxTarget, MaildirTarget, CnmTarget):
            target = os.path.abspath(self.mktemp())
            opened = kind(target)
            export(home, [""], opened, Exported(), lambda seen, total: None)
            opened.close()
            if kind is MboxTarget:
                with open(target, "rb") as file:
                    again = import_into(home, MboxSource(file, Quoting.MBOXRD))
            else:
                source = MaildirSource(target) if kind is MaildirTarget else CnmSource(target)
                again = import_into(home, source)
            self.assertEqual((again.imported, again.failed), (0, 0), kind)
            self.assertEqual(stored(home), first)
