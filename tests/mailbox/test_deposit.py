"""Groups of messages are put into maildirs, whole or not at all."""

from __future__ import annotations

import errno
import os
import pickle
import stat
from functools import partial

import attrs
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.mailbox.deposit import FILES_AT_ONCE, Deposit, Depositor
from tests.support.maildirs import Failing, files_in, put, read

BODY = b"Return-Path: <ann@example.com>\nSubject: x\n\nbody\n"


def another_body() -> bytes:
    """The body of another message, which has the same octets."""
    return bytes(bytearray(BODY))


def no_link(number: int, *_: object, **__: object) -> None:
    """In the place of a call that makes links, where there can be none."""
    raise OSError(number, os.strerror(number))


class DepositTests(SynchronousTestCase):
    """What :meth:`Depositor.perform` leaves in the maildirs and what it answers."""

    @override
    def setUp(self) -> None:
        self.root = self.mktemp()
        self.joe = os.path.join(self.root, "joe")
        self.steps: list[str] = []
        self.depositor = Depositor(self.steps.append)

    def deposit(self, *names: str, repeated: bool = False, source: str | None = None, box: str = "joe") -> Deposit:
        """A deposit of a body, which is that of no other deposit, or of a file."""
        data = another_body() if source is None else None
        return Deposit(os.path.join(self.root, box), names, data, source, repeated)

    def source(self, octets: bytes = BODY) -> str:
        """A file as the spool keeps it."""
        os.makedirs(self.root, exist_ok=True)
        path = os.path.join(self.root, "body")
        with open(path, "wb") as file:
            file.write(octets)
        return path

    def test_into_a_mailbox_that_does_not_exist(self) -> None:
        """The maildir is made, and the message is in new with mode 0600 and every octet; nothing is left in tmp."""
        self.assertEqual([None], self.depositor.perform([self.deposit("1.a.h")]))
        self.assertEqual(["1.a.h"], files_in(self.joe, "new"))
        self.assertEqual(BODY, read(self.joe, "new", "1.a.h"))
        self.assertEqual([], files_in(self.joe, "tmp"))
        self.assertEqual(0o600, stat.S_IMODE(os.stat(os.path.join(self.joe, "new", "1.a.h")).st_mode))

    def test_steps_of_a_group(self) -> None:
        """Every file is fsynced before any is renamed, and each directory fsynced once, after all renames into it."""
        put(self.joe, "cur", "0.x.h")
        put(os.path.join(self.root, "ann"), "cur", "0.x.h")
        group = [self.deposit("1.a.h"), self.deposit("2.a.h"), self.deposit("3.a.h", box="ann")]
        self.assertEqual([None] * 3, self.depositor.perform(group))
        writes = ["create", "write"] * 3
        self.assertEqual([*writes, *["fsync"] * 3, *["rename"] * 3, "fsync new", "fsync new"], self.steps)

    def test_descriptors_are_bounded(self) -> None:
        """However large a group is, and however many recipients a message has, so many files are open and no more."""
        put(self.joe, "cur", "0.x.h")
        count = 4 * FILES_AT_ONCE + 1
        many = [f"{number}.b.h" for number in range(2 * FILES_AT_ONCE)]
        single = [self.deposit(f"{number}.a.h") for number in range(2 * FILES_AT_ONCE + 1)]
        self.patch(os, "link", partial(no_link, errno.EMLINK))
        self.depositor.perform([*single, self.deposit(*many)])
        self.assertEqual(count, len(files_in(self.joe, "new")))
        since, most = 0, 0
        for step in self.steps:
            since += (step == "create") - (step == "fsync")
            most = max(most, since)
        self.assertEqual(FILES_AT_ONCE, most)

    def test_a_name_left_in_tmp(self) -> None:
        """What an attempt that died left under the same name in tmp is replaced."""
        put(self.joe, "tmp", "1.a.h", b"half a mess")
        self.assertEqual([None], self.depositor.perform([self.deposit("1.a.h")]))
        self.assertEqual(BODY, read(self.joe, "new", "1.a.h"))
        self.assertEqual([], files_in(self.joe, "tmp"))

    def test_a_link_in_tmp_is_not_followed(self) -> None:
        """A symbolic link under the name in tmp is removed; what it points to stays as it was."""
        victim = put(self.joe, "cur", "victim", b"precious")
        os.symlink(victim, os.path.join(os.fsencode(self.joe), b"tmp", b"1.a.h"))
        self.assertEqual([None], self.depositor.perform([self.deposit("1.a.h")]))
        self.assertEqual(b"precious", read(self.joe, "cur", "victim"))
        self.assertEqual(BODY, read(self.joe, "new", "1.a.h"))

    def test_repeated_and_still_new(self) -> None:
        """A message that an earlier attempt has put into new is not written again, but its directory is fsynced."""
        put(self.joe, "new", "1.a.h,S=9,W=9", b"delivered")
        self.assertEqual([None], self.depositor.perform([self.deposit("1.a.h,S=9,W=9", repeated=True)]))
        self.assertEqual(b"delivered", read(self.joe, "new", "1.a.h,S=9,W=9"))
        self.assertEqual(["fsync new"], self.steps)

    def test_repeated_and_already_read(self) -> None:
        """A message that was read since, and so has flags and stands in cur, is not delivered a second time."""
        put(self.joe, "cur", "1.a.h,S=9,W=9:2,RS", b"delivered")
        self.assertEqual([None], self.depositor.perform([self.deposit("1.a.h,S=9,W=9", repeated=True)]))
        self.assertEqual([], files_in(self.joe, "new"))

    def test_repeated_and_not_there(self) -> None:
        """A repeated delivery that never came to its end is done, also beside one whose name begins alike."""
        put(self.joe, "cur", "1.a.host,S=9,W=9:2,RS")
        self.assertEqual([None], self.depositor.perform([self.deposit("1.a.h,S=9,W=9", repeated=True)]))
        self.assertEqual(["1.a.h,S=9,W=9"], files_in(self.joe, "new"))

    def test_delivered_again_over_itself(self) -> None:
        """A second delivery under the same name leaves one message."""
        for _ in range(2):
            self.depositor.perform([self.deposit("1.a.h")])
        self.assertEqual(["1.a.h"], files_in(self.joe, "new"))

    def test_a_file_is_linked(self) -> None:
        """A body that is a file appears in new without being copied, for every recipient, and may be there already."""
        source = self.source()
        for _ in range(2):
            self.assertEqual([None], self.depositor.perform([self.deposit("1.a.h", "2.a.h", source=source)]))
        inodes = {os.stat(os.path.join(self.joe, "new", name)).st_ino for name in ("1.a.h", "2.a.h")}
        self.assertEqual({os.stat(source).st_ino}, inodes)
        self.assertNotIn("fsync", self.steps)

    def test_a_file_that_cannot_be_linked_is_copied(self) -> None:
        """Where the file system cannot link, the octets are copied in pieces, and are all there."""
        put(self.joe, "cur", "0.x.h")
        octets = bytes(range(256)) * 4096 + b"and a little more than one piece"
        for number in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            self.patch(os, "link", Failing(os.link, OSError(number, "no link")))
            name = f"{number}.a.h"
            self.assertEqual([None], self.depositor.perform([self.deposit(name, source=self.source(octets))]))
            self.assertEqual(octets, read(self.joe, "new", name))
            self.assertEqual(1, os.stat(os.path.join(self.joe, "new", name)).st_nlink)

    def test_a_file_that_is_gone(self) -> None:
        """A body that is not there is an error for that message only."""
        group = [self.deposit("1.a.h", source=os.path.join(self.root, "gone")), self.deposit("2.a.h")]
        first, second = self.depositor.perform(group)
        self.assertIsInstance(first, FileNotFoundError)
        self.assertIsNone(second)
        self.assertEqual(["2.a.h"], files_in(self.joe, "new"))


