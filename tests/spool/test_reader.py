"""What another process sees of the spool, while the server runs, after it has stopped, and after it was killed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from unittest.mock import patch

from hermes.core.message import Finished
from hermes.spool import reader
from hermes.spool.database import DATABASE
from hermes.spool.errors import SpoolError
from hermes.spool.reader import SpoolReader
from hermes.spool.schema import MIGRATIONS
from tests.support.real_spool import SpoolTestCase, begun, envelope


class ReaderTests(SpoolTestCase):
    """Queue and trace."""

    def look(self, directory: str | None = None) -> SpoolReader:
        """A reader."""
        looking = SpoolReader(directory or self.directory)
        self.addCleanup(looking.close)
        return looking

    def test_never_used(self) -> None:
        """A spool that was never used is empty and sound; looking does not make one."""
        for directory in (self.mktemp(), os.path.dirname(os.path.abspath(self.directory))):
            with SpoolReader(directory) as looking:
                self.assertEqual(looking.queue(), [])
                self.assertEqual(looking.queue("000000000000"), [])
                self.assertEqual(looking.count(), 0)
                self.assertEqual(looking.track("a@example.com"), [])
                self.assertEqual(looking.integrity(), [])
            self.assertFalse(os.path.exists(os.path.join(directory, DATABASE)))

    def test_beside_the_server(self) -> None:
        """What has been committed is seen at once, and neither side waits for the other."""
        looking = self.look()
        self.assertEqual(looking.queue(), [])
        first = self.accept(envelope("a@example.com"))
        second = self.accept(envelope("b@example.com", "c@example.com"))
        expected = self.done(self.spool.select(None))
        self.assertEqual(looking.queue(), expected)
        self.assertEqual(looking.queue(second.queue_id), expected[1:])
        self.assertEqual(looking.queue("000000000000"), [])
        self.assertEqual(looking.count(), 2)
        self.assertEqual(looking.track("a@example.com"), self.done(self.spool.track(first.queue_id, 10)))
        self.assertEqual(len(looking.track("sender@example.org")), 2)
        self.assertEqual(len(looking.track("sender@example.org", limit=1)), 1)

    def test_forbidden(self) -> None:
        """What may not be read, or is behind a directory that may not be entered, is an error, and not an empty spool."""
        refusal = PermissionError(13, "Permission denied", "spool.sqlite")
        with (
            patch("os.stat", side_effect=refusal),
            self.assertRaisesRegex(SpoolError, "spool.sqlite: Permission denied$"),
        ):
            self.look()
        with (
            patch("os.access", return_value=False),
            self.assertRaisesRegex(SpoolError, "spool.sqlite: Permission denied$"),
        ):
            self.look()

    def test_reading_does_not_block(self) -> None:
        """A reader in the middle of a look keeps its picture; commits go on meanwhile."""
        self.accept(envelope("a@example.com"))
        looking = self.look()
        connection = looking._connection
        assert connection is not None
        connection.execute("BEGIN")
        self.assertEqual(looking.count(), 1)
        for _ in range(20):
            self.accept(envelope("a@example.com"), bytes(100_000))
        self.assertEqual(looking.count(), 1)
        connection.execute("COMMIT")
        self.assertEqual(looking.count(), 21)

    def test_server_is_down(self) -> None:
        """A stopped server's spool can be read."""
        committed = self.accept(envelope("a@example.com"))
        self.done(self.spool.close())
        looking = self.look()
        self.assertEqual([message.queue_id for message in looking.queue()], [committed.queue_id])
        looking.close()
        self.spool = self.opened()
        self.assertEqual(self.due_ids(), [committed.queue_id])

    def test_server_was_killed(self) -> None:
        """What a killed server has left in the write-ahead log is read too."""
        committed = self.accept(envelope("a@example.com"))
        left = self.mktemp()
        shutil.copytree(self.directory, left, ignore=shutil.ignore_patterns("*-shm"))
        self.assertEqual([message.queue_id for message in self.look(left).queue()], [committed.queue_id])

    def test_where_nothing_may_be_written(self) -> None:
        """A user who may only read sees the spool of a stopped server."""
        self.accept(envelope("a@example.com"))
        self.done(self.spool.close())
        opened: list[str] = []
        connect = sqlite3.connect

        def no_shared_memory(location: str, **how: object) -> sqlite3.Connection:
            opened.append(location)
            if location.endswith("mode=ro"):
                raise sqlite3.OperationalError("unable to open database file")
            return connect(location, **how)  # type: ignore[call-overload, no-any-return]

        with patch("hermes.spool.database.sqlite3.connect", no_shared_memory):
            self.assertEqual(self.look().count(), 1)
            self.assertEqual(len(opened), 2)
            Path(self.directory, f"{DATABASE}-wal").write_bytes(b"")
            with self.assertRaisesRegex(SpoolError, "unable to open"):
                SpoolReader(self.directory)
        os.unlink(os.path.join(self.directory, f"{DATABASE}-wal"))

    def test_odd_directory(self) -> None:
        """Characters that mean something in a URI are only characters in a directory's name."""
        self.accept(envelope("a@example.com"))
        self.done(self.spool.close())
        odd = f"{self.mktemp()} 100%?mode=memory#x"
        shutil.copytree(self.directory, odd)
        self.assertEqual(self.look(odd).count(), 1)

    def test_not_a_spool(self) -> None:
        """What is wrong is said in words."""
        directory = self.mktemp()
        os.mkdir(directory)
        Path(directory, DATABASE).write_bytes(b"not at all a database " * 50)
        with self.assertRaisesRegex(SpoolError, "not a database"):
            SpoolReader(directory)

    def test_older(self) -> None:
        """A spool that has yet to be brought up to date is not misread."""
        with (
            patch("hermes.spool.reader.MIGRATIONS", (*MIGRATIONS, None)),
            self.assertRaisesRegex(SpoolError, "start the server once"),
        ):
            SpoolReader(self.directory)

    def test_fault_while_reading(self) -> None:
        """A fault in the middle is a SpoolError too."""
        looking = self.look()
        self.spool._committer._connection.execute("DROP TABLE trace_keys")
        with self.assertRaisesRegex(SpoolError, "cannot read the spool"):
            looking.track("a@example.com")


