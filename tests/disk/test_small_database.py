"""Small files of SQLite: private, whole, and put aside when they are damaged."""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.disk import small_database
from hermes.disk.small_database import DAMAGED, SmallDatabase, beside, transaction

SCHEMA = "CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY NOT NULL);"
INSERT = "INSERT INTO words VALUES (?)"


def words(connection: sqlite3.Connection) -> list[str]:
    """All that is in it, in order."""
    return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY word")]


def numbers(connection: sqlite3.Connection) -> list[int]:
    """The same as numbers; ValueError where one is none."""
    return [int(word) for word in words(connection)]


class SmallDatabaseTests(SynchronousTestCase):
    """:class:`SmallDatabase`."""

    def setUp(self) -> None:
        """No file yet."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = str(Path(directory.name) / "words of ours?.sqlite")
        self.database = SmallDatabase(self.path, SCHEMA)
        self.addCleanup(self.database.close)

    def put(self, word: str) -> None:
        """Add a word."""
        with self.database.transaction() as connection:
            connection.execute(INSERT, (word,))

    def damage(self) -> None:
        """Make the file one that is no database, with beginnings of another beside it."""
        self.database.close()
        for ending in ("", "-journal", "-wal", "-shm"):
            Path(self.path + ending).write_bytes(b"no database at all" * 500)

    def test_made_when_needed(self) -> None:
        """There is no file before it is used; then it is for its owner alone, and has what was put into it when opened again."""
        self.assertEqual((self.database.is_open, os.path.exists(self.path)), (False, False))
        self.put("a")
        self.assertEqual((self.database.is_open, stat.S_IMODE(os.stat(self.path).st_mode)), (True, 0o600))
        self.database.close()
        self.assertFalse(self.database.is_open)
        self.assertEqual(self.database.load(words), ["a"])

    def test_all_or_nothing(self) -> None:
        """What fails within a transaction leaves nothing of it, and the next one works."""
        with self.assertRaises(sqlite3.IntegrityError), self.database.transaction() as connection:
            connection.execute(INSERT, ("a",))
            connection.execute(INSERT, ("a",))
        self.put("b")
        self.assertEqual(self.database.load(words), ["b"])

    def test_ended_already(self) -> None:
        """A transaction that SQLite has ended by itself is not ended again: what it failed of is told."""
        with self.assertRaises(ZeroDivisionError), self.database.transaction() as connection:
            connection.execute("ROLLBACK")
            raise ZeroDivisionError

    def test_commit_fails(self) -> None:
        """One that cannot be committed is taken back."""
        connection = self.database.connection()
        connection.executescript(
            "PRAGMA foreign_keys = ON;"
            "CREATE TABLE more (word TEXT REFERENCES words (word) DEFERRABLE INITIALLY DEFERRED);"
        )
        with self.assertRaises(sqlite3.IntegrityError), transaction(connection):
            connection.execute("INSERT INTO more VALUES ('a')")
        self.put("a")

    def test_damaged(self) -> None:
        """A file that is none is put aside and a new one begun; nothing of the old one is left beside it."""
        for use in (self.database.load, self.database.guarded):
            self.damage()
            self.assertEqual(use(words), [])
            self.assertTrue(Path(self.path + DAMAGED).read_bytes().startswith(b"no database"))
            self.put("a")
            self.database.close()
            left = {name.removeprefix(os.path.basename(self.path)) for name in os.listdir(os.path.dirname(self.path))}
            self.assertEqual(left, {"", DAMAGED})

    def test_rows_of_another_kind(self) -> None:
        """So is one with rows that nobody can read."""
        for use in (self.database.load, self.database.guarded):
            self.put("nonsense")
            self.assertEqual(use(numbers), [])

    def test_wrong_tables(self) -> None:
        """At the start so is one with other tables: while it is used that is a fault of ours, and raised."""
        self.database.connection().executescript("DROP TABLE words; CREATE TABLE words (other TEXT);")
        self.assertRaises(sqlite3.OperationalError, self.database.guarded, words)
        self.assertFalse(os.path.exists(self.path + DAMAGED))
        self.assertEqual(self.database.load(words), [])

    def test_held(self) -> None:
        """A file that another process holds for too long is whole: it stays where it is, and is read when it is free."""
        self.patch(small_database, "BUSY_SECONDS", 0.01)
        self.put("a")
        self.database.close()
        with beside(self.path) as other:
            other.execute("BEGIN EXCLUSIVE")
            error = self.assertRaises(OSError, self.database.load, words)
            self.assertEqual(str(error), f"{self.path} cannot be used now: database is locked")
            other.execute("ROLLBACK")
        self.assertFalse(os.path.exists(self.path + DAMAGED))
        self.assertEqual(self.database.load(words), ["a"])

    def test_full(self) -> None:
        """So is one for which there is no room just now."""
        self.put("a")

        def grow(connection: sqlite3.Connection) -> None:
            connection.execute("PRAGMA max_page_count = 3")
            connection.execute(INSERT, ("x" * 100_000,))

        error = self.assertRaises(OSError, self.database.load, grow)
        self.assertIn("full", str(error))
        self.assertFalse(os.path.exists(self.path + DAMAGED))
        self.database.close()
        self.assertEqual(self.database.load(words), ["a"])

    def test_no_directory(self) -> None:
        """Where no file can be made that is told, and nothing is open."""
        database = SmallDatabase(os.path.join(self.path, "x"), SCHEMA)
        self.assertRaises(OSError, database.load, words)
        self.assertFalse(database.is_open)

    def test_beside(self) -> None:
        """Another process reads what is there, and what it reads only it cannot change; it makes no file."""
        with self.assertRaises(sqlite3.OperationalError), beside(self.path) as connection:
            words(connection)
        self.put("a")
        with beside(self.path, "ro") as connection:
            self.assertEqual(words(connection), ["a"])
            self.assertRaises(sqlite3.OperationalError, connection.execute, INSERT, ("b",))
        with beside(self.path) as connection, transaction(connection):
            connection.execute(INSERT, ("b",))
        self.assertEqual(self.database.load(words), ["a", "b"])
