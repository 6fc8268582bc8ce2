"""A mailbox as a POP3 session sees it: locked, listed, and changed at the end only (RFC 1939)."""

from __future__ import annotations

import errno
import fcntl
import os

from twisted.internet.defer import CancelledError, Deferred
from twisted.mail.pop3 import IMailbox
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override
from zope.interface.verify import verifyObject

from hermes.core.message import Content
from hermes.interfaces import IStreamingMailbox
from hermes.mailbox import updating
from hermes.mailbox.cached import CachedFiles
from hermes.mailbox.lock import MailboxLock
from hermes.mailbox.reading import POP3Mailbox
from hermes.mailbox.updating import MAX_FAULTS
from tests.support.maildirs import (
    JOE,
    NOW,
    Failing,
    calling_worker,
    clock_at,
    files_in,
    mailboxes_in,
    put,
    queue_id,
)

ONE = b"Subject: one\n\nfirst\n"
TWO = b"Subject: two\n\nsecond\n"
THREE = b"Subject: three\n\nthird\n"


class MailboxTestCase(SynchronousTestCase):
    """Joe's mailbox: two messages in new, the first of them through Hermes, and a third in cur."""

    @override
    def setUp(self) -> None:
        self.root = self.mktemp()
        self.path = os.path.join(self.root, "joe")
        self.names = [
            f"1700000001.{queue_id(1)}_0.h,S={len(ONE)},W={len(ONE) + 3}",
            "1700000002.b.h",
            "1700000003.c.h,S=22,W=25:2,F",
        ]
        for directory, name, octets in zip(("new", "new", "cur"), self.names, (ONE, TWO, THREE), strict=True):
            put(self.path, directory, name, octets)
        self.worker = calling_worker()
        self.mailboxes = mailboxes_in(self.root, self.worker, clock_at())

    def opened(self) -> POP3Mailbox:
        """The mailbox, open until the end of the test at the latest."""
        mailbox = self.mailboxes.mailbox(JOE)
        self.assertTrue(self.successResultOf(mailbox.open()))
        self.addCleanup(lambda: self.successResultOf(mailbox.close()))
        return mailbox

    def content(self, mailbox: POP3Mailbox, number: int) -> Content:
        """Where a message is."""
        content: Content = self.successResultOf(mailbox.content(number))
        return content


