"""The names of messages in a maildir, and the directories around them."""

from __future__ import annotations

import os
import stat

from twisted.trial.unittest import SynchronousTestCase

from hermes.mailbox import maildir
from hermes.mailbox.maildir import DeliveryNames
from tests.support.maildirs import NOW, Failing, put, queue_id


class DeliveryNamesTests(SynchronousTestCase):
    """Names of deliveries follow from message and recipient."""

    def test_form(self) -> None:
        """Seconds of the queue id, queue id with ordinal, host, and then the sizes on disk and on the wire."""
        unique = DeliveryNames("mail.example.org").unique(queue_id(7), NOW + 99, 3)
        self.assertEqual(f"1700000000.{queue_id(7)}_3.mail.example.org", unique)
        self.assertEqual(unique + ",S=100,W=104", maildir.sized(unique, 100, 104))

    def test_what_may_not_be_in_a_name_is_escaped(self) -> None:
        """Slash and colon of a host name are written in octal, as the maildir specification asks, and so is the comma."""
        unique = DeliveryNames("a/b:c,d").unique(queue_id(1), NOW, 0)
        self.assertTrue(unique.endswith("_0.a\\057b\\072c\\054d"), unique)

    def test_a_foreign_queue_id_is_safe(self) -> None:
        """An id of another form gives a name of the same message and recipient that leads nowhere."""
        unique = DeliveryNames("h").unique("../x", NOW, 2)
        self.assertEqual("1700000000.---x_2.h", unique)

    def test_a_long_host_is_cut(self) -> None:
        """A host name of 63 or 64 characters is written in full, one of 65 is cut, so that flags and fields find room."""
        for length, written in ((63, 63), (64, 64), (65, 64)):
            host = DeliveryNames("h" * length).unique(queue_id(1), NOW, 0).rpartition(".")[2]
            self.assertEqual(written, len(host))

    def test_no_host(self) -> None:
        """Without a host name there is still a name with three parts."""
        self.assertTrue(DeliveryNames("").unique(queue_id(1), NOW, 0).endswith(".localhost"))


class PartsTests(SynchronousTestCase):
    """What is read out of a name."""

    def test_unique_part(self) -> None:
        """It ends before the first field and before the flags."""
        for name in (b"1.x.h", b"1.x.h,S=1", b"1.x.h:2,S", b"1.x.h,S=1,W=2:2,FS", b"1.x.h,U=5,FMD5=abc:2,"):
            self.assertEqual(b"1.x.h", maildir.unique_part(name))

    def test_stored_size(self) -> None:
        """S counts before the flags only, and only as a whole field of digits."""
        self.assertEqual(12, maildir.stored_size(b"1.x.h,S=12,W=13:2,S"))
        self.assertEqual(12, maildir.stored_size(b"1.x.h,W=13,S=12"))
        for name in (b"1.x.h", b"1.x.h:2,S=12", b"1.x.h,S=", b"1.x.h,S=12x", b"1.x.h,WS=12"):
            self.assertIsNone(maildir.stored_size(name))

    def test_queue_id(self) -> None:
        """Names that Hermes made tell the queue id, with flags and fields too; no others do."""
        ours = maildir.sized(DeliveryNames("h").unique(queue_id(5), NOW, 12), 1, 2).encode()
        self.assertEqual(queue_id(5), maildir.queue_id_of(ours + b":2,RS"))
        for name in (b"1700000000.M1P2.h,S=1", b"1700000000.12345_0.h", b"x", b"1700000000.ILOUILOUILOU_0.h"):
            self.assertEqual("", maildir.queue_id_of(name))

    def test_with_flag(self) -> None:
        """A flag is added once and in ASCII order; what other programs wrote besides stays."""
        self.assertEqual(b"1.x.h,S=1:2,S", maildir.with_flag(b"1.x.h,S=1", b"S"))
        self.assertEqual(b"1.x.h:2,FST", maildir.with_flag(b"1.x.h:2,FT", b"S"))
        self.assertEqual(b"1.x.h:2,S", maildir.with_flag(b"1.x.h:2,S", b"S"))
        self.assertEqual(b"1.x.h:2,RSa", maildir.with_flag(b"1.x.h:2,Ra", b"S"))
        self.assertEqual(b"1.x.h:2,FS,more", maildir.with_flag(b"1.x.h:2,F,more", b"S"))
        self.assertEqual(b"1.x.h:2,S", maildir.with_flag(b"1.x.h:1,experiment", b"S"))


