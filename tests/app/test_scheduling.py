"""The schedule in a whole server: what waits while it is closed, what a reload does, and what is run at the start."""

from __future__ import annotations

import smtplib

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from hermes.app import scheduling
from hermes.core.event import Kind
from tests.support.ports import free_port
from tests.support.server import ServerTestCase
from tests.support.smtp_peer import SMTPPeer

# Closed but for one minute in the week; that it is just that minute happens to nobody twice.
CLOSED = "[schedule]\nenabled = yes\ntime_zone = UTC\nwednesday = 03:33-03:34 open\n"
OPEN = "[schedule]\nenabled = yes\n" + "".join(
    f"{day} = open\n" for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
)


class SchedulingTests(ServerTestCase):
    """A server with a smart host of the test's own."""

    def ways(self) -> str:
        """Where mail comes in, and the smart host, which is there from now on."""
        self.peer, self.port = SMTPPeer(), free_port()
        self.peer.start(reactor)
        self.addCleanup(self.peer.stop)
        smtp = f"[smtp]\nlisten = 127.0.0.1:{self.port}\nrelay_networks = 127.0.0.1\n"
        return f"{smtp}[smarthost]\nhost = 127.0.0.1\nport = {self.peer.port}\ntls = none\n"

    def send(self, *recipients: str) -> None:
        """Send a message."""
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="c.example", timeout=60) as client:
            client.sendmail("bob@example.com", recipients, b"Subject: x\r\n\r\ny\r\n")

    async def test_mail_waits(self) -> None:
        """Mail for others waits and counts no attempt, mail for mailboxes here does not; a reload that opens lets it go."""
        events, ways = self.events(), self.ways()
        server = await self.start(ways + CLOSED)
        await deferToThread(self.send, "far@example.net", "anna@example.org")
        (deferred,) = await events.until(Kind.DEFERRED)
        await events.until(Kind.DELIVERED)
        self.assertIn("schedule", str(deferred.facts["reason"]))
        (message,) = await server.spool.select(None)
        self.assertEqual([recipient.attempts for recipient in message.recipients], [0])
        self.assertEqual(self.peer.connections, 0)
        schedule = server.status()["schedule"]
        assert isinstance(schedule, dict)
        self.assertEqual(schedule["state"], "closed")
        self.rewrite(ways)
        await server.reload()
        await events.until(Kind.RELAYED)
        self.assertNotIn("schedule", server.status())

    async def test_commands(self) -> None:
        """The command before is run at the start and the one after at the stop, in the data directory."""
        server = await self.start(OPEN + "before = touch before\nafter = touch after\n")
        while not server._scheduling.schedule.is_open("direct"):
            await _moment()
        self.assertTrue((self.data / "before").exists())
        self.assertFalse((self.data / "after").exists())
        await server.service.stopService()
        self.assertTrue((self.data / "after").exists())

    async def test_mail_comes_while_it_opens(self) -> None:
        """Mail that comes while the command before is at work goes as soon as that has ended."""
        events, ways = self.events(), self.ways()
        await self.start(f'{ways}{OPEN}before = sh -c "until [ -e stands ]; do sleep 0.1; done"\n')
        await deferToThread(self.send, "far@example.net")
        await events.until(Kind.DEFERRED)
        (self.data / "stands").touch()
        (retried,) = await events.until(Kind.RETRIED)
        self.assertEqual(retried.facts["by"], "schedule")
        await events.until(Kind.RELAYED)

    async def test_etrn(self) -> None:
        """Mail is asked for when it has opened."""
        peer = SMTPPeer()
        peer.script.extensions.append("ETRN")
        peer.start(reactor)
        self.addCleanup(peer.stop)
        asked = peer.seen("ETRN example.org")
        self.patch(scheduling, "BEFORE_ETRN_SECONDS", 0.0)
        await self.start(f"{OPEN}etrn = 127.0.0.1:{peer.port}\n")
        await asked


async def _moment() -> None:
    await deferToThread(lambda: None)