class ManyRecipientsTests(SynchronousTestCase):
    """One message for many: it is written once, and linked."""

    @override
    def setUp(self) -> None:
        self.root = self.mktemp()
        self.names = ["ann", "joe", "sue"]
        self.paths = [os.path.join(self.root, name) for name in self.names]
        for path in self.paths[:2]:
            put(path, "cur", "0.x.h")
        self.steps: list[str] = []
        # What comes to the process is one object again.
        self.group: list[Deposit] = pickle.loads(
            pickle.dumps([Deposit(path, ["1.a.h"], BODY, None, False) for path in self.paths])
        )

    def perform(self) -> list[int | None]:
        """Deposit the group; the number of the error of each."""
        return [error and error.errno for error in Depositor(self.steps.append).perform(self.group)]

    def inodes(self) -> list[int]:
        """Of the message in each mailbox, which is whole."""
        for path in self.paths:
            self.assertEqual(["1.a.h"], files_in(path, "new"))
            self.assertEqual([], files_in(path, "tmp"))
            self.assertEqual(BODY, read(path, "new", "1.a.h"))
        return [os.stat(os.path.join(path, "new", "1.a.h")).st_ino for path in self.paths]

    def test_linked(self) -> None:
        """It is durable before the first link, and gets its own name last; a mailbox that is missing is made on the way."""
        self.assertEqual([None] * 3, self.perform())
        self.assertEqual(1, len(set(self.inodes())))
        links = ["link", "link", "make", "link"]
        self.assertEqual(["create", "write", "fsync", *links, "rename", *["fsync new"] * 3], self.steps)

    def test_delivered_again(self) -> None:
        """Done again by a server that does not know of it, it stays as it is; one that is missing is written anew."""
        self.perform()
        os.unlink(os.path.join(self.paths[0], "new", "1.a.h"))
        self.group = [attrs.evolve(deposit, repeated=True) for deposit in self.group]
        self.assertEqual([None] * 3, self.perform())
        first, *others = self.inodes()
        self.assertNotIn(first, others)

    def test_cannot_be_linked(self) -> None:
        """On another file system, or when there are too many links, each has a file of its own."""
        for number in (errno.EXDEV, errno.EMLINK):
            self.patch(os, "link", partial(no_link, number))
            self.assertEqual([None] * 3, self.perform())
            self.assertEqual(3, len(set(self.inodes())))

    def test_time_of_its_own(self) -> None:
        """What is given a time is not linked: a file has one, whatever names it has."""
        self.group = [attrs.evolve(deposit, modified_at=float(number)) for number, deposit in enumerate(self.group)]
        self.assertEqual([None] * 3, self.perform())
        self.assertEqual(3, len(set(self.inodes())))

    def test_one_mailbox_fails(self) -> None:
        """The others have it."""
        for at, results in ((1, [None, errno.ENOSPC, None]), (2, [None, None, errno.ENOSPC])):
            self.patch(os, "link", Failing(os.link, OSError(errno.ENOSPC, "full"), at))
            self.paths = [os.path.join(self.root, f"{name}{at}") for name in self.names]
            for path in self.paths:
                put(path, "cur", "0.x.h")
            self.group = [attrs.evolve(one, path=path) for one, path in zip(self.group, self.paths, strict=True)]
            self.assertEqual(results, self.perform())
            for path, result in zip(self.paths, results, strict=True):
                self.assertEqual([] if result else ["1.a.h"], files_in(path, "new"))

    def test_cannot_be_written(self) -> None:
        """When the first one's file cannot be written the next one's is; when it cannot be made durable nobody has it."""
        self.patch(os, "write", Failing(os.write, OSError(errno.EDQUOT, "quota"), 1))
        self.assertEqual([errno.EDQUOT, None, None], self.perform())
        self.patch(os, "fsync", Failing(os.fsync, OSError(errno.EIO, "ill"), 1))
        self.group = [attrs.evolve(deposit, names=["2.a.h"]) for deposit in self.group]
        self.assertEqual([errno.EIO] * 3, self.perform())
        for path in self.paths:
            self.assertNotIn("2.a.h", files_in(path, "new"))
            self.assertEqual([], files_in(path, "tmp"))

    def test_directories_at_once(self) -> None:
        """Names that could not be made durable are not reported; those beside them are."""
        original = os.fsync

        def fsync(descriptor: int) -> None:
            if os.readlink(f"/proc/self/fd/{descriptor}").endswith("joe/new"):
                raise OSError(errno.EIO, "ill")
            original(descriptor)

        self.patch(os, "fsync", fsync)
        self.assertEqual([None, errno.EIO, None], self.perform())