class DirectoriesTests(SynchronousTestCase):
    """Making maildirs and looking into them."""

    def test_make(self) -> None:
        """tmp, new and cur are made with mode 0700, the parents too; making it again changes nothing."""
        path = os.path.join(self.mktemp(), "mail", "joe")
        maildir.make(path)
        os.chmod(os.path.join(path, "cur"), 0o750)
        maildir.make(path)
        self.assertEqual(["cur", "new", "tmp"], sorted(os.listdir(path)))
        modes = [stat.S_IMODE(os.stat(os.path.join(path, name)).st_mode) for name in ("", "tmp", "new", "cur")]
        self.assertEqual([0o700, 0o700, 0o700, 0o750], modes)

    def test_make_here(self) -> None:
        """A name alone is in the current directory."""
        path = self.mktemp()
        os.makedirs(path)
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(path)
        maildir.make("joe")
        self.assertEqual(["cur", "new", "tmp"], sorted(os.listdir("joe")))

    def test_make_completes(self) -> None:
        """A maildir that lacks a part gets it."""
        path = self.mktemp()
        os.makedirs(os.path.join(path, "new"))
        maildir.make(path)
        self.assertEqual(["cur", "new", "tmp"], sorted(os.listdir(path)))

    def test_messages_are_regular_files(self) -> None:
        """Directories, links and names with a leading dot are no messages; a directory that is missing has none."""
        path = self.mktemp()
        target = put(path, "new", "1.a.h")
        os.mkdir(os.path.join(path, "new", "2.directory.h"))
        os.symlink(target, os.path.join(os.fsencode(path), b"new", b"3.link.h"))
        os.mkfifo(os.path.join(path, "new", "4.fifo.h"))
        put(path, "new", ".5.hidden.h")
        found = [entry.name for entry in maildir.messages_in(os.fsencode(os.path.join(path, "new")))]
        self.assertEqual([b"1.a.h"], found)
        self.assertEqual([], list(maildir.messages_in(b"/nowhere/at/all")))

    def test_find(self) -> None:
        """A message is found by its unique part wherever it is, and not by a part of that."""
        path = self.mktemp()
        put(path, "new", "1.abc.host,S=1")
        put(path, "cur", "1.abc.h,S=1,U=7:2,RS")
        self.assertEqual(("cur", b"1.abc.h,S=1,U=7:2,RS"), maildir.find(path, b"1.abc.h"))
        self.assertEqual(("new", b"1.abc.host,S=1"), maildir.find(path, b"1.abc.host"))
        self.assertIsNone(maildir.find(path, b"1.ab"))

    def test_remove_abandoned(self) -> None:
        """What has been in tmp for more than 36 hours goes; what is younger stays, for somebody may be writing it."""
        path = self.mktemp()
        hours = 3600
        for name, age in (("young", 36 * hours), ("old", 36 * hours + 1)):
            target = put(path, "tmp", name)
            os.utime(target, (NOW - age, NOW - age))
        maildir.remove_abandoned(path, NOW)
        self.assertEqual(["young"], os.listdir(os.path.join(path, "tmp")))

    def test_what_cannot_be_removed(self) -> None:
        """A file in tmp that cannot be removed stays, and the others go."""
        path = self.mktemp()
        for name in ("a", "b"):
            os.utime(put(path, "tmp", name), (0, 0))
        self.patch(os, "unlink", Failing(os.unlink, PermissionError(1, "no")))
        maildir.remove_abandoned(path, NOW)
        self.assertEqual(1, len(os.listdir(os.path.join(path, "tmp"))))
