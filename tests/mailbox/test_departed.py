"""Mailboxes of accounts that have just got another name, or are gone."""

from __future__ import annotations

import fcntl
import os
import time

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.mailbox import maildir
from hermes.mailbox.departed import MARK_SECONDS, arriving, departing, making, new_name_of, tidy
from tests.support.maildirs import mailboxes_in


class DepartedTests(SynchronousTestCase):
    """A directory with one mailbox."""

    def setUp(self) -> None:
        """Joe's."""
        self.directory = self.mktemp()
        maildir.make(self.path("joe"))

    def path(self, name: str) -> str:
        """Where a mailbox is."""
        return os.path.join(self.directory, name)

    def depart(self, name: str, new_name: str = "") -> None:
        """As a command does it."""
        with departing(self.directory, name, new_name):
            target = self.path(new_name or ".erased")
            if os.path.isdir(self.path(name)):
                os.rename(self.path(name), target)

    def age(self, name: str, seconds: float) -> None:
        """Let a mark be so old."""
        at = time.time() - seconds
        os.utime(self.path(f".departed-{name}"), (at, at))

    def test_does_not_come_back(self) -> None:
        """Who is on the way to a mailbox that has just gone cannot make it again; others are not concerned."""
        self.depart("joe")
        self.assertRaises(OSError, maildir.make, self.path("joe"))
        self.assertFalse(os.path.exists(self.path("joe")))
        maildir.make(self.path("ann"))
        self.assertTrue(os.path.isdir(os.path.join(self.path("ann"), "new")))

    def test_for_how_long(self) -> None:
        """A mark counts for an hour, and not for longer, whatever was done to the clock."""
        for seconds, counts in (
            (0, True),
            (MARK_SECONDS - 30, True),
            (MARK_SECONDS + 1, False),
            (30 - MARK_SECONDS, True),
            (-MARK_SECONDS - 30, False),
        ):
            self.depart("joe", "jim")
            self.age("joe", seconds)
            self.assertEqual(new_name_of(self.directory, "joe"), "jim" if counts else "")
            if counts:
                self.assertRaises(OSError, maildir.make, self.path("joe"))
            else:
                with making(self.directory, "joe"):
                    """Nothing keeps anybody from it."""

    def test_while_one_departs(self) -> None:
        """As long as a mailbox is being taken away none is made: it is tried again later, and nobody waits."""
        with departing(self.directory, "joe"):
            self.assertRaises(OSError, maildir.make, self.path("ann"))
            maildir.make(self.path("joe"))
        maildir.make(self.path("ann"))

    def test_waits_for_those_who_make(self) -> None:
        """A mailbox that is being made is there before it is taken away."""
        with making(self.directory, "ann"):
            descriptor = os.open(self.directory, os.O_RDONLY)
            self.addCleanup(os.close, descriptor)
            self.assertRaises(BlockingIOError, fcntl.flock, descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_failed(self) -> None:
        """When nothing comes of it the account stays, and so does its mailbox."""
        with self.assertRaises(ValueError), departing(self.directory, "joe"):
            raise ValueError
        os.rename(self.path("joe"), self.path("away"))
        maildir.make(self.path("joe"))

    def test_killed(self) -> None:
        """When the command is killed in between, nothing comes back until it is said again."""
        with self.assertRaises(KeyboardInterrupt), departing(self.directory, "joe", "jim"):
            os.rename(self.path("joe"), self.path("jim"))
            raise KeyboardInterrupt
        self.assertRaises(OSError, maildir.make, self.path("joe"))
        self.depart("joe", "jim")
        self.assertRaises(OSError, maildir.make, self.path("joe"))

    def test_arriving(self) -> None:
        """A new account of that name has its mailbox at once."""
        self.depart("joe")
        arriving(self.directory, "joe")
        arriving(self.directory, "nobody")
        maildir.make(self.path("joe"))

    def test_new_names(self) -> None:
        """The new name is known, however often it changes; of what was erased none is."""
        self.assertEqual(new_name_of(self.directory, "joe"), "")
        names = [f"name{number}" for number in range(9)]
        for old, new in zip(["joe", *names], names, strict=False):
            arriving(self.directory, new)
            self.depart(old, new)
        self.assertEqual(new_name_of(self.directory, "name7"), "name8")
        self.assertEqual(new_name_of(self.directory, "name0"), "name8")
        self.assertEqual(new_name_of(self.directory, "joe"), "", "nine steps are too many")
        self.depart("name8")
        self.assertEqual(new_name_of(self.directory, "name7"), "")

    def test_in_a_circle(self) -> None:
        """Marks that lead to one another, which no command leaves, lead nowhere."""
        self.depart("joe", "jim")
        self.depart("jim", "joe")
        self.assertEqual(new_name_of(self.directory, "joe"), "")

    def test_tidy(self) -> None:
        """Marks that count no more go with the next departure."""
        self.depart("joe")
        self.age("joe", MARK_SECONDS + 1)
        self.depart("ann")
        marks = [name for name in os.listdir(self.directory) if name.startswith(".departed-")]
        self.assertEqual(marks, [".departed-ann"])

    def test_forgotten_by_the_server(self) -> None:
        """A server removes them, too: mailboxes stay."""
        self.depart("ann")
        mailboxes = mailboxes_in(self.directory)
        for age, left in ((0.0, [".departed-ann", "joe"]), (MARK_SECONDS + 1, ["joe"])):
            self.age("ann", age)
            self.successResultOf(Deferred.fromCoroutine(mailboxes.forget_departed()))
            self.assertEqual(sorted(os.listdir(self.directory)), left)

    def test_no_directory(self) -> None:
        """Where nobody has had mail yet nothing is made."""
        missing = self.path("missing")
        with departing(missing, "joe"):
            self.assertFalse(os.path.exists(missing))
        tidy(missing)
        arriving(missing, "joe")
        self.assertEqual(new_name_of(missing, "joe"), "")
