"""A delivery that is killed before any of its steps on the disk, and done again, ends with exactly one whole message."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.mailbox.deposit import Deposit, Depositor
from tests.crash import deliver_child
from tests.crash.children import steps_of
from tests.crash.deliver_child import BODY, NAME, deposit
from tests.support.maildirs import files_in, read


class DeliveryStepsTests(SynchronousTestCase):
    """Each step, for a message in memory and for one in a file, into a mailbox that is there and one that is not."""

    @override
    def setUp(self) -> None:
        self.root = os.path.abspath(self.mktemp())
        os.makedirs(self.root)
        self.source = os.path.join(self.root, "body")
        with open(self.source, "wb") as file:
            file.write(BODY)

    def check(self, source: str, make: bool, expected: list[str], names: tuple[str, ...] = ("joe",)) -> None:
        """Kill at every step, do it again, and look."""
        base = os.path.join(self.root, "delivery")
        steps = steps_of(deliver_child, base, source, "yes" if make else "no", *names)
        self.assertEqual(expected, steps)
        for died_at in range(1, len(steps) + 2):
            paths = [os.path.join(f"{base}-{died_at}", name) for name in names]
            # What is in new at any time is whole: readers look there while the server is down.
            for path in paths:
                for name in files_in(path, "new"):
                    self.assertEqual(BODY, read(path, "new", name))
            # The next process delivers again, not knowing how far the first had come.
            again = [deposit(path, source, repeated=True) for path in paths]
            self.assertEqual([None] * len(names), Depositor().perform(again))
            for path in paths:
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
        expected = ["create", "write", "fsync", "link", "link", "rename", *["fsync new"] * 3]
        self.check("-", True, expected, ("ann", "joe", "sue"))

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