class ReadingTests(MailboxTestCase):
    """What a session learns of the messages."""

    def test_interfaces(self) -> None:
        """It is Hermes's streaming mailbox and Twisted's mailbox."""
        verifyObject(IStreamingMailbox, self.opened())
        verifyObject(IMailbox, self.mailboxes.mailbox(JOE))

    def test_numbers(self) -> None:
        """Count, sizes with CRLF, total, ids and queue ids."""
        mailbox = self.opened()
        sizes = [len(ONE) + 3, len(TWO) + 3, 25]
        self.assertEqual(3, mailbox.count())
        self.assertEqual(sizes, [mailbox.size(number) for number in range(3)])
        self.assertEqual((3, sum(sizes)), mailbox.total())
        self.assertEqual([name.split(",")[0] for name in self.names], [mailbox.uid(number) for number in range(3)])
        self.assertEqual([queue_id(1), "", ""], [mailbox.queue_id(number) for number in range(3)])

    def test_numbers_that_do_not_exist(self) -> None:
        """Any number outside the list is refused by every method, negative ones too."""
        mailbox = self.opened()
        for method in (
            mailbox.size, mailbox.uid, mailbox.queue_id, mailbox.is_deleted, mailbox.delete,
            mailbox.mark_retrieved, mailbox.listMessages, mailbox.getUidl, mailbox.getMessage, mailbox.deleteMessage,
        ):  # fmt: skip
            for number in (-1, 3):
                self.assertRaises(ValueError, method, number)
                self.assertRaises(ValueError, mailbox.octets_at_once, number)
                self.failureResultOf(mailbox.content(number), ValueError)

    def test_marks(self) -> None:
        """A message marked deleted has size 0 and leaves the total; marking it twice is marking it once."""
        mailbox = self.opened()
        for _ in range(2):
            mailbox.delete(1)
        self.assertTrue(mailbox.is_deleted(1))
        self.assertEqual((3, 0), (mailbox.count(), mailbox.size(1)))
        self.assertEqual((2, mailbox.size(0) + mailbox.size(2)), mailbox.total())
        mailbox.undelete_all()
        self.assertFalse(mailbox.is_deleted(1))
        self.assertEqual((3, len(ONE) + 3 + len(TWO) + 3 + 25), mailbox.total())

    def test_at_once(self) -> None:
        """A small message that is where it was is had without the thread; one that has moved or gone is looked for in it."""
        # The file system of the tests need not be one that knows what it has in memory.
        cached = CachedFiles(lambda descriptor, room, position: os.preadv(descriptor, (room,), position))
        self.mailboxes = mailboxes_in(self.root, self.worker, clock_at(), cached=cached)
        mailbox = self.opened()
        self.assertEqual([ONE, TWO, THREE], [mailbox.octets_at_once(number) for number in range(3)])
        moved = os.path.join(self.path, "cur", self.names[0] + ":2,S")
        os.rename(os.path.join(self.path, "new", self.names[0]), moved)
        os.remove(os.path.join(self.path, "new", self.names[1]))
        self.assertEqual([None, None, THREE], [mailbox.octets_at_once(number) for number in range(3)])
        self.assertEqual(self.content(mailbox, 0).path, moved)
        self.assertEqual(mailbox.octets_at_once(0), ONE)
        self.failureResultOf(mailbox.content(1), FileNotFoundError)

    def test_content(self) -> None:
        """Content is the file, with its size on disk and on the wire, and all of it is the message."""
        content = self.content(self.opened(), 1)
        self.assertEqual((len(TWO), len(TWO) + 3, 0), (content.size_octets, content.wire_octets, content.prefix_octets))
        with open(content.path or "", "rb") as file:
            self.assertEqual(TWO, file.read())

    def test_a_name_in_no_encoding(self) -> None:
        """A message whose name is not text can be read."""
        put(self.path, "new", b"1700000009.\xff.h", ONE)
        with open(self.content(self.opened(), 3).path or "", "rb") as file:
            self.assertEqual(ONE, file.read())

    def test_a_mailbox_at_first_use(self) -> None:
        """The mailbox of an account that never got mail is made, and empty."""
        mailbox = mailboxes_in(os.path.join(self.root, "other"), self.worker).mailbox(JOE)
        self.assertTrue(self.successResultOf(mailbox.open()))
        self.assertEqual((0, (0, 0)), (mailbox.count(), mailbox.total()))
        self.successResultOf(mailbox.close())

    def test_abandoned_files_are_removed(self) -> None:
        """Opening a mailbox clears tmp of what nobody will finish."""
        old = put(self.path, "tmp", "1600000000.x.h")
        os.utime(old, (NOW - 40 * 3600, NOW - 40 * 3600))
        self.opened()
        self.assertEqual([], files_in(self.path, "tmp"))


