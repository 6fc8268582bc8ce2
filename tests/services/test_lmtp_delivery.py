"""Delivery by LMTP to a server on this machine, over TCP and over a UNIX socket."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent
from hermes.services.lmtp_delivery import LMTPDelivery
from tests.support.outgoing import Names, Reader, message
from tests.support.smtp_peer import Script, SMTPPeer


class LMTPDeliveryTests(TestCase):
    """deliver()."""

    def setUp(self) -> None:
        """An agent, and a server that takes the first and has no room for the second."""
        self.names = Names(**{"store.example.org": ("127.0.0.1",)})
        self.agent = LMTPDelivery(reactor, "client.example.org", Reader(), self.names)
        self.peer = SMTPPeer(Script(replies={".": "250 2.1.5 stored\r\n452 4.2.2 full"}))
        self.peer.start(reactor)

    async def tearDown(self) -> None:
        """Nothing stays open."""
        await self.agent.stop()
        await self.peer.stop()

    async def send(self, next_hop: str, *addresses: str) -> list[Outcome]:
        """Deliver a message."""
        sending, recipients = message(*addresses)
        return await self.agent.deliver(next_hop, sending, recipients)

    async def check(self, next_hop: str) -> None:
        """One recipient is done, the other one waits."""
        one, other = await self.send(next_hop, "a@example.com", "b@example.com")
        self.assertEqual((one.result, other.result), (Result.RELAYED, Result.DEFERRED))
        self.assertEqual((one.status, other.status), ("2.1.5", "4.2.2"))
        self.assertEqual(self.peer.lines[0], "LHLO client.example.org")
        (delivered,) = self.peer.messages
        self.assertEqual(delivered.data, b"Subject: test\r\n\r\n.hidden dot\r\nend\r\n")

    def test_interface(self) -> None:
        """It is what it says."""
        verifyObject(IDeliveryAgent, self.agent)

    async def test_tcp(self) -> None:
        """To a host and port; the connection is kept for the next message."""
        await self.check(f"store.example.org:{self.peer.port}")
        self.assertEqual(len(self.agent.describe()), 1)
        await self.send(f"store.example.org:{self.peer.port}", "a@example.com", "b@example.com")
        self.assertEqual(self.peer.connections, 1)

    async def test_paused(self) -> None:
        """A server that is paused is not asked, but for what is drained."""
        self.agent = LMTPDelivery(reactor, "client.example.org", Reader(), self.names, lambda host: f"host:{host}")
        (outcome,) = await self.send(f"store.example.org:{self.peer.port}", "a@example.com")
        self.assertIs(outcome.result, Result.PAUSED)
        self.assertEqual(self.peer.connections, 0)
        sending, recipients = message("a@example.com")
        recipients[0].drained = True
        (outcome,) = await self.agent.deliver(f"store.example.org:{self.peer.port}", sending, recipients)
        self.assertIs(outcome.result, Result.RELAYED)

    async def test_unix_socket(self) -> None:
        """To a socket on this machine, whose path may be long as a temporary directory's."""
        directory = tempfile.mkdtemp(prefix="lmtp-")
        self.addCleanup(shutil.rmtree, directory)
        path = str(Path(directory) / "lmtp")
        # Twisted compares the path of a UNIX socket with octets and with text.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BytesWarning)
            listening = reactor.listenUNIX(path, self.peer)  # type: ignore[attr-defined]
            await self.check(f"unix:{path}")
            await self.agent.stop()
            await listening.stopListening()

    async def test_nobody_there(self) -> None:
        """A server that cannot be reached or found only delays mail."""
        for next_hop, words in (
            ("unix:/nowhere/lmtp", "cannot connect to the LMTP server at unix:/nowhere/lmtp"),
            ("nowhere.example.org:24", "the LMTP server nowhere.example.org cannot be found"),
            ("store.example.org:25", "LMTP is not spoken on port 25"),
        ):
            (outcome,) = await self.send(next_hop, "a@example.com")
            self.assertIs(outcome.result, Result.DEFERRED)
            self.assertIn(words, outcome.reason)