class FaultTests(SynchronousTestCase):
    """A disk that fails harms the message that it failed for, and leaves nothing half done."""

    @override
    def setUp(self) -> None:
        self.joe = os.path.join(self.mktemp(), "joe")
        put(self.joe, "cur", "0.x.h")
        self.group = [Deposit(self.joe, [f"{number}.a.h"], another_body(), None, False) for number in (1, 2, 3)]

    def perform(self, function: str, number: int, at: int) -> list[OSError | None]:
        """Deposit the group while call ``at`` of a function fails."""
        self.patch(os, function, Failing(getattr(os, function), OSError(number, os.strerror(number)), at))
        return Depositor().perform(self.group)

    def assert_second_failed(self, results: list[OSError | None], number: int) -> None:
        """The second of the three is not there, the others are, and tmp is empty."""
        self.assertEqual([None, number, None], [error and error.errno for error in results])
        self.assertEqual(["1.a.h", "3.a.h"], files_in(self.joe, "new"))
        self.assertEqual([], files_in(self.joe, "tmp"))

    def test_no_room_to_write(self) -> None:
        """A write that fails takes back the file."""
        self.assert_second_failed(self.perform("write", errno.ENOSPC, 2), errno.ENOSPC)

    def test_fsync_fails(self) -> None:
        """A file that could not be made durable does not come into new."""
        self.assert_second_failed(self.perform("fsync", errno.EIO, 2), errno.EIO)

    def test_rename_fails(self) -> None:
        """A file that could not be renamed is removed."""
        self.assert_second_failed(self.perform("rename", errno.EDQUOT, 2), errno.EDQUOT)

    def test_directory_fsync_fails(self) -> None:
        """Names that could not be made durable are not reported as delivered."""
        results = self.perform("fsync", errno.EIO, 4)
        self.assertEqual([errno.EIO] * 3, [error and error.errno for error in results])

    def test_one_of_two_recipients_fails(self) -> None:
        """When one name of a message fails, the message has failed; the other name is found at the next attempt."""
        self.group = [Deposit(self.joe, ["1.a.h", "2.a.h"], BODY, None, False)]
        results = self.perform("link", errno.ENOSPC, 1)
        self.assertEqual([errno.ENOSPC], [error and error.errno for error in results])
        again = Depositor().perform([Deposit(self.joe, ["1.a.h", "2.a.h"], BODY, None, True)])
        self.assertEqual([None], again)
        self.assertEqual(["1.a.h", "2.a.h"], files_in(self.joe, "new"))

    def test_a_disk_that_takes_a_part(self) -> None:
        """A write that took fewer octets than it was given is continued to the end."""
        write = os.write
        self.patch(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:7])))
        self.assertEqual([None] * 3, Depositor().perform(self.group))
        self.assertEqual(BODY, read(self.joe, "new", "1.a.h"))

    def test_a_file_system_without_advice(self) -> None:
        """Where the disk takes no advice to begin writing, messages are delivered all the same."""
        self.assertEqual([None] * 3, self.perform("posix_fadvise", errno.EINVAL, 1))

    def test_tmp_cannot_be_cleared(self) -> None:
        """The first error is what is reported, also when the file cannot be removed after it."""
        self.patch(os, "unlink", Failing(os.unlink, OSError(errno.EROFS, "read-only")))
        results = self.perform("write", errno.EIO, 1)
        self.assertEqual(errno.EIO, results[0] and results[0].errno)
