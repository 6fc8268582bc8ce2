"""Where the list of offenders outlives the process."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.offender import Offender
from hermes.disk.small_database import DAMAGED
from hermes.interfaces import IOffenderStore
from hermes.policy import offender_store
from hermes.policy.offender_store import NoStore, OffenderStore, read_offenders
from tests.support.worker import ImmediateWorker

NOW = 1_800_000_000.0

ONE = Offender(ip_network("192.0.2.7"), NOW - 60, NOW + 60, "some.rule", "bécause", times=3)
TWO = Offender(ip_network("2001:db8::/48"), NOW - 30, None, "administrator", by_administrator=True)
OVER = Offender(ip_network("192.0.2.8"), NOW - 90, NOW, "some.rule")


class StoreTestCase(SynchronousTestCase):
    """A file, opened again and again."""

    def setUp(self) -> None:
        """No file yet."""
        directory = self.mktemp()
        os.makedirs(directory)
        self.path = os.path.join(directory, "offenders.sqlite")

    def store(self) -> tuple[OffenderStore, list[Offender]]:
        """The store, open, and what was in it."""
        store = OffenderStore(self.path, ImmediateWorker())
        rows = store.open(NOW)
        self.addCleanup(lambda: Deferred.fromCoroutine(store.close()))
        return store, rows

    def result(self, coroutine: Any) -> Any:
        """What comes of a coroutine."""
        return self.successResultOf(Deferred.fromCoroutine(coroutine))


class StoreTests(StoreTestCase):
    """A server's store."""

    def test_interface(self) -> None:
        """Both are what the list is given."""
        self.assertTrue(verifyObject(IOffenderStore, OffenderStore(self.path, ImmediateWorker())))
        self.assertTrue(verifyObject(IOffenderStore, NoStore()))

    def test_survives(self) -> None:
        """What was put is there after a restart, exactly; what was removed or has ended is not."""
        store, rows = self.store()
        self.assertEqual(rows, [])
        for one in (TWO, OVER, ONE):
            self.successResultOf(store.put(one))
        self.successResultOf(store.put(OVER))
        self.result(store.close())
        store, rows = self.store()
        self.assertEqual(rows, [ONE, TWO])
        self.successResultOf(store.remove(ONE.network))
        self.result(store.close())
        self.assertEqual(self.store()[1], [TWO])

    def test_no_room_at_the_start(self) -> None:
        """Where what is over cannot be removed, because the disk is full, the list holds all the same."""
        store, _ = self.store()
        for one in (ONE, OVER):
            self.successResultOf(store.put(one))
        self.result(store.close())
        self.patch(offender_store, "_SCHEMA", f"{offender_store._SCHEMA}PRAGMA query_only = ON;")
        self.assertIn(ONE, self.store()[1])

    def test_private(self) -> None:
        """The file is for its owner alone."""
        self.store()
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_shared(self) -> None:
        """What one process changes another one learns, once; its own changes are no news."""
        (mine, _), (theirs, _) = self.store(), self.store()
        self.assertIsNone(self.result(mine.changed()))
        self.successResultOf(mine.put(ONE))
        self.assertIsNone(self.result(mine.changed()))
        self.assertEqual(self.result(theirs.changed()), [ONE])
        self.assertIsNone(self.result(theirs.changed()))
        self.successResultOf(theirs.put(TWO))
        self.assertEqual(self.result(mine.changed()), [ONE, TWO])
        self.assertEqual(self.result(mine.read()), [ONE, TWO])

    def test_group(self) -> None:
        """A group of changes is read in the order in which it was made."""
        store, _ = self.store()
        put = (
            "INSERT OR REPLACE INTO offenders VALUES (?, ?, ?, ?, ?, ?, ?)",
            ("192.0.2.7/32", 1.0, None, "", "", 0, 1),
        )
        remove = ("DELETE FROM offenders WHERE network = ?", ("192.0.2.7/32",))
        results = store.perform([put, ("read", None), remove, ("read", None), put])
        self.assertEqual([result if result is None else len(result) for result in results], [None, 1, None, 0, None])
        self.assertEqual(len(self.result(store.read())), 1)

    def test_fault(self) -> None:
        """A group that fails changes nothing, and the next one works."""
        store, _ = self.store()
        with self.assertRaises(sqlite3.Error):
            store.perform([("DELETE FROM offenders WHERE network = ?", ("x",)), ("nonsense", ())])
        self.successResultOf(store.put(ONE))
        self.assertEqual(self.result(store.read()), [ONE])

    def test_rates(self) -> None:
        """Counts of mail are kept and replaced; those that are over, or whose subject is gone, are not."""
        store, _ = self.store()
        day = int(NOW // 86400)
        anna, bob = ("account", "anna", "messages", 86400, day, 2, 3), ("account", "bob", "messages", 86400, day, 0, 1)
        over = ("account", "anna", "recipients", 3600, int(NOW // 3600) - 2, 7, 7)
        self.successResultOf(store.keep_rates([anna, bob, over], [], NOW))
        self.assertEqual(store.saved_rates(), [anna, bob])
        more = (*anna[:-1], 4)
        self.successResultOf(store.keep_rates([more], [("account", "bob")], NOW))
        self.successResultOf(store.keep_rates([], [], NOW))
        self.result(store.close())
        store, _ = self.store()
        self.assertEqual(store.saved_rates(), [more])

    def test_unwritable_rates(self) -> None:
        """What cannot be written of them is logged."""
        store, _ = self.store()
        store.keep_rates([("account", "anna", "messages", 86400, None, 2, 3)], [], NOW)  # type: ignore[list-item]
        self.assertEqual(len(self.flushLoggedErrors(sqlite3.IntegrityError)), 1)

    def test_damaged(self) -> None:
        """A file that is no such list is put aside, and the server starts."""
        with open(self.path, "wb") as file:
            file.write(b"nonsense" * 1000)
        store, rows = self.store()
        self.assertEqual(rows, [])
        self.successResultOf(store.put(ONE))
        self.assertTrue(os.path.exists(self.path + DAMAGED))

    def test_damaged_row(self) -> None:
        """So is one with a network in it that is none."""
        store, _ = self.store()
        self.result(store.close())
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("INSERT INTO offenders VALUES ('anna', 1, NULL, '', '', 0, 1)")
        self.assertEqual(self.store()[1], [])
        self.assertTrue(os.path.exists(self.path + DAMAGED))


class ReaderTests(StoreTestCase):
    """Reading it beside a server, or without one."""

    def test_reads(self) -> None:
        """What is in force is read, whether a server has the file open or not, or there is none."""
        self.assertEqual(read_offenders(self.path, NOW), [])
        store, _ = self.store()
        for one in (ONE, OVER):
            self.successResultOf(store.put(one))
        self.assertEqual(read_offenders(self.path, NOW), [ONE])
        self.result(store.close())
        self.assertEqual(read_offenders(self.path, NOW), [ONE])

    def test_not_yet_made(self) -> None:
        """A file that is not one is an error of SQLite."""
        with open(self.path, "wb"):
            pass
        self.assertRaises(sqlite3.OperationalError, read_offenders, self.path, NOW)
