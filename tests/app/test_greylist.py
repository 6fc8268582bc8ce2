"""Greylisting in a whole server."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from hermes.app.commands import Commands
from hermes.app.greylisting import greylist_commands
from tests.support.dns_server import NameServer
from tests.support.ports import free_port
from tests.support.server import ServerTestCase, Talk


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


def _deferred(coroutine: Any) -> Deferred[Any]:
    return Deferred.fromCoroutine(coroutine)
