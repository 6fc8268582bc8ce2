"""The accounts of an SQLite database that other tools write to: locked, broken, malformed, large."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from contextlib import closing
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account, Local
from hermes.core.srs import SRS
from hermes.directory.directory import Directory
from hermes.directory.lookup import Rules
from hermes.directory.sources import database
from hermes.directory.sources.account_rows import MOST_PROBLEMS, SCHEMA, VERSION
from hermes.directory.sources.accounts_file import AccountsFileError
from hermes.directory.sources.database import RETRY_SECONDS, DatabaseSource
from hermes.directory.sources.several import SeveralSources
from hermes.directory.sources.watched import LOOK_SECONDS
from hermes.interfaces import UnavailableError
from tests.support.accounts import MemorySource, passwords_with, quick_hash, record
from tests.support.error_log import ErrorLog
from tests.support.maildirs import clock_at
from tests.support.worker import ImmediateWorker

HASH = quick_hash("secret")

#: What docs/directory.md shows to people who fill the tables themselves.
FILLED = """
INSERT INTO accounts (name, full_name, quota) VALUES ('ann', 'Ann Archer', 500000000);
INSERT INTO addresses (address, account, position) VALUES ('info@example.org', 'ann', 2), ('ann@example.org', 'ann', 1);
"""


class DatabaseTestCase(SynchronousTestCase):
    """A database with Joe, and a server that has read it."""

    def setUp(self) -> None:
        """Make it."""
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "accounts.sqlite")
        self.patch(database, "BUSY_MILLISECONDS", 1)
        DatabaseSource(self.path).add(Account("joe", ("joe@example.org",)), HASH)
        self.clock, self.worker = clock_at(), ImmediateWorker()
        self.source = DatabaseSource(self.path, self.worker, self.clock.seconds)
        self.source.load()
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(self.source.stop())))
        self.errors: list[str] = []
        self.patch(self.source, "_log", ErrorLog(self.errors))
        self.directory_ = Directory(self.source, ["example.org"], "joe", passwords_with())

    def sql(self, script: str) -> None:
        """What another tool does."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(script)

    def resolve(self, address: str) -> str:
        """Whose it is, or what else; a second later than before."""
        self.clock.advance(LOOK_SECONDS)
        try:
            found = self.successResultOf(Deferred.fromCoroutine(self.directory_.resolve(address)))
        except UnavailableError:
            return "later"
        return found.account.name if isinstance(found, Local) else type(found).__name__

    def later(self, address: str) -> None:
        """It cannot be told now."""
        self.clock.advance(LOOK_SECONDS)
        self.failureResultOf(Deferred.fromCoroutine(self.directory_.resolve(address)), UnavailableError)


