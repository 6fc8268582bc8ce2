"""Greylisting in a whole server."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from hermes.app.at_once import AtOnce
from hermes.app.commands import Commands
from hermes.app.greylisting import greylist_commands
from hermes.config.places import greylist_file
from hermes.policy import greylist_store
from hermes.policy.greylist_store import GreylistStore, Row, read_greylist
from tests.support.dns_server import NameServer
from tests.support.ports import free_port
from tests.support.server import ServerTestCase, Talk
from tests.support.worker import ImmediateWorker


class GreylistTests(ServerTestCase):
    """A server behind a front end that says who the clients are."""

    async def test_delayed(self) -> None:
        """It is off by default; a stranger waits until the time has come, and again when an administrator has forgotten him."""
        dns = NameServer()
        dns.start(reactor)
        self.addCleanup(dns.stop)
        port = free_port()
        smtp = f"[smtp]\nlisten = 127.0.0.1:{port}\nfront_ends = 127.0.0.1\n[dns]\nnameservers = {dns.address}\n"

        def session() -> str:
            talk = Talk(("127.0.0.1", port))
            lines = (
                "XCLIENT ADDR=192.0.2.7",
                "HELO c.example",
                "MAIL FROM:<x@f.example>",
                "RCPT TO:<anna@example.org>",
            )
            said = [talk.say(line) for line in lines]
            talk.close()
            return said[-1][:9]

        server = await self.start(smtp)
        self.assertEqual((await deferToThread(session))[:3], "250")
        self.assertNotIn("greylist_known", server.status())
        self.rewrite(smtp + "[greylist]\nenabled = yes\n")
        await server.reload()
        self.assertEqual(await deferToThread(session), "451 4.7.1")
        now = server.now()
        server._stores.greylist._now = lambda: now + 300
        self.assertEqual((await deferToThread(session))[:3], "250")
        self.assertEqual(server.status()["greylist_known"], 1)
        control: Any = Commands(server, greylist_commands(server.greylist))
        self.assertEqual(await control.call("greylist.remove", {"subject": "192.0.2.9"}), "192.0.2.0/24")
        await self.assertFailure(_deferred(control.call("greylist.remove", {"subject": "192.0.2.9"})), LookupError)
        await self.assertFailure(_deferred(control.call("greylist.remove", {"subject": "x"})), ValueError)
        self.assertEqual(await deferToThread(session), "451 4.7.1")

    async def test_switched_on(self) -> None:
        """A reload that switches it on has had it read by a thread before it is in force; a refused one leaves nothing of it."""
        readers: list[bool] = []

        def noted(connection: sqlite3.Connection) -> list[Row]:
            readers.append(threading.current_thread() is threading.main_thread())
            return rows(connection)

        rows = greylist_store._rows
        server = await self.start()
        path, greylist = greylist_file(server.settings), server.greylist
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.rewrite(f"[greylist]\nenabled = yes\n[pop3]\nlisten = 127.0.0.1:{taken.getsockname()[1]}\n")
            with self.assertRaisesRegex(ValueError, "cannot listen at"):
                await server.reload()
        self.assertFalse(os.path.exists(path))
        self.assertEqual(greylist.describe(), {})
        self.rewrite("[greylist]\nenabled = yes\n")
        os.mkdir(path)
        with self.assertRaisesRegex(ValueError, r"\[greylist\] enabled: .*greylist.sqlite: Is a directory"):
            await server.reload()
        os.rmdir(path)
        before = GreylistStore(path, AtOnce(), ImmediateWorker())
        before.start()
        before.put(Row("192.0.2.0/24", "", server.now()))
        await before.close()
        self.patch(greylist_store, "_rows", noted)
        await server.reload()
        self.assertEqual(readers, [False])
        self.assertEqual(greylist.describe(), {"known": 1, "waiting": 0, "delayed": 0})
        self.assertEqual(greylist.wait("192.0.2.0/24", "f.example", server.settings.greylist), 0)
        # Switched off and on again it is there already.
        self.rewrite("")
        await server.reload()
        self.rewrite("[greylist]\nenabled = yes\n")
        await server.reload()
        self.assertEqual(readers, [False])
        self.assertEqual(greylist.describe()["known"], 1)

    async def test_forgotten_while_off(self) -> None:
        """An administrator may have somebody forgotten while it is switched off."""
        server = await self.start()
        store = GreylistStore(greylist_file(server.settings), AtOnce(), ImmediateWorker())
        store.start()
        store.put(Row("192.0.2.0/24", "", server.now()))
        await store.close()
        (remove,) = greylist_commands(server.greylist).values()
        self.assertEqual(await remove({"subject": "192.0.2.9"}), "192.0.2.0/24")
        await server.service.stopService()
        self.assertEqual(read_greylist(greylist_file(server.settings)), [])


def _deferred(coroutine: Any) -> Deferred[Any]:
    return Deferred.fromCoroutine(coroutine)
