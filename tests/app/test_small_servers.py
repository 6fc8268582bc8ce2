"""Finger and phone book in a whole server: what strangers look up, and what is done to mailboxes, do not wait for one another."""

from __future__ import annotations

import gc
import os
import socket
import threading
import weakref
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from hermes.app.server import Server
from hermes.policy import edited_file
from hermes.policy.edited_file import EditedFile
from tests.support.ports import free_port
from tests.support.server import USER, ServerTestCase, answers


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
        path = self.files / "people.csv"
        before = server._books.files[str(path)]
        await server.reload()
        self.assertIs(server._books.files[str(path)], before)
        path.write_text("name,email\nAnn Smith,smith@example.com\n")
        book = weakref.ref(before.current())
        await server.reload()
        self.assertIsNot(server._books.files[str(path)], before)
        # A large one takes its memory with it, though what was there at the start is nothing for the garbage collector any more.
        del before
        gc.collect()
        self.assertIsNone(book())
        self.assertIn("-200:1:email: smith@example.com", await self.ask(self.phonebook, "query smith\r\nquit"))
        path.write_text("color\nred\n")
        with self.assertRaisesRegex(ValueError, "people.csv:1: no column"):
            await server.reload()
        self.rewrite(self.settings.replace(f"listen = 127.0.0.1:{self.phonebook}", ""))
        await server.reload()
        self.assertEqual(server._books.files, {})

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
        """A book that cannot be read keeps the server from starting, in words for the administrator; nobody is let in."""
        port = free_port()
        server = self.make(f"[phonebook]\nlisten = 127.0.0.1:{port}\nbooks = nothing.csv\n")
        self.addCleanup(server.service.stopService)
        await self.begin(server)
        (failure,) = self.failures
        self.assertTrue(failure.check(ValueError))
        self.assertIn("nothing.csv: cannot be read: No such file", failure.getErrorMessage())
        self.assertFalse(answers(("127.0.0.1", port)))

    async def test_reads_in_threads(self) -> None:
        """Neither at the start nor at a reload is a book read by the thread that serves, nor are the lists at a reload."""
        readers: list[tuple[str, bool]] = []

        def noted(path: str, parse: Any) -> Any:
            readers.append((os.path.basename(path), in_main_thread()))
            return read(path, parse)

        def in_main_thread() -> bool:
            return threading.current_thread() is threading.main_thread()

        read = edited_file.read_lines
        self.patch(edited_file, "read_lines", noted)
        server = await self.start_both()
        self.assertEqual(readers, [("people.csv", False)])
        files = {"file": "rules.txt", "killfile": "kill.txt", "exceptions": "spare.txt", "no_longer_valid": "moved.txt"}
        for name in files.values():
            (self.files / name).write_text("")
        (self.files / "people.csv").write_text("name,email\nAnn Smith,smith@example.com\n")
        lists = "".join(f"{key} = {self.files}/{name}\n" for key, name in files.items())
        _, _, others = lists.partition("\n")
        self.rewrite(f"{self.settings}[filters]\n{lists.removesuffix(others)}[compliance]\n{others}")
        await server.reload()
        self.assertEqual(sorted(readers[1:]), sorted((name, False) for name in (*files.values(), "people.csv")))
        before = list(server._circle.edited)
        await server.reload()
        # What has not changed is not read again.
        self.assertEqual(len(readers), 6)
        self.assertEqual([*map(id, server._circle.edited)], [*map(id, before)])
        (self.files / "kill.txt").write_text("x@example.com\n")
        await server.reload()
        self.assertEqual(readers[6:], [("kill.txt", False)])


def _told(port: int, query: str, *, closes: bool = False) -> list[str]:
    with socket.create_connection(("127.0.0.1", port), timeout=15) as client:
        client.sendall(f"{query}\r\n".encode())
        if closes:
            client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            return answer.read().decode().splitlines()