class IntegrityTests(SpoolTestCase):
    """integrity(): what can be wrong, each provoked."""

    def spoil(self, statement: str) -> None:
        """Do behind the spool's back what it would never do."""
        self.spool._committer._connection.execute(statement)

    def test_sound(self) -> None:
        """Nothing is wrong with rows, files and what has gone."""
        self.accept(envelope("a@example.com"), bytes(200_000))
        self.done(self.spool.settle(self.accept(envelope("a@example.com")).queue_id, [Finished(0)], []))
        self.assertEqual(self.faults(), [])

    def test_rows_that_do_not_match(self) -> None:
        """Messages without body or recipients, and bodies and recipients without message, are named."""
        first, second = self.accept(envelope("a@example.com")).queue_id, self.accept(envelope("b@example.com")).queue_id
        self.spoil("DELETE FROM bodies")
        self.assertEqual(self.faults(), [f"message {first} has no body", f"message {second} has no body"])
        self.spoil(f"DELETE FROM recipients WHERE queue_id = '{first}'")
        self.assertIn(f"message {first} has no recipient", self.faults())
        self.spoil(f"INSERT INTO bodies VALUES ('{first}', x'00')")
        self.spoil("DELETE FROM messages")
        self.assertEqual(
            self.faults(),
            [f"there is a body of {first}, but no message", f"there is a recipient of {second}, but no message"],
        )

    def test_two_bodies(self) -> None:
        """A message whose octets are in a file and in a row is named, and so is a signature of no message."""
        queue_id = self.accept(envelope("a@example.com"), bytes(200_000)).queue_id
        self.spoil(f"INSERT INTO bodies VALUES ('{queue_id}', x'00')")
        self.spoil("INSERT INTO signatures VALUES ('000000000000', '', 'example.org/s', x'00')")
        self.assertEqual(
            self.faults(),
            [
                f"message {queue_id} has two bodies, a row and a file",
                "there is a signature of 000000000000, but no message",
            ],
        )

    def test_files_that_do_not_match(self) -> None:
        """Body files that are missing or of the wrong length are named."""
        path = self.accept(envelope("a@example.com"), bytes(200_000)).content.path
        assert path is not None
        os.truncate(path, 5)
        (fault,) = self.faults()
        self.assertIn("has 5 octets instead of 200000", fault)
        os.unlink(path)
        (fault,) = self.faults()
        self.assertIn("No such file", fault)

    def test_delivered_meanwhile(self) -> None:
        """A message that is delivered while it is being looked at is no fault."""
        committed = self.accept(envelope("a@example.com"), bytes(200_000))
        stat = os.stat

        def delivered_first(path: str) -> os.stat_result:
            self.successResultOf(begun(self.spool.settle(committed.queue_id, [Finished(0)], [])))
            return stat(path)

        with patch("hermes.spool.reader.os.stat", delivered_first):
            self.assertEqual(self.faults(), [])

    def tear(self, pages: range) -> None:
        """Overwrite pages of the database."""
        with open(os.path.join(self.directory, DATABASE), "r+b") as file:
            for page in pages:
                file.seek(page * 4096)
                file.write(b"\xa5" * 4096)

    def test_torn(self) -> None:
        """A database with torn pages is reported, not trusted."""
        for _ in range(50):
            self.accept(envelope("a@example.com"), bytes(5000))
        self.done(self.spool.close())
        self.tear(range(60, 90))
        faults = self.faults()
        self.assertTrue(faults)
        self.assertLessEqual(len(faults), reader.MAX_FAULTS)
        self.tear(range(1, 90))
        self.assertEqual(len(self.faults()), 1)
        shutil.rmtree(self.directory)
        self.spool = self.opened()