class RenamedTests(MailboxTestCase):
    """Another program changes names between the listing and the reading."""

    def move(self, name: str) -> None:
        """Move the second message to cur under that name."""
        os.rename(os.path.join(self.path, "new", self.names[1]), os.path.join(self.path, "cur", name))

    def test_found_under_any_name(self) -> None:
        """A message that was moved to cur, with usual flags, others, or fields, is read all the same, again and again."""
        for name in ("1700000002.b.h:2,", "1700000002.b.h:2,S", "1700000002.b.h:2,RST", "1700000002.b.h,U=4:2,S"):
            with self.subTest(name):
                mailbox = self.opened()
                self.move(name)
                for _ in range(2):
                    with open(self.content(mailbox, 1).path or "", "rb") as file:
                        self.assertEqual(TWO, file.read())
                self.assertEqual("1700000002.b.h", mailbox.uid(1))
                self.successResultOf(mailbox.close())
                os.rename(os.path.join(self.path, "cur", name), os.path.join(self.path, "new", self.names[1]))

    def test_searched_in_the_worker(self) -> None:
        """A name that cannot be guessed is looked for in the thread: a big mailbox must not hold up everybody else."""
        mailbox = self.opened()
        self.move("1700000002.b.h:2,RST")
        self.worker.paused = True
        finding = Deferred.fromCoroutine(mailbox.content(1))
        self.assertNoResult(finding)
        self.worker.resume()
        self.assertTrue((self.successResultOf(finding).path or "").endswith("cur/1700000002.b.h:2,RST"))

    def test_gone(self) -> None:
        """A message that another program has deleted raises FileNotFoundError, and the others can be read."""
        mailbox = self.opened()
        os.unlink(os.path.join(self.path, "new", self.names[1]))
        self.failureResultOf(mailbox.content(1), FileNotFoundError)
        self.assertEqual(len(ONE), self.content(mailbox, 0).size_octets)

    def test_replaced_by_a_link(self) -> None:
        """A link in the place of the message is not followed."""
        mailbox = self.opened()
        path = os.path.join(self.path, "new", self.names[1])
        os.unlink(path)
        os.symlink("/etc/hostname", path)
        self.failureResultOf(mailbox.content(1), FileNotFoundError)

    def test_never_another_message(self) -> None:
        """Where two messages share a unique part, a missing one is neither shown nor deleted as the other."""
        put(self.path, "new", "1700000004.d.h,S=1,W=1", b"a\n")
        put(self.path, "new", "1700000004.d.h,S=2,W=2", b"bb\n")
        mailbox = self.opened()
        os.unlink(os.path.join(self.path, "new", "1700000004.d.h,S=1,W=1"))
        self.failureResultOf(mailbox.content(3), FileNotFoundError)
        mailbox.delete(3)
        self.assertEqual([], self.successResultOf(mailbox.update()))
        self.assertIn("1700000004.d.h,S=2,W=2", files_in(self.path, "new"))


