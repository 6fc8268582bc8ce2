"""Asking by ETRN, of servers on the loopback that say what the test has written."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hermes.services import queue_starting
from hermes.services.queue_starting import SERVER_SECONDS, QueueStarting
from tests.support.outgoing import Names
from tests.support.smtp_peer import Script, SMTPPeer


class QueueStartingTests(TestCase):
    """:class:`QueueStarting`."""

    def peer(self, *extensions: str, **replies: str) -> SMTPPeer:
        """A server."""
        peer = SMTPPeer(Script(extensions=list(extensions), replies=dict(replies)))
        peer.start(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(peer.stop()))
        return peer

    async def ask(self, host: str, *domains: str, **names: Any) -> str:
        """Ask one server; what is in the log about it."""
        starting = QueueStarting(reactor, "mail.example.org", Names(**names))  # type: ignore[arg-type]
        with capturedLogs() as logs:
            await starting.ask([host], domains)
        (said,) = [log["said"] for log in logs if "said" in log]
        return str(said)

    async def test_asked(self) -> None:
        """Each domain is asked for (RFC 1985 5), and what the server says is in the log."""
        peer = self.peer("ETRN", ETRN="253 OK, 14 pending messages")
        said = await self.ask(f"127.0.0.1:{peer.port}", "example.org", "example.net")
        self.assertEqual(peer.lines, ["EHLO mail.example.org", "ETRN example.org", "ETRN example.net", "QUIT"])
        self.assertIn("example.org: 253 OK, 14 pending messages; example.net: 253", said)

    async def test_by_name(self) -> None:
        """A name is looked up, and its next address is tried when one does not answer."""
        peer = self.peer("ETRN")
        said = await self.ask(
            f"mx.example.net:{peer.port}", "example.org", **{"mx.example.net": ("127.0.0.2", "127.0.0.1")}
        )
        self.assertEqual(said, "example.org: 250 ok")

    async def test_temporary_refusal(self) -> None:
        """A domain that is refused for now is no reason not to ask for the next (RFC 1985 5.2)."""
        peer = self.peer("ETRN", **{"ETRN example.org": "458 no"})
        said = await self.ask(f"127.0.0.1:{peer.port}", "example.org", "example.net")
        self.assertEqual(said, "example.org: 458 no; example.net: 250 ok")

    async def test_permanent_refusal(self) -> None:
        """After a refusal for good no further one is sent (RFC 1985 5.2)."""
        peer = self.peer("ETRN", ETRN="500 what?")
        await self.ask(f"127.0.0.1:{peer.port}", "example.org", "example.net")
        self.assertEqual(peer.verbs, ["EHLO", "ETRN", "QUIT"])

    async def test_not_offered(self) -> None:
        """A server that does not offer it is not asked."""
        peer = self.peer("PIPELINING")
        self.assertIn("does not offer", await self.ask(f"127.0.0.1:{peer.port}", "example.org"))
        self.assertEqual(peer.verbs, ["EHLO", "QUIT"])

    async def test_nobody_there(self) -> None:
        """What cannot be found or reached is told."""
        self.assertIn("does not exist", await self.ask("mx.example.net", "example.org"))
        peer = SMTPPeer()
        peer.start(reactor)
        port = peer.port
        await peer.stop()
        self.assertIn("cannot connect", await self.ask(f"127.0.0.1:{port}", "example.org"))

    async def test_server_that_leaves(self) -> None:
        """A server that closes in the middle is told, and so is one that answers what it cannot."""
        for reply, words in (("DROP", "lost"), ("354 go on", "that it cannot have"), ("421 closing", "421")):
            peer = self.peer("ETRN", ETRN=reply)
            said = await self.ask(f"127.0.0.1:{peer.port}", "example.org", "example.net")
            self.assertIn(words, said)


class SlowServerTests(SynchronousTestCase):
    """A server that never comes to an end."""

    def test_time(self) -> None:
        """It is not waited for longer than a minute, and then the next one is asked."""
        clock = Clock()
        opened: list[str] = []

        def open_session(_reactor: Any, target: Any, _approach: Any) -> Deferred[Any]:
            opened.append(target.address)
            return Deferred()

        self.patch(queue_starting, "open_session", open_session)
        starting = QueueStarting(clock, "mail.example.org", Names())  # type: ignore[arg-type]
        asking = Deferred.fromCoroutine(starting.ask(["192.0.2.1", "192.0.2.2"], ["example.org"]))
        clock.advance(SERVER_SECONDS - 1)
        self.assertEqual(opened, ["192.0.2.1"])
        clock.advance(1)
        self.assertEqual(opened, ["192.0.2.1", "192.0.2.2"])
        clock.advance(SERVER_SECONDS)
        self.successResultOf(asking)
