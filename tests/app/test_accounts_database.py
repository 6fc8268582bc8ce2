"""A whole server whose accounts are in an SQLite database that another program writes to."""

from __future__ import annotations

import smtplib
import sqlite3
import time
from contextlib import closing

from twisted.internet.threads import deferToThread

from hermes.config.loader import load
from hermes.core.account import Account
from hermes.core.event import Kind
from hermes.directory.sources.database import DatabaseSource
from tests.app.test_mail import MailTestCase, read, send
from tests.support.accounts import quick_hash
from tests.support.ports import free_port
from tests.support.server import PASSWORD, USER, ServerTestCase, Talk


class DatabaseTests(MailTestCase):
    """A server at which Anna, of the database, reads."""

    def write(self, more: str = "", *, accounts: bool = True) -> str:
        """The configuration, and the database."""
        path = super().write(f"[accounts]\nsources = sqlite\n{more}", accounts=False)
        self.data.mkdir()
        self.database = DatabaseSource(load(path).accounts.database)
        if accounts:
            self.database.add(Account(USER, ("anna@example.org",)), quick_hash(PASSWORD))
        return path

    def sql(self, text: str) -> None:
        """What another program does."""
        with closing(sqlite3.connect(self.database.path)) as connection, connection:
            connection.execute(text)

    async def test_mail_and_password(self) -> None:
        """Mail is delivered and read, to an address as well that is added meanwhile; a changed password is in the database."""
        poppass = free_port()
        _, events = await self.mail_server(f"[poppass]\nlisten = 127.0.0.1:{poppass}\n")
        self.sql(f"INSERT INTO addresses (address, account, position) VALUES ('info@example.org', '{USER}', 2)")
        await deferToThread(self.until_accepted, "info@example.org")
        await events.until(Kind.DELIVERED)
        self.assertEqual(len(await deferToThread(read, self.pop3)), 1)
        before = self.database.record(USER).password_hash
        self.assertRegex(await deferToThread(self.change, poppass, "another battery staple"), "^200")
        after = self.database.record(USER).password_hash
        self.assertNotEqual(before, after)
        self.assertTrue(after.startswith("$argon2id$"))

    def until_accepted(self, address: str) -> None:
        """Send until the address is known, which takes a second at the most."""
        deadline = time.monotonic() + 15
        while True:
            try:
                send(self.smtp, address)
            except smtplib.SMTPRecipientsRefused:
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def change(self, port: int, password: str) -> str:
        """What the password server says."""
        talk = Talk(("127.0.0.1", port))
        try:
            talk.say(f"user {USER}")
            talk.say(f"pass {PASSWORD}")
            return talk.say(f"newpass {password}")
        finally:
            talk.close()


class StartTests(ServerTestCase):
    """Where it cannot be used."""

    async def test_no_start(self) -> None:
        """A server whose database is missing does not start, and says how it is made."""
        server = self.make("[accounts]\nsources = sqlite\n")
        await self.begin(server)
        (failure,) = self.failures
        self.assertIn("make-database", failure.getErrorMessage())