class UpdateTests(MailboxTestCase):
    """What the end of a session changes (RFC 1939 6)."""

    def all_files(self) -> tuple[list[str], list[str]]:
        """New and cur."""
        return files_in(self.path, "new"), files_in(self.path, "cur")

    def test_only_update_deletes(self) -> None:
        """A session that ends without update changes nothing, whatever it has marked."""
        before = self.all_files()
        mailbox = self.opened()
        mailbox.delete(0)
        mailbox.mark_retrieved(1)
        self.successResultOf(mailbox.close())
        self.assertEqual(before, self.all_files())

    def test_update(self) -> None:
        """Deleted messages go; fetched ones are in cur and seen, other flags kept; the rest stays where it is."""
        put(self.path, "new", "1700000004.d.h")
        mailbox = self.opened()
        mailbox.delete(0)
        for number in (0, 1, 2):
            mailbox.mark_retrieved(number)
        self.assertEqual([], self.successResultOf(mailbox.update()))
        self.assertEqual(
            (["1700000004.d.h"], ["1700000002.b.h:2,S", "1700000003.c.h,S=22,W=25:2,FS"]), self.all_files()
        )

    def test_update_is_durable(self) -> None:
        """Each directory that was changed is fsynced once, after its changes."""
        done: list[str] = []
        unlink, rename = os.unlink, os.rename
        self.patch(os, "unlink", lambda path: (done.append("unlink"), unlink(path)))
        self.patch(os, "rename", lambda source, target: (done.append("rename"), rename(source, target)))
        self.patch(updating, "sync_directory", lambda path: done.append("fsync " + os.path.basename(path)))
        mailbox = self.opened()
        done.clear()
        mailbox.delete(0)
        mailbox.mark_retrieved(1)
        self.successResultOf(mailbox.update())
        self.assertEqual(["unlink", "rename", "fsync cur", "fsync new"], done)

    def test_renamed_meanwhile(self) -> None:
        """A message that another program has renamed is deleted; one that it has deleted already counts as deleted."""
        put(self.path, "new", "1700000004.d.h")
        mailbox = self.opened()
        os.rename(
            os.path.join(self.path, "new", self.names[0]), os.path.join(self.path, "cur", self.names[0] + ":2,RS")
        )
        os.unlink(os.path.join(self.path, "new", self.names[1]))
        os.unlink(os.path.join(self.path, "new", "1700000004.d.h"))
        mailbox.delete(0)
        mailbox.delete(1)
        mailbox.mark_retrieved(3)
        self.assertEqual([], self.successResultOf(mailbox.update()))
        self.assertEqual(([], [self.names[2]]), self.all_files())

    def test_what_cannot_be_deleted(self) -> None:
        """The numbers of messages that could not be deleted are returned, and the others are deleted."""
        mailbox = self.opened()
        mailbox.delete(0)
        mailbox.delete(2)
        self.patch(os, "unlink", Failing(os.unlink, OSError(errno.EROFS, "Read-only file system")))
        self.assertEqual([0], self.successResultOf(mailbox.update()))
        self.assertEqual((sorted(self.names[:2]), []), self.all_files())

    def test_faults_that_delete_nothing(self) -> None:
        """Flags that cannot be set and directories that cannot be fsynced are logged and fail no deletion."""
        mailbox = self.opened()
        mailbox.delete(0)
        mailbox.mark_retrieved(1)
        self.patch(os, "rename", Failing(os.rename, OSError(errno.EROFS, "Read-only file system")))
        self.patch(os, "fsync", Failing(os.fsync, OSError(errno.EIO, "Input/output error")))
        self.assertEqual([], self.successResultOf(mailbox.update()))
        self.assertEqual([self.names[1]], files_in(self.path, "new"))


class ManyFaultsTests(MailboxTestCase):
    """A disk that refuses everything."""

    def test_few_faults_are_logged(self) -> None:
        """A thousand deletions that fail for one reason are not a thousand lines of the log."""
        for number in range(10):
            put(self.path, "new", f"170000001{number}.x.h")
        mailbox = self.opened()
        for number in range(mailbox.count()):
            mailbox.delete(number)
        logged: list[str] = []
        self.patch(mailbox, "_log", Recorder(logged))

        def refuse(path: bytes) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        self.patch(os, "unlink", refuse)
        self.assertEqual(list(range(13)), self.successResultOf(mailbox.update()))
        self.assertEqual(MAX_FAULTS, len(logged))


