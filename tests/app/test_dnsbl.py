"""Lists in the DNS in a whole server."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from hermes.core.event import Kind
from tests.support.dns_server import NameServer, a, txt
from tests.support.ports import free_port
from tests.support.server import ServerTestCase, Talk


class ListsTests(ServerTestCase):
    """A server with lists, and a front end that says who the clients are."""

    async def setUp(self) -> None:
        """Start it, and a name server."""
        super().setUp()
        self.dns = NameServer({"7.2.0.192.one.example": [a("127.0.0.2"), txt("it sends spam")]})
        self.dns.start(reactor)
        self.addCleanup(self.dns.stop)
        self.port = free_port()
        self.smtp = f"[smtp]\nlisten = 127.0.0.1:{self.port}\nfront_ends = 127.0.0.1\n"
        self.smtp += f"[dns]\nnameservers = {self.dns.address}\n"

    async def say(self, peer: str, *lines: str) -> list[str]:
        """A session of that peer; the answers to the lines."""

        def session() -> list[str]:
            talk = Talk(("127.0.0.1", self.port))
            answers = [talk.say(f"XCLIENT ADDR={peer}"), *(talk.say(line) for line in ("HELO client.example", *lines))]
            talk.close()
            return answers[2:]

        return await deferToThread(session)

    async def test_refused(self) -> None:
        """Who is listed is refused for every recipient but the postmaster; trace and status tell of it."""
        events = self.events()
        server = await self.start(f"{self.smtp}[dnsbl:one]\nzone = one.example\n")
        to_anna = ("MAIL FROM:<x@from.example>", "RCPT TO:<anna@example.org>")
        said = await self.say("192.0.2.7", *to_anna, "RCPT TO:<postmaster@example.org>")
        self.assertEqual(said[1], "554 5.7.1 Blocked by one: it sends spam")
        self.assertEqual(said[2][:3], "250")
        (event,) = await events.until(Kind.REFUSED)
        self.assertEqual(event.facts["rule"], "dnsbl.one")
        # What the tests of senders have found by then stands beside it.
        self.assertIn("dnsbl.one=listed", str(event.facts["checks"]).split())
        self.assertEqual((await self.say("192.0.2.8", *to_anna))[1][:3], "250")
        self.assertEqual(server.status()["dnsbl_one"]["asked"], 2)
        self.assertEqual(server.status()["dnsbl_one"]["listed"], 1)

    async def test_reload(self) -> None:
        """Counters and what is known outlive a reload; lists that are gone are gone."""
        one, two = (f"[dnsbl:{name}]\nzone = {name}.example\n" for name in ("one", "two"))
        server = await self.start(self.smtp + one)
        to_anna = ("MAIL FROM:<x@from.example>", "RCPT TO:<anna@example.org>")
        await self.say("192.0.2.7", *to_anna)
        asked = len(self.dns.asked)
        self.rewrite(self.smtp + one + two)
        await server.reload()
        self.assertEqual((await self.say("192.0.2.7", *to_anna))[1][:3], "554")
        self.assertEqual(server.status()["dnsbl_one"]["asked"], 2)
        # The one question more is to the new list.
        self.assertEqual(len(self.dns.asked), asked + 1)
        self.rewrite(self.smtp + two)
        await server.reload()
        self.assertNotIn("dnsbl_one", server.status())
        self.assertEqual((await self.say("192.0.2.7", *to_anna))[1][:3], "250")

    async def test_dropped(self) -> None:
        """Who is dropped is on the list of offenders, and may not come back."""
        server = await self.start(f"{self.smtp}[dnsbl:one]\nzone = one.example\naction = drop\n")
        said = await self.say("192.0.2.7", "MAIL FROM:<x@from.example>", "RCPT TO:<anna@example.org>", "NOOP")
        self.assertEqual(said[1:], ["554 5.7.1 Blocked by one: it sends spam", ""])
        entry = server.offenders.entry("192.0.2.7")
        assert entry is not None
        self.assertEqual(entry.rule, "dnsbl.one")

    async def test_tagged(self) -> None:
        """A tagged message comes with the header."""
        events = self.events()
        await self.start(f"{self.smtp}[dnsbl:one]\nzone = one.example\naction = tag\n")
        lines = ("MAIL FROM:<x@from.example>", "RCPT TO:<anna@example.org>", "DATA", "Subject: x\r\n\r\ny\r\n.")
        self.assertEqual((await self.say("192.0.2.7", *lines))[-1][:3], "250")
        await events.until(Kind.DELIVERED)
        (path,) = (self.data / "mail").rglob("new/*")
        self.assertIn("\nX-Blocked: Blocked by 'one'\n", path.read_text())
