"""
A delivery that is killed before any of its steps on the disk, and done again, ends with exactly one whole message.

The process dies by SIGKILL: nothing that Python would still do at its end is done.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.mailbox import maildir
from hermes.mailbox.deposit import Deposit, Depositor
from tests.crash import deliver_child
from tests.crash.deliver_child import BODY
from tests.support.maildirs import files_in, read

NAME = f"1700000000.01GA4GC6N2T0_0.mail.example.org,S={len(BODY)},W={len(BODY) + BODY.count(10)}"


class DeliveryStepsTests(SynchronousTestCase):
    """Each step, for a message in memory and for one in a file, into a mailbox that is there and one that is not."""

    @override
    def setUp(self) -> None:
        self.root = os.path.abspath(self.mktemp())
        os.makedirs(self.root)
        self.source = os.path.join(self.root, "body")
        with open(self.source, "wb") as file:
            file.write(BODY)

    def deliver(self, path: str, source: str, die_at: int) -> list[str]:
        """Deliver in another process that dies before a step; the steps it came to. With 0 it lives."""
        done = subprocess.run(
            [sys.executable, deliver_child.__file__, path, source, NAME, str(die_at), "no"],
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ.get("PATH", "")},
            stdout=subprocess.PIPE,
            check=False,
            text=True,
        )
        self.assertEqual(-signal.SIGKILL if die_at else 0, done.returncode)
        return done.stdout.split("\n")[:-1]

    def check(self, source: str, make: bool, expected: list[str]) -> None:
        """Kill at every step, do it again, and look."""
        whole = os.path.join(self.root, "whole")
        if make:
            maildir.make(whole)
        steps = self.deliver(whole, source, 0)
        self.assertEqual(expected, steps)
        for die_at in range(1, len(steps) + 1):
            path = os.path.join(self.root, f"box-{die_at}")
            if make:
                maildir.make(path)
            self.assertEqual(steps[:die_at], self.deliver(path, source, die_at))
            # What is in new at any time is whole: readers look there while the server is down.
            for name in files_in(path, "new"):
                self.assertEqual(BODY, read(path, "new", name))
            self.assert_one_message_after_repeating(path, source)

    def assert_one_message_after_repeating(self, path: str, source: str) -> None:
        """The next process delivers again, not knowing how far the first had come."""
        data, file = (BODY, None) if source == "-" else (None, source)
        self.assertEqual([None], Depositor().perform([Deposit(path, [NAME], data, file, True)]))
        self.assertEqual([NAME], files_in(path, "new"))
        self.assertEqual(BODY, read(path, "new", NAME))
        self.assertEqual([], files_in(path, "cur"))

    def test_message_in_memory(self) -> None:
        """A small message: written to tmp, fsynced, renamed, and the directory fsynced."""
        self.check("-", True, ["create", "write", "fsync", "rename", "fsync new"])

    def test_message_in_a_file(self) -> None:
        """A large message: linked from the spool, and the directory fsynced."""
        self.check(self.source, True, ["link", "fsync new"])

    def test_message_for_several(self) -> None:
        """Written once and linked: whatever step it dies at, nobody has half of it, and each has it once after the repetition."""
        names = ("ann", "joe", "sue")
        for die_at in range(1, 10):
            paths = [os.path.join(self.root, f"{name}-{die_at}") for name in names]
            for path in paths:
                maildir.make(path)
            steps = self.deliver(",".join(paths), "-", die_at)
            self.assertEqual(die_at, len(steps))
            for path in paths:
                for name in files_in(path, "new"):
                    self.assertEqual(BODY, read(path, "new", name))
            again = [Deposit(path, [NAME], BODY, None, True) for path in paths]
            self.assertEqual([None] * 3, Depositor().perform(again))
            for path in paths:
                self.assertEqual([NAME], files_in(path, "new"))
                self.assertEqual(BODY, read(path, "new", NAME))
        self.assertEqual(["create", "write", "fsync", "link", "link", "rename", *["fsync new"] * 3], steps)

    def test_first_message_of_a_mailbox(self) -> None:
        """A mailbox that does not exist yet is made on the way."""
        self.check("-", False, ["create", "make", "create", "write", "fsync", "rename", "fsync new"])


class ReadMeanwhileTests(SynchronousTestCase):
    """Between the crash and the repetition somebody reads the mailbox."""

    def test_read_between_crash_and_repetition(self) -> None:
        """A message that was delivered, moved to cur by its reader and then is delivered again, is there once."""
        path = self.mktemp()
        self.assertEqual([None], Depositor().perform([Deposit(path, [NAME], BODY, None, False)]))
        os.rename(os.path.join(path, "new", NAME), os.path.join(path, "cur", NAME + ":2,S"))
        self.assertEqual([None], Depositor().perform([Deposit(path, [NAME], BODY, None, True)]))
        self.assertEqual(([], [NAME + ":2,S"]), (files_in(path, "new"), files_in(path, "cur")))
