"""Connection control in a running server: at every listener, from one configuration to the next."""

from __future__ import annotations

from twisted.internet.threads import deferToThread

from hermes.core.event import Kind
from tests.support.ports import free_port
from tests.support.server import ServerTestCase, Talk, greeting

_REFUSE = "[access:me]\naddresses = 127.0.0.0/8\naction = refuse\n"


class AccessTests(ServerTestCase):
    """A server with a door for each protocol."""

    def doors(self) -> str:
        """Where it listens."""
        self.smtp, self.lmtp, self.pop3 = (("127.0.0.1", free_port()) for _ in range(3))
        smtp, lmtp, pop3 = (f"{host}:{port}" for host, port in (self.smtp, self.lmtp, self.pop3))
        return f"[smtp]\nlisten = {smtp}\nlmtp = {lmtp}\n[pop3]\nlisten = {pop3}\n"

    async def greetings(self) -> list[str]:
        """What each door says first."""
        return [(await deferToThread(greeting, door))[:4].strip() for door in (self.smtp, self.lmtp, self.pop3)]

    async def test_reload(self) -> None:
        """This machine too can be refused, everywhere or at one server, and a reload changes who is."""
        events = self.events()
        doors = self.doors()
        server = await self.start(doors + _REFUSE)
        self.assertEqual(await self.greetings(), ["554", "554", "-ERR"])
        refusals = await events.until(Kind.REFUSED, 3)
        self.assertEqual({event.facts["rule"] for event in refusals}, {"access.me"})
        self.assertEqual(server.status()["connections"], 0)
        for more, expected in (
            ("servers = pop3\n", ["220", "220", "-ERR"]),
            ("servers = smtp\n", ["554", "554", "+OK"]),
            ("[access:exactly]\naddresses = 127.0.0.1\n", ["220", "220", "+OK"]),
        ):
            self.rewrite(doors + _REFUSE + more)
            await server.reload()
            self.assertEqual(await self.greetings(), expected, more)

    async def test_relay(self) -> None:
        """The right to relay comes with a reload, and goes with one; the session that had it keeps it."""
        doors = self.doors() + "[smarthost]\nhost = smtp.example.net\n"
        right = "[access:me]\naddresses = 127.0.0.1\nrelay = yes\n"
        server = await self.start(doors)
        answers = []
        talks = []
        for more in ("", right, ""):
            self.rewrite(doors + more)
            await server.reload()
            talk = await deferToThread(Talk, self.smtp)
            talks.append(talk)
            await deferToThread(talk.say, "HELO client.example.com")
            await deferToThread(talk.say, "MAIL FROM:<>")
            answers.append((await deferToThread(talk.say, "RCPT TO:<x@example.com>"))[:3])
        self.assertEqual(answers, ["550", "250", "550"])
        self.assertEqual((await deferToThread(talks[1].say, "RCPT TO:<y@example.com>"))[:3], "250")
        for talk in talks:
            talk.close()