class TablesTests(DatabaseTestCase):
    """What other tools write."""

    def test_filled_by_another(self) -> None:
        """Rows of another tool are accounts within a second, with their addresses in the order of their positions."""
        self.sql(FILLED)
        self.assertEqual(self.resolve("info@example.org"), "ann")
        self.assertEqual(
            self.source.known().by_name["ann"].account,
            Account("ann", ("ann@example.org", "info@example.org"), "Ann Archer", quota_octets=500_000_000),
        )
        self.sql("UPDATE accounts SET disabled = 1 WHERE name = 'ann'")
        self.assertEqual(self.resolve("info@example.org"), "Unknown")
        self.sql("PRAGMA foreign_keys = ON; DELETE FROM accounts WHERE name = 'ann'")
        self.assertEqual(self.resolve("info@example.org"), "Unknown")
        self.assertEqual(self.errors, [])

    def test_constraints(self) -> None:
        """What cannot be is refused to the other tool by the database itself, as far as that knows the rules."""
        for script in (
            "INSERT INTO accounts (name) VALUES ('joe')",
            "INSERT INTO accounts (name, quota) VALUES ('x', -1)",
            "INSERT INTO accounts (name, disabled) VALUES ('x', 2)",
            "INSERT INTO accounts (name, expire) VALUES ('x', 3600)",
            "INSERT INTO addresses (address, account) VALUES ('JOE@example.org', 'joe')",
        ):
            self.assertRaises(sqlite3.IntegrityError, self.sql, script)

    def test_malformed(self) -> None:
        """Rows that cannot be are named, everybody who was known stays so, and nobody is unknown until it is mended."""
        for spoil, mend, words in (
            ("INSERT INTO accounts (name) VALUES ('Bob')", "DELETE FROM accounts WHERE name = 'Bob'", "lower case"),
            (
                "INSERT INTO accounts (name, password) VALUES ('bob', 'secret word')",
                "DELETE FROM accounts WHERE name = 'bob'",
                "not an argon2 hash",
            ),
            (
                "INSERT INTO addresses (address, account) VALUES ('b@example.org', 'bob')",
                "DELETE FROM addresses WHERE account = 'bob'",
                "there is no account 'bob'",
            ),
            (
                "INSERT INTO addresses (address, account) VALUES ('nonsense', 'joe')",
                "DELETE FROM addresses WHERE address = 'nonsense'",
                "not an address",
            ),
            (
                "INSERT INTO accounts (name, full_name) VALUES ('bob', x'00ff')",
                "DELETE FROM accounts WHERE name = 'bob'",
                "full_name is no text",
            ),
            (
                "INSERT INTO accounts (name, quota) VALUES ('bob', 'much')",
                "DELETE FROM accounts WHERE name = 'bob'",
                "quota is no number",
            ),
            (
                "INSERT INTO accounts (name) VALUES ('bob'); INSERT INTO logins VALUES ('joe', 'bob')",
                "DELETE FROM logins; DELETE FROM accounts WHERE name = 'bob'",
                "cannot be a login",
            ),
            (
                "PRAGMA ignore_check_constraints = ON; INSERT INTO accounts (name, disabled) VALUES ('bob', 'maybe')",
                "DELETE FROM accounts WHERE name = 'bob'",
                "disabled is neither 0 nor 1",
            ),
            (
                "PRAGMA ignore_check_constraints = ON; INSERT INTO accounts (name, expire) VALUES ('bob', 5)",
                "DELETE FROM accounts WHERE name = 'bob'",
                "expire is 5",
            ),
        ):
            self.errors.clear()
            self.sql(spoil)
            self.assertEqual(self.resolve("joe@example.org"), "joe", spoil)
            self.later("new@example.org")
            self.later("new@example.org")
            (error,) = self.errors
            self.assertIn(words, error)
            self.assertIn(self.path, error)
            self.assertNotIn("secret word", error)
            self.sql(mend)
            self.clock.advance(RETRY_SECONDS)
            self.resolve("joe@example.org")
            self.assertEqual(self.resolve("new@example.org"), "Unknown", mend)
            self.assertEqual(len(self.errors), 1)

    def test_many_malformed(self) -> None:
        """So many are named, and how many more there are."""
        for count, more in ((MOST_PROBLEMS, ""), (MOST_PROBLEMS + 1, "and 1 more")):
            self.sql("DELETE FROM accounts WHERE name LIKE 'X%'")
            self.sql("".join(f"INSERT INTO accounts (name) VALUES ('X{number}');" for number in range(count)))
            error = str(self.assertRaises(AccountsFileError, DatabaseSource(self.path).list))
            self.assertEqual(error.count("lower case"), MOST_PROBLEMS)
            self.assertIs(error.endswith(more), True)

    def test_older_and_later_forms(self) -> None:
        """Tables that another tool has made are taken when they are the same; a later form is not understood by halves."""
        self.sql(f"PRAGMA user_version = {VERSION + 1}")
        self.later("new@example.org")
        self.assertIn("later form", self.errors[0])
        self.assertRaises(ValueError, DatabaseSource(self.path).remove, "joe")
        other = os.path.join(self.directory, "other.sqlite")
        with closing(sqlite3.connect(other)) as connection:
            connection.executescript(SCHEMA + FILLED)
        self.assertEqual([account.name for account in DatabaseSource(other).list()], ["ann"])
        empty = os.path.join(self.directory, "empty.sqlite")
        sqlite3.connect(empty).close()
        self.assertRaises(AccountsFileError, DatabaseSource(empty).list)

    def test_made_once(self) -> None:
        """Making it again changes nothing; what root makes is the directory's owner's."""
        self.assertFalse(DatabaseSource(self.path).make())
        given: list[tuple[int, int]] = []
        self.patch(os, "geteuid", lambda: 0)
        self.patch(os, "fchown", lambda descriptor, user, group: given.append((user, group)))
        made = DatabaseSource(os.path.join(self.directory, "new.sqlite"))
        self.assertTrue(made.make())
        self.assertEqual(made.list(), [])
        owner = os.stat(self.directory)
        self.assertEqual(given, [(owner.st_uid, owner.st_gid)])


