"""Opening a spool: whose it is, what state it is in, and what is said when it cannot be opened."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.event import Event
from hermes.spool import schema
from hermes.spool.database import DATABASE, LOCK, connect
from hermes.spool.errors import SpoolError
from hermes.spool.reader import SpoolReader
from hermes.spool.schema import MIGRATIONS, migrate, version
from hermes.spool.store import Spool
from tests.support.real_spool import START, SpoolTestCase, begun, envelope
from tests.support.worker import ImmediateWorker


def ignore(event: Event) -> None:
    """Observe nothing."""


class OpeningTests(SpoolTestCase):
    """open()."""

    def refused(self, directory: str | None = None) -> str:
        """What is said when the spool cannot be opened."""
        workers = ImmediateWorker(), ImmediateWorker()
        spool = Spool(directory or self.directory, *workers, now=lambda: START, observer=ignore)
        error = self.failureResultOf(begun(spool.open()), SpoolError).value
        self.assertTrue(all(worker.stopped for worker in workers))
        self.assertIn(directory or self.directory, str(error))
        return str(error)

    def test_private(self) -> None:
        """Directory and files are for the server's user alone, whatever the umask."""
        self.accept(envelope("a@example.com"), bytes(200_000))
        self.assertEqual(os.stat(self.directory).st_mode & 0o777, 0o700)
        for root, directories, files in os.walk(self.directory):
            for name in directories:
                self.assertEqual(os.stat(os.path.join(root, name)).st_mode & 0o077, 0, name)
            for name in files:
                self.assertEqual(os.stat(os.path.join(root, name)).st_mode & 0o077, 0, name)

    def test_in_use(self) -> None:
        """A second server on the same directory is refused and told who has it; the first one goes on."""
        self.assertIn(f"in use by another process ({os.getpid()})", self.refused())
        self.accept(envelope("a@example.com"))

    def test_lock_left_behind(self) -> None:
        """A lock file without a process behind it is no lock."""
        self.done(self.spool.close())
        Path(self.directory, LOCK).write_text("999999\n")
        self.spool = self.opened()

    def test_durable(self) -> None:
        """What is committed is synced, and written in a way that lets readers read meanwhile."""
        connection = self.spool._committer._connection
        self.assertEqual(connection.execute("PRAGMA synchronous").fetchone(), (2,))
        self.assertEqual(connection.execute("PRAGMA journal_mode").fetchone(), ("wal",))

    def test_closed_cleanly(self) -> None:
        """After a clean stop everything is in the database itself."""
        self.accept(envelope("a@example.com"))
        self.done(self.spool.close())
        self.assertEqual(sorted(os.listdir(self.directory)), ["bodies", LOCK, DATABASE])

    def test_corrupt(self) -> None:
        """A file that is no database is named, and left as it is."""
        directory = self.mktemp()
        os.mkdir(directory)
        Path(directory, DATABASE).write_bytes(b"From MAILER-DAEMON\n" * 100)
        self.assertIn("not a database", self.refused(directory))
        self.assertEqual(Path(directory, DATABASE).read_bytes(), b"From MAILER-DAEMON\n" * 100)

    def test_somebody_elses(self) -> None:
        """A database of another program is not touched."""
        directory = self.mktemp()
        os.mkdir(directory)
        connection = sqlite3.connect(os.path.join(directory, DATABASE))
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.close()
        self.assertIn("not made by Hermes", self.refused(directory))

    def test_newer(self) -> None:
        """A spool that a newer Hermes wrote is refused, not guessed at."""
        self.spool._committer._connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        self.done(self.spool.close())
        self.assertIn("newer Hermes", self.refused())
        with self.assertRaisesRegex(SpoolError, "newer Hermes"):
            SpoolReader(self.directory)
        self.restore()

    def restore(self) -> None:
        """Make the spool one of today again."""
        connection = sqlite3.connect(os.path.join(self.directory, DATABASE))
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.close()

    def test_no_directory(self) -> None:
        """A directory that cannot be made is named."""
        file = self.mktemp()
        Path(file).write_bytes(b"")
        self.assertIn("Not a directory", self.refused(os.path.join(file, "spool")))

    def test_permission(self) -> None:
        """What the system says of a file is said with its name, and without the number of the error."""
        forbidden = PermissionError(13, "Permission denied", "spool.lock")
        with patch("hermes.spool.store.DirectoryLock", side_effect=forbidden):
            self.assertTrue(self.refused(self.mktemp()).endswith(": spool.lock: Permission denied"))

    def test_full_disk(self) -> None:
        """A disk without room is said to be full, also where SQLite speaks of an input/output error."""
        memory = sqlite3.OperationalError("disk I/O error")
        memory.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
        for error in (
            memory,
            OSError(28, "No space left on device"),
            OSError(122, "Disk quota exceeded", "spool.lock"),
        ):
            with patch("hermes.spool.committer.connect", side_effect=error):
                self.assertTrue(self.refused(self.mktemp()).endswith(": its disk is full: make room there"))

    def test_unexpected(self) -> None:
        """A fault that nobody foresaw is not hidden, and releases the directory all the same."""
        self.done(self.spool.close())
        with patch.object(schema, "APPLICATION_ID", "x"), patch("hermes.spool.committer.migrate", side_effect=KeyError):
            spool = Spool(self.directory, ImmediateWorker(), ImmediateWorker(), now=lambda: START, observer=ignore)
            self.failureResultOf(begun(spool.open()), KeyError)
        self.spool = self.opened()

    def test_no_shared_memory(self) -> None:
        """Where the write-ahead log cannot work it is said, instead of being less durable than promised."""
        with (
            self.assertRaisesRegex(SpoolError, "write-ahead log"),
            patch("hermes.spool.database.sqlite3.connect", lambda *_, **__: sqlite3.Connection(":memory:")),
        ):
            connect(self.directory)


