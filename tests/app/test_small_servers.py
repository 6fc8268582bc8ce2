"""Finger and phone book in a whole server: what strangers look up, and what is done to mailboxes, do not wait for one another."""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from hermes.app.server import Server
from tests.support.server import USER, ServerTestCase, free_port


class SmallServersTests(ServerTestCase):
    """One server with both, with an address book and a profile."""

    async def start_both(self) -> Server:
        """Start it."""
        self.finger, self.phonebook = free_port(), free_port()
        files = Path(self.directory())
        (files / "finger").mkdir()
        (files / "finger" / f"{USER}.txt").write_text("Gone fishing.\n")
        (files / "people.csv").write_text("name,email\nAnn Smith,ann@example.com\n")
        return await self.start(
            f"[finger]\nlisten = 127.0.0.1:{self.finger}\nprofiles = {files}/finger\n"
            f"[phonebook]\nlisten = 127.0.0.1:{self.phonebook}\naccounts = yes\nbooks = {files}/people.csv\n"
        )

    async def ask(self, port: int, query: str) -> list[str]:
        """The lines of what is answered until the server closes."""
        return await deferToThread(_told, port, query)

    async def test_busy_mailboxes(self) -> None:
        """While a mailbox takes for ever, both answer as ever: from profiles, from books, and of accounts."""
        server = await self.start_both()
        self.patch(server._stores.mailbox_worker, "submit", lambda item: Deferred())
        self.assertIn("Gone fishing.", await self.ask(self.finger, USER))
        self.assertIn("-200:1:email: ann@example.com", await self.ask(self.phonebook, "query smith\r\nquit"))
        self.assertIn("-200:1:email: anna@example.org", await self.ask(self.phonebook, "query alias=anna\r\nquit"))


def _told(port: int, query: str) -> list[str]:
    with socket.create_connection(("127.0.0.1", port), timeout=15) as client:
        client.sendall(f"{query}\r\n".encode())
        with client.makefile("rb") as answer:
            return answer.read().decode().splitlines()
