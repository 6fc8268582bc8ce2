"""``hermes user`` with accounts in an SQLite database, or in both places."""

from __future__ import annotations

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

from hermes.directory.sources.database import DatabaseSource
from tests.support.command import CommandTestCase


class DatabaseTests(CommandTestCase):
    """A site whose accounts are in a database."""

    def setUp(self) -> None:
        """Bob is there."""
        self.config = self.site("[accounts]\nsources = sqlite\n")
        self.data = Path(self.config).parent / "data"
        self.path = self.data / "accounts.sqlite"
        self.hermes("add", "bob", "--password-file", "-", typed="secret\n")

    def hermes(self, command: str, *words: str, exit_code: int = 0, typed: str | None = None) -> str:
        """What ``hermes user`` prints."""
        ran = self.run_hermes("user", command, "-c", self.config, *words, exit_code=exit_code, typed=typed)
        return str(ran.output)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What another program sees."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()

    def test_life(self) -> None:
        """Everything that can be done with an account can be done there, and no file of accounts appears."""
        self.hermes("set", "bob", "--full-name", "Bob Miller", "--quota", "5M", "--address", "b@example.org")
        self.hermes("forward", "bob", "b@example.net", "--deliver-also")
        self.hermes("profile", "bob", "--mark-read", "no", "--expire", "30d", "--login", "miller")
        self.assertIn("can log in by CRAM-MD5", self.hermes("cram", "bob", "on"))
        before = self.rows("SELECT password FROM accounts")
        self.hermes("password", "bob", "--generate")
        self.assertNotEqual(self.rows("SELECT password FROM accounts"), before)
        self.hermes("disable", "bob")
        self.assertEqual(
            self.rows("SELECT name, full_name, quota, disabled, deliver_also, mark_read, expire FROM accounts"),
            [("bob", "Bob Miller", 5 * 1024**2, 1, 1, 0, 30 * 86400)],
        )
        self.hermes("enable", "bob")
        (listed,) = self.run_json("user", "list", "-c", self.config)
        self.assertEqual(
            (listed["name"], listed["addresses"], listed["forward"], listed["disabled"]),
            ("bob", ["b@example.org"], ["b@example.net"], False),
        )
        self.run_hermes("user", "app-password", "add", "-c", self.config, "bob", "phone")
        self.hermes("rename", "bob", "robert")
        self.assertEqual(self.rows("SELECT account, address FROM addresses"), [("robert", "b@example.org")])
        archive = self.data.parent / "robert.tar.gz"
        self.hermes("export", "robert", str(archive))
        with tarfile.open(archive) as tar:
            self.assertIn("robert/account.json", tar.getnames())
        self.hermes("erase", "robert", "--yes")
        self.assertEqual(self.rows("SELECT count(*) FROM addresses UNION SELECT count(*) FROM forwards"), [(0,)])
        self.assertEqual(self.run_json("user", "list", "-c", self.config), [])
        self.assertFalse((self.data / "accounts.ini").exists())

    def test_import(self) -> None:
        """Many at once."""
        table = self.data.parent / "people.csv"
        table.write_text("name,addresses\nann,ann@example.org\nbob,\n")
        self.assertIn("1 accounts added; 1 were there already", self.hermes("import", str(table)))
        self.assertEqual(self.rows("SELECT name FROM accounts ORDER BY name"), [("ann",), ("bob",)])
        self.hermes("remove", "ann")
        self.assertIn("no account", self.hermes("remove", "ann", exit_code=1))

    def test_asked(self) -> None:
        """``hermes explain`` and ``hermes check`` look there, and name it."""
        said = self.run_hermes("explain", "-c", self.config, "--to", "bob@example.org").output
        self.assertIn("account bob", said)
        said = self.run_hermes("explain", "-c", self.config, "--to", "x@example.org", exit_code=1).output
        self.assertIn(str(self.path), said)
        self.hermes("add", "anna", "--generate")
        self.assertRegex(self.run_hermes("check", "-c", self.config).output, "accounts.sqlite has 2 accounts")
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("INSERT INTO accounts (name) VALUES ('Eve')")
        self.assertIn("lower case", self.run_hermes("check", "-c", self.config, exit_code=1).output)
        self.assertIn("lower case", self.hermes("list", exit_code=1))
        self.assertIn("lower case", self.hermes("set", "bob", exit_code=1))

    def test_made(self) -> None:
        """The database can be made for others to fill; where the server does not ask it, that is said."""
        self.assertIn("there already", self.hermes("make-database", exit_code=1))
        other = self.site()
        said = self.run_hermes("user", "make-database", "-c", other).output
        self.assertIn("has no accounts yet", said)
        self.assertIn("[accounts] sources", said)
        other = self.site("[accounts]\nsources = file, sqlite\ndatabase = people.sqlite\n")
        said = self.run_hermes("user", "make-database", "-c", other).output
        self.assertNotIn("[accounts] sources", said)
        self.assertTrue((Path(other).parent / "data" / "people.sqlite").exists())


class BothTests(CommandTestCase):
    """A site with the file, and the database behind it."""

    def test_both(self) -> None:
        """Who is new goes to the first, who is in the second is changed there, and nothing is taken from either."""
        config = self.site("[accounts]\nsources = file, sqlite\n")
        data = Path(config).parent / "data"
        database = DatabaseSource(str(data / "accounts.sqlite"))
        self.run_hermes("user", "make-database", "-c", config)
        with closing(sqlite3.connect(database.path)) as connection, connection:
            connection.execute("INSERT INTO accounts (name) VALUES ('ann')")
            connection.execute("INSERT INTO addresses (address, account) VALUES ('info@example.org', 'ann')")
        self.run_hermes("user", "add", "-c", config, "bob", "--generate")
        self.assertIn("[bob]", (data / "accounts.ini").read_text())
        self.run_hermes("user", "disable", "-c", config, "ann")
        self.assertTrue(database.record("ann").account.disabled)
        for words in (("ann",), ("eve", "--address", "INFO@example.org")):
            self.run_hermes("user", "add", "-c", config, *words, "--generate", exit_code=1)
        listed = self.run_json("user", "list", "-c", config)
        self.assertEqual([each["name"] for each in listed], ["bob", "ann"])