class TroubleTests(DatabaseTestCase):
    """While it cannot be read."""

    def test_readers_and_writers(self) -> None:
        """While another tool is in the middle of a change the server reads what was before."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO accounts (name) VALUES ('bob')")
            self.assertEqual(self.resolve("bob@example.org"), "Unknown")
            other.execute("COMMIT")
        self.assertEqual(self.resolve("bob@example.org"), "bob")

    def test_locked(self) -> None:
        """While it is locked altogether who was known stays so, and everything else is put off; nobody waits for it."""
        # As a tool has it that knows no WAL.
        self.source._close()
        self.sql("PRAGMA journal_mode = DELETE")
        self.resolve("joe@example.org")
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            self.assertEqual(self.resolve("joe@example.org"), "joe")
            self.later("bob@example.org")
            self.worker.paused = True
            self.clock.advance(RETRY_SECONDS)
            self.assertEqual(self.resolve("joe@example.org"), "joe")
            self.later("bob@example.org")
            self.worker.resume()
            for known in ("joe", "Joe@example.org"):
                account = self.successResultOf(Deferred.fromCoroutine(self.directory_.verify(known, "secret")))
                self.assertEqual(account.name, "joe")
            for unknown in ("bob", "bob@example.org"):
                asked = Deferred.fromCoroutine(self.directory_.verify(unknown, "secret"))
                self.failureResultOf(asked, UnavailableError)
            failed = Deferred.fromCoroutine(self.source.change_password("joe", HASH))
            self.assertIn("locked", str(self.failureResultOf(failed, AccountsFileError).value))
        (error,) = self.errors
        self.assertIn("locked", error)
        self.clock.advance(RETRY_SECONDS)
        self.resolve("joe@example.org")
        self.assertEqual(self.resolve("bob@example.org"), "Unknown")

    def test_gone_and_back(self) -> None:
        """A file that is gone says nothing about anybody; another one in its place is read."""
        kept = os.path.join(self.directory, "kept")
        for name in os.listdir(self.directory):
            if name != "accounts.sqlite":
                os.unlink(os.path.join(self.directory, name))
        os.rename(self.path, kept)
        self.assertEqual(self.resolve("joe@example.org"), "joe")
        self.later("bob@example.org")
        self.assertIn("make-database", self.errors[0])
        DatabaseSource(self.path).add(Account("bob", ()), "")
        self.clock.advance(RETRY_SECONDS)
        self.resolve("bob@example.org")
        self.assertEqual(self.resolve("bob@example.org"), "bob")
        self.assertEqual(self.resolve("joe@example.org"), "Unknown")

    def test_broken(self) -> None:
        """A file that is no database is the same; a server that is just being started does not start."""
        for name in os.listdir(self.directory):
            os.unlink(os.path.join(self.directory, name))
        with open(self.path, "wb") as file:
            file.write(b"no database at all, " * 500)
        self.assertEqual(self.resolve("joe@example.org"), "joe")
        self.later("bob@example.org")
        self.assertRaises(AccountsFileError, DatabaseSource(self.path).load)
        self.assertRaises(AccountsFileError, DatabaseSource(self.path).add, Account("bob", ()), "")

    def test_too_long(self) -> None:
        """Reading ends when its time is over, and counts as not to be read."""
        self.sql(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)"
            " INSERT INTO accounts (name) SELECT 'a' || i FROM n"
        )
        self.patch(database, "READ_SECONDS", -1.0)
        self.later("bob@example.org")
        self.assertIn("interrupted", self.errors[0])
        self.patch(database, "READ_SECONDS", 60.0)
        self.clock.advance(RETRY_SECONDS)
        self.resolve("joe@example.org")
        self.assertEqual(self.resolve("a30000@example.org"), "a30000")

    def test_login(self) -> None:
        """Who was known logs in; a name that is not known is put off and not wrong."""
        self.sql("INSERT INTO accounts (name) VALUES ('Bob')")
        self.resolve("joe@example.org")

        def verify(name: str) -> Deferred[Any]:
            return Deferred.fromCoroutine(self.directory_.verify(name, "secret"))

        self.assertEqual(self.successResultOf(verify("joe")).name, "joe")
        self.failureResultOf(verify("bob"), UnavailableError)

    def test_other_sources(self) -> None:
        """What an earlier source knows does not depend on it; a later one is not believed before it."""
        before, after = MemorySource(record("ann", "ann@example.org")), MemorySource(record("bob", "bob@example.org"))
        self.directory_ = Directory(
            SeveralSources([before, self.source, after]),
            ["example.org"],
            "ann",
            passwords_with(),
            rules=Rules((), name_forms=True),
            srs=lambda: SRS(b"secret", "example.org"),
        )
        self.assertEqual(self.resolve("bob@example.org"), "bob")
        self.sql("INSERT INTO accounts (name) VALUES ('Bob')")
        self.assertEqual(self.resolve("ann@example.org"), "ann")
        self.assertEqual(self.resolve("joe@example.org"), "joe")
        self.later("bob@example.org")
        self.later("bob.miller@example.org")


class LargeTests(SynchronousTestCase):
    """Ten thousand accounts with a hundred thousand addresses."""

    def test_times(self) -> None:
        """They are read within two seconds of this thread's time, and an answer takes less than 50 microseconds of it."""
        path = self.mktemp()
        DatabaseSource(path).make()
        with closing(sqlite3.connect(path)) as connection:
            connection.executemany(
                "INSERT INTO accounts (name, password, full_name) VALUES (?, ?, ?)",
                ((f"user{number}", HASH, f"User Number{number}") for number in range(10_000)),
            )
            connection.executemany(
                "INSERT INTO addresses VALUES (?, ?, ?)",
                ((f"address{n}@example.org", f"user{n % 10_000}", n // 10_000) for n in range(100_000)),
            )
            connection.commit()
        source = DatabaseSource(path, ImmediateWorker())
        began = time.thread_time()
        source.load()
        load_seconds = time.thread_time() - began
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(source.stop())))
        directory = Directory(source, ["example.org"], "", passwords_with())
        addresses = [f"address{number * 37 % 100_000}@example.org" for number in range(2000)]
        seconds = []
        for _ in range(3):
            began = time.thread_time()
            for address in addresses:
                found = self.successResultOf(Deferred.fromCoroutine(directory.resolve(address)))
                assert isinstance(found, Local)
            seconds.append((time.thread_time() - began) / len(addresses))
        slower = 1 if sys.gettrace() is None else 6
        self.assertLess(load_seconds, 2.0 * slower)
        self.assertLess(min(seconds), 50e-6 * slower)
