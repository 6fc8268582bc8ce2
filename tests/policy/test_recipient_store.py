"""The memory of recipients: what counts, what is remembered, and for how long."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import tempfile
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.disk.small_database import DAMAGED
from hermes.policy import recipient_store
from hermes.policy.recipient_store import (
    DAY_SECONDS,
    REMEMBER_DAYS,
    Judgment,
    RecipientStore,
    Standing,
    clear,
    standings,
)
from tests.support.worker import ImmediateWorker

ALLOWED, REFUSED, FIRST = Judgment(True), Judgment(False), Judgment(False, first=True)

#: The beginning of a day, UTC.
DAY = 20_000.0 * DAY_SECONDS


class StoreTests(SynchronousTestCase):
    """:class:`RecipientStore` with a file."""

    def setUp(self) -> None:
        """An empty directory, early in a day."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = str(Path(directory.name) / "recipients.sqlite")
        self.now = DAY
        self.open()

    def open(self) -> None:
        """Another store of the same file."""
        self.store = store = RecipientStore(self.path, ImmediateWorker())
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(store.close())))

    def judge(self, recipient: str, account: str = "joe", limit: int = 2) -> Judgment:
        """Judge a recipient now."""
        waiting = self.store.judge(account, recipient.encode(), limit, self.now)
        return self.successResultOf(Deferred.fromCoroutine(waiting))

    def test_limit(self) -> None:
        """So many new ones are allowed and not one more; the first refusal is told apart; known ones cost nothing."""
        self.assertEqual([self.judge(each) for each in "abcd"], [ALLOWED, ALLOWED, FIRST, REFUSED])
        self.assertEqual([self.judge(each) for each in "abab"], [ALLOWED] * 4)
        self.assertEqual(self.judge("c", "ann"), ALLOWED)
        self.assertEqual(standings(self.path, self.now), [Standing("ann", 1, 0, 1), Standing("joe", 2, 2, 2)])

    def test_next_day(self) -> None:
        """A new day begins at midnight, UTC, and then what was refused is allowed."""
        for each in "abc":
            self.judge(each)
        self.now = DAY + DAY_SECONDS - 1
        self.assertEqual(self.judge("c"), REFUSED)
        self.now += 1
        self.assertEqual(standings(self.path, self.now), [Standing("joe", 0, 0, 2)])
        self.assertEqual([self.judge(each) for each in "cdef"], [ALLOWED, ALLOWED, FIRST, REFUSED])

    def test_forgotten(self) -> None:
        """Who was not written to for ninety days is new; who was, is not."""
        self.judge("a")
        self.judge("b")
        self.now += (REMEMBER_DAYS - 1) * DAY_SECONDS
        self.assertEqual(self.judge("a", limit=0), ALLOWED)
        self.now += DAY_SECONDS
        self.assertEqual(self.judge("b", limit=0), FIRST)
        self.assertEqual(self.judge("a", limit=0), ALLOWED)
        self.assertEqual(standings(self.path, self.now), [Standing("joe", 0, 1, 1)])

    def test_a_clock_that_goes_back(self) -> None:
        """It costs nothing but a day of memory."""
        self.judge("a")
        self.now -= DAY_SECONDS
        self.assertEqual([self.judge(each) for each in "abcd"], [ALLOWED, ALLOWED, ALLOWED, FIRST])

    def test_bounded(self) -> None:
        """Of very many recipients those are forgotten to whom nothing was written for longest, of that account alone."""
        self.patch(recipient_store, "MAX_REMEMBERED", 3)
        self.judge("x", "ann")
        for number, each in enumerate("abcd"):
            self.now = DAY + number * DAY_SECONDS
            self.judge(each)
            self.judge("b" if each > "b" else each)
        self.assertEqual(standings(self.path, self.now), [Standing("ann", 0, 0, 1), Standing("joe", 1, 0, 3)])
        self.assertEqual([self.judge(each, limit=0).allowed for each in "abcd"], [False, True, True, True])

    def test_kept(self) -> None:
        """Count and memory outlive the process."""
        for each in "abc":
            self.judge(each)
        self.successResultOf(Deferred.fromCoroutine(self.store.close()))
        self.open()
        self.assertEqual([self.judge(each) for each in "abc"], [ALLOWED, ALLOWED, REFUSED])
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_not_opened_for_nothing(self) -> None:
        """Where nothing is counted there is no file, nothing to show and nothing to clear."""
        self.successResultOf(Deferred.fromCoroutine(self.store.close()))
        self.assertEqual((os.path.exists(self.path), standings(self.path, DAY)), (False, []))
        self.assertFalse(clear(self.path, "joe"))

    def test_cleared(self) -> None:
        """Beside the running server the count can begin again, or everything be forgotten."""
        for each in "abc":
            self.judge(each)
        self.assertTrue(clear(self.path, "joe"))
        self.assertEqual(standings(self.path, self.now), [Standing("joe", 0, 0, 2)])
        self.assertEqual([self.judge(each) for each in "abcde"], [ALLOWED, ALLOWED, ALLOWED, ALLOWED, FIRST])
        self.assertTrue(clear(self.path, "joe", forget=True))
        self.assertEqual(standings(self.path, self.now), [])
        self.assertFalse(clear(self.path, "joe", forget=True))
        self.assertFalse(clear(self.path, "ann"))

    def test_damaged(self) -> None:
        """A file that is none, or is torn while it is used, is put aside, and whoever asked is answered."""
        Path(self.path).write_bytes(b"no database at all\n" * 500)
        self.assertEqual(self.judge("a"), ALLOWED)
        self.assertTrue(Path(self.path + DAMAGED).read_bytes().startswith(b"no database"))
        self.successResultOf(Deferred.fromCoroutine(self.store.close()))
        octets = bytearray(Path(self.path).read_bytes())
        octets[100:] = b"\xff" * (len(octets) - 100)
        Path(self.path).write_bytes(octets)
        self.open()
        self.assertEqual([self.judge(each) for each in "abc"], [ALLOWED, ALLOWED, FIRST])
        self.assertEqual(standings(self.path, self.now), [Standing("joe", 2, 1, 2)])

    def test_fault(self) -> None:
        """When the file cannot be written the transaction is taken back, and whoever asked hears of it."""
        self.judge("a")
        with contextlib.closing(sqlite3.connect(self.path)) as other:
            other.execute("DROP TABLE days")
            other.commit()
        waiting = self.store.judge("joe", b"b", 2, self.now)
        self.failureResultOf(Deferred.fromCoroutine(waiting), sqlite3.OperationalError)
        self.assertEqual(self.judge("a"), ALLOWED)