class MigrationTests(SynchronousTestCase):
    """Spools of every age become one of today."""

    def setUp(self) -> None:
        """Open a database."""
        directory = self.mktemp()
        os.mkdir(directory)
        self.connection = connect(directory)
        self.addCleanup(self.connection.close)

    def schema(self) -> list[str]:
        """What the database is made of."""
        rows = self.connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        return [sql for (sql,) in rows]

    def test_new(self) -> None:
        """A new database gets all of it, and a second time nothing more."""
        self.assertEqual(version(self.connection), 0)
        migrate(self.connection)
        made = self.schema()
        self.assertEqual(version(self.connection), len(MIGRATIONS))
        migrate(self.connection)
        self.assertEqual(self.schema(), made)

    def test_older(self) -> None:
        """Only the steps that are missing are taken, in their order."""
        taken: list[str] = []

        def add_color(connection: sqlite3.Connection) -> None:
            taken.append("color")
            connection.execute("ALTER TABLE messages ADD COLUMN color TEXT NOT NULL DEFAULT 'none'")

        def paint(connection: sqlite3.Connection) -> None:
            taken.append("paint")
            connection.execute("UPDATE messages SET color = 'blue'")

        migrate(self.connection)
        self.connection.execute(
            "INSERT INTO messages VALUES ('01K0PK33VJSH', 1, '', '7BIT', 0, NULL, NULL, 'local', '', '', NULL, NULL, '', 1,"
            " 1, 0, 0, '')"
        )
        migrate(self.connection, (*MIGRATIONS, add_color))
        self.assertEqual(taken, ["color"])
        migrate(self.connection, (*MIGRATIONS, add_color, paint))
        self.assertEqual(taken, ["color", "paint"])
        self.assertEqual(
            self.connection.execute("SELECT queue_id, color FROM messages").fetchall(), [("01K0PK33VJSH", "blue")]
        )
        with self.assertRaises(SpoolError):
            migrate(self.connection)

    def test_interrupted(self) -> None:
        """A step that fails leaves everything as the last good step made it."""

        def half(connection: sqlite3.Connection) -> None:
            connection.execute("DROP TABLE bodies")
            connection.execute("ALTER TABLE nothing ADD COLUMN x")

        migrate(self.connection)
        made = self.schema()
        with self.assertRaises(sqlite3.OperationalError):
            migrate(self.connection, (*MIGRATIONS, half))
        self.assertEqual(self.schema(), made)
        self.assertEqual(version(self.connection), len(MIGRATIONS))
        self.assertFalse(self.connection.in_transaction)