class Recorder:
    """Takes what is logged as an error."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def error(self, text: str, **facts: object) -> None:
        """Keep it as text."""
        self._lines.append(text.format(**facts))


class LockTests(MailboxTestCase):
    """One session at a time (RFC 1939 4)."""

    def test_second_session(self) -> None:
        """A second session is refused until the first has closed."""
        first = self.opened()
        second = self.mailboxes.mailbox(JOE)
        self.assertFalse(self.successResultOf(second.open()))
        # Closing what was never opened takes nothing from who has it.
        self.successResultOf(second.close())
        self.assertFalse(self.successResultOf(self.mailboxes.mailbox(JOE).open()))
        self.successResultOf(first.close())
        self.opened()

    def test_another_process(self) -> None:
        """A lock that is held elsewhere is respected, and does not stay with us when it is gone."""
        elsewhere = MailboxLock(self.path)
        self.assertTrue(elsewhere.acquire())
        self.assertFalse(self.successResultOf(self.mailboxes.mailbox(JOE).open()))
        elsewhere.release()
        self.opened()
        self.assertFalse(elsewhere.acquire())

    def test_failure_to_open(self) -> None:
        """A mailbox that could not be listed is not locked afterwards."""
        self.patch(os, "scandir", Failing(os.scandir, OSError(errno.EIO, "Input/output error")))
        self.failureResultOf(self.mailboxes.mailbox(JOE).open(), OSError)
        self.opened()

    def test_failure_to_lock(self) -> None:
        """An error of the lock is no refusal, and leaves the mailbox free."""
        self.patch(fcntl, "flock", Failing(fcntl.flock, OSError(errno.ENOLCK, "No locks available")))
        self.failureResultOf(self.mailboxes.mailbox(JOE).open(), OSError)
        self.opened()

    def test_the_client_leaves_while_the_mailbox_opens(self) -> None:
        """When nobody waits any more for a mailbox that is being opened, it is free as soon as it was opened."""
        self.worker.paused = True
        opening = Deferred.fromCoroutine(self.mailboxes.mailbox(JOE).open())
        opening.cancel()
        self.worker.resume()
        self.failureResultOf(opening, CancelledError)
        self.opened()

    def test_closed_mailbox_is_small(self) -> None:
        """A closed mailbox keeps no list: the session that had it may live on, in a cycle, for as long as it likes."""
        mailbox = self.opened()
        mailbox.delete(0)
        self.successResultOf(mailbox.close())
        self.assertEqual((mailbox.count(), mailbox.total()), (0, (0, 0)))

    def test_close_waits_for_the_update(self) -> None:
        """The lock is given back after an update that is under way, not before."""
        mailbox = self.opened()
        mailbox.delete(0)
        self.worker.paused = True
        updating = Deferred.fromCoroutine(mailbox.update())
        closing = Deferred.fromCoroutine(mailbox.close())
        self.assertFalse(self.successResultOf(self.mailboxes.mailbox(JOE).open()))
        self.assertNoResult(closing)
        self.worker.resume()
        self.assertEqual([], self.successResultOf(updating))
        self.successResultOf(closing)
        self.opened()

    def test_close_after_the_worker(self) -> None:
        """When the server stops and the worker has ended, closing still gives the lock back."""
        mailbox = self.opened()
        self.successResultOf(self.worker.stop())
        self.successResultOf(mailbox.close())
        elsewhere = MailboxLock(self.path)
        self.assertTrue(elsewhere.acquire())
        elsewhere.release()


class TwistedMailboxTests(MailboxTestCase):
    """The same mailbox as ``twisted.mail.pop3.IMailbox``."""

    def test_reading(self) -> None:
        """Sizes, ids as octets, and a file of the message."""
        mailbox = self.opened()
        self.assertEqual([len(ONE) + 3, len(TWO) + 3, 25], mailbox.listMessages())
        self.assertEqual(25, mailbox.listMessages(2))
        self.assertEqual(b"1700000002.b.h", mailbox.getUidl(1))
        with self.successResultOf(mailbox.getMessage(1)) as file:
            self.assertEqual(TWO, file.read())

    def test_deleting(self) -> None:
        """Deleted messages have size 0 and cannot be had; they come back, or sync removes them."""
        mailbox = self.opened()
        mailbox.deleteMessage(0)
        self.assertEqual(0, mailbox.listMessages(0))
        self.assertRaises(ValueError, mailbox.getMessage, 0)
        mailbox.undeleteMessages()
        self.assertEqual(len(ONE) + 3, mailbox.listMessages(0))
        mailbox.deleteMessage(1)
        self.assertIsNone(self.successResultOf(mailbox.sync()))
        self.assertEqual([self.names[0]], files_in(self.path, "new"))

    def test_sync_that_fails(self) -> None:
        """Nobody waits for sync: what goes wrong is logged."""
        mailbox = self.opened()
        self.patch(mailbox, "update", self._broken)
        self.assertIsNone(self.successResultOf(mailbox.sync()))
        self.assertEqual(["broken"], [str(failure.value) for failure in self.flushLoggedErrors(RuntimeError)])

    async def _broken(self) -> list[int]:
        raise RuntimeError("broken")
