"""A password that an administrator has set, and the server that runs meanwhile."""

from __future__ import annotations

import poplib
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from hermes.app.passwords_told import password_commands
from hermes.core.event import Event, Kind
from tests.support.command import CommandTestCase, record
from tests.support.ports import free_port
from tests.support.server import PASSWORD, USER, ServerTestCase


class RunningTests(ServerTestCase):
    """The server is told."""

    async def told(self, more: str) -> tuple[int, bool]:
        """How many sessions it says to have ended, and whether that of the user has."""
        port, events = free_port(), self.events()
        server = await self.start(f"[pop3]\nlisten = 127.0.0.1:{port}\nauth_without_tls = loopback\n{more}")

        def log_in() -> poplib.POP3:
            client = poplib.POP3("127.0.0.1", port, 60)
            client.user(USER)
            client.pass_(PASSWORD)
            return client

        client = await deferToThread(log_in)
        self.addCleanup(client.close)
        ended = await server.commands().call("password.changed", {"account": USER})
        (event,) = [each for each in await events.until(Kind.PASSWORD) if each.kind is Kind.PASSWORD]
        self.assertEqual((event.address, dict(event.facts)), (USER, {"result": "changed", "by": "administrator"}))

        def is_over() -> bool:
            try:
                client.noop()
            except (poplib.error_proto, OSError):
                return True
            return False

        return ended, await deferToThread(is_over)

    async def test_recorded(self) -> None:
        """It is in the trace, and the account's sessions end, as after a change by its owner."""
        self.assertEqual(await self.told(""), (1, True))

    async def test_sessions_that_go_on(self) -> None:
        """Where the settings say so they go on."""
        self.assertEqual(await self.told("[poppass]\nend_sessions = no\n"), (0, False))

    async def test_nonsense(self) -> None:
        """Whatever is no account is refused."""
        server = await self.start()
        for wrong in ({}, {"account": 1}, {"account": ""}, {"account": "x" * 65}):
            said = Deferred.fromCoroutine(server.commands().call("password.changed", wrong))
            await self.assertFailure(said, ValueError)
        self.assertEqual(await server.commands().call("password.changed", {"account": "x" * 64}), 0)

    def test_one_worker(self) -> None:
        """With several workers one is told, and tells the others."""
        self.assertEqual(password_commands(None, None, None, None, here=False), {})  # type: ignore[arg-type]


class DownTests(CommandTestCase):
    """No server runs."""

    def test_recorded(self) -> None:
        """It is in the trace where there is one; for a server that never ran none is made."""
        config = self.site()
        words = ("-c", config, "bob", "--generate")
        self.run_hermes("user", "add", *words)
        self.run_hermes("user", "password", *words)
        self.assertFalse((Path(config).parent / "data" / "spool").exists())
        record(self, config, Event(1.0, Kind.LOGIN, address="bob"))
        self.run_hermes("user", "password", *words)
        kinds = [each["event"] for each in self.run_json("track", "-c", config, "bob")]
        self.assertEqual(kinds, ["login", "password"])
