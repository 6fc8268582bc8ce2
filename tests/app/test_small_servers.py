"""Finger and phone book in a whole server: what strangers look up, and what is done to mailboxes, do not wait for one another."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from hermes.app.server import Server
from hermes.policy.edited_file import EditedFile
from tests.support.ports import free_port
from tests.support.server import USER, ServerTestCase


class SmallServersTests(ServerTestCase):
    """One server with both, with an address book and a profile."""

    async def start_both(self) -> Server:
        """Start it."""
        self.finger, self.phonebook = free_port(), free_port()
        self.files = files = Path(self.directory())
        (files / "finger").mkdir()
        (files / "finger" / f"{USER}.txt").write_text("Gone fishing.\n")
        (files / "people.csv").write_text("name,email\nAnn Smith,ann@example.com\n")
        self.settings = (
            f"[finger]\nlisten = 127.0.0.1:{self.finger}\nprofiles = {files}/finger\n"
            f"[phonebook]\nlisten = 127.0.0.1:{self.phonebook}\naccounts = yes\nbooks = {files}/people.csv\n"
        )
        return await self.start(self.settings)

    async def ask(self, port: int, query: str) -> list[str]:
        """The lines of what is answered until the server closes."""
        return await deferToThread(_told, port, query)

    async def test_busy_mailboxes(self) -> None:
        """While a mailbox takes for ever, both answer as ever: from profiles, from books, and of accounts."""
        server = await self.start_both()
        submit = server._stores.mailbox_worker.submit
        waiting: list[tuple[Any, Deferred[Any]]] = []

        def keep(item: Any) -> Deferred[Any]:
            waiting.append((item, Deferred()))
            return waiting[-1][1]

        self.patch(server._stores.mailbox_worker, "submit", keep)
        self.assertIn("Gone fishing.", await self.ask(self.finger, USER))
        self.assertIn("-200:1:email: ann@example.com", await self.ask(self.phonebook, "query smith\r\nquit"))
        self.assertIn("-200:1:email: anna@example.org", await self.ask(self.phonebook, "query alias=anna\r\nquit"))
        # The server does not stop before what it does with mailboxes itself has come to its end.
        for item, done in waiting:
            submit(item).chainDeferred(done)

    async def test_fed_from_a_file(self) -> None:
        """A program that sends what it has, closes its side and waits is answered: so do nc and others."""
        await self.start_both()
        told = await deferToThread(_told, self.finger, USER, closes=True)
        self.assertIn("Gone fishing.", told)
        told = await deferToThread(_told, self.phonebook, "query smith\r\nquery alias=anna", closes=True)
        self.assertIn("-200:1:email: ann@example.com", told)
        self.assertIn("-200:1:email: anna@example.org", told)

    async def test_books_are_kept(self) -> None:
        """A reload reads a book again when it has changed, refuses one with a mistake, and forgets them with the server."""
        server = await self.start_both()
        stores, path = server._stores, self.files / "people.csv"
        before = stores.books[str(path)]
        await server.reload()
        self.assertIs(stores.books[str(path)], before)
        path.write_text("name,email\nAnn Smith,smith@example.com\n")
        await server.reload()
        self.assertIsNot(stores.books[str(path)], before)
        self.assertIn("-200:1:email: smith@example.com", await self.ask(self.phonebook, "query smith\r\nquit"))
        path.write_text("color\nred\n")
        with self.assertRaisesRegex(ValueError, "people.csv:1: no column"):
            await server.reload()
        self.rewrite(self.settings.replace(f"listen = 127.0.0.1:{self.phonebook}", ""))
        await server.reload()
        self.assertEqual(stores.books, {})

    async def test_edited_book(self) -> None:
        """A book is read again though nobody asks, so that the first who does is answered from the new one."""
        await self.start_both()
        done: Deferred[None] = Deferred()
        read = EditedFile._read

        def seen(file: EditedFile[Any], value: Any, stamp: Any) -> None:
            read(file, value, stamp)
            done.callback(None)

        self.patch(EditedFile, "_read", seen)
        (self.files / "people.csv").write_text("name,email\nAnn Smith,smith@example.com\n")
        await done
        self.assertIn("-200:1:email: smith@example.com", await self.ask(self.phonebook, "query smith\r\nquit"))

    async def test_directory(self) -> None:
        """While a directory service does not answer, or after it was left out, whoever asks for its people shall come again."""
        nobody, self.phonebook = free_port(), free_port()
        listen = f"[phonebook]\nlisten = 127.0.0.1:{self.phonebook}\n"
        service = f"[ldap:acme]\nservers = ldap://127.0.0.1:{nobody}\nstarttls = no\nbase = o=acme\n"
        server = await self.start(f"{listen}directories = acme\n{service}")
        later = "475:The book is not available now: try again later."
        self.assertEqual(await self.ask(self.phonebook, "query smith\r\nquit"), [later, "200:Bye!"])
        (place,) = server._listening["phonebook"]._ports.values()
        before = place[1].target
        self.rewrite(f"{listen}accounts = yes\n")
        await server.reload()
        self.assertEqual(
            await self.ask(self.phonebook, "query nobody\r\nquit"), ["501:No matches to your query.", "200:Bye!"]
        )
        # As for somebody who has been connected since before.
        place[1].target = before
        self.assertEqual(await self.ask(self.phonebook, "query smith\r\nquit"), [later, "200:Bye!"])

    async def test_no_book(self) -> None:
        """A book that cannot be read keeps the server from being made, in words for the administrator."""
        text = self.cannot_be_made("[phonebook]\nlisten = 127.0.0.1:0\nbooks = nothing.csv\n")
        self.assertIn("nothing.csv: cannot be read: No such file", text)


def _told(port: int, query: str, *, closes: bool = False) -> list[str]:
    with socket.create_connection(("127.0.0.1", port), timeout=15) as client:
        client.sendall(f"{query}\r\n".encode())
        if closes:
            client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            return answer.read().decode().splitlines()
