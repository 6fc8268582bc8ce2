"""Shards that workers have left behind, at a server that is alone."""

from __future__ import annotations

import time

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from hermes.app.server import Server
from hermes.config.loader import load
from hermes.config.places import spool_directory
from hermes.core.envelope import Envelope, Origin, Recipient
from hermes.core.event import Kind
from hermes.core.message import QueuedMessage
from hermes.core.order import Action, Order
from hermes.core.selection import Selection
from hermes.spool.store import Spool
from tests.support.server import ServerTestCase
from tests.support.worker import ImmediateWorker

ELSEWHERE = "bob@example.net"


class AdoptionTests(ServerTestCase):
    """Two messages in a shard that is nobody's."""

    async def leave_behind(self, *recipients: str, shard: int = 3) -> list[QueuedMessage]:
        """Put messages into a shard, as a worker did."""
        spool = Spool(
            spool_directory(load(self.path), shard),
            ImmediateWorker(),
            ImmediateWorker(),
            now=time.time,
            observer=lambda event: None,
            shard=shard,
        )
        await spool.open()
        messages = []
        for recipient in recipients:
            writer = spool.create()
            writer.write(b"Return-Path: <s@example.com>\nSubject: x\n\nbody\n")
            ways = {recipient: "local:anna" if recipient.endswith("example.org") else "direct:example.net"}
            sent = Envelope("s@example.com", (Recipient(recipient),))
            messages.append(
                await writer.commit(sent, Origin("ESMTP", "192.0.2.1"), ways, "<1@example.com>", 22, 28, {})
            )
        await spool.close()
        return messages

    async def started(self, *recipients: str, more: str = "") -> tuple[Server, list[QueuedMessage]]:
        """A server that has adopted them."""
        server = self.make(more)
        left = await self.leave_behind(*recipients)
        # It looks for shards when it is made.
        server.service.abandon()
        server = Server(self.path, load(self.path), reactor, self.failures.append)
        self.addCleanup(server.service.stopService)
        await self.begin(server)
        self.assertEqual([failure.getErrorMessage() for failure in self.failures], [])
        return server, left

    async def test_delivered(self) -> None:
        """What is due is delivered, and can be found."""
        server, (message,) = await self.started("anna@example.org")
        while await server.spool.select(None):
            await deferLater(reactor, 0.005)  # type: ignore[arg-type]
        self.assertEqual(len(list((self.data / "mail" / "anna" / "new").iterdir())), 1)
        events = await server.spool.track(message.queue_id, 10)
        self.assertEqual([event.kind for event in events], [Kind.RECEIVED, Kind.DELIVERED])

    async def test_orders(self) -> None:
        """What waits is listed, stopped, released, tried, returned and removed like any other; a reload changes nothing."""
        server, left = await self.started(ELSEWHERE, ELSEWHERE, ELSEWHERE)
        one, two, three = (message.queue_id for message in left)
        self.assertEqual([message.queue_id for message in await server.spool.select(None)], [one, two, three])
        self.assertEqual([message.queue_id for message in await server.spool.select(two)], [two])
        await server.reload()
        relay = server.relay
        self.assertTrue(await relay.hold(one))
        self.assertTrue(await relay.release(one))
        self.assertEqual(await relay.retry(one), 1)
        self.assertEqual(await relay.retry(None), 3)
        done = await relay.carry_out(Order(Action.HOLD, Selection()))
        self.assertEqual((done.messages, done.recipients), (3, 3))
        self.assertTrue(await relay.remove(two))
        self.assertFalse(await relay.remove(two))
        self.assertTrue(await relay.return_now(three))
        (shard,) = server.status()["adopted_shards"]  # type: ignore[attr-defined]
        self.assertEqual(shard["shard"], 3)

    async def test_while_it_runs(self) -> None:
        """A shard can be adopted at any time."""
        server = await self.start()
        await self.leave_behind("anna@example.org", shard=1)
        await server.adopt(1)
        while await server.spool.select(None):
            await deferLater(reactor, 0.005)  # type: ignore[arg-type]
        self.assertEqual(len(list((self.data / "mail" / "anna" / "new").iterdir())), 1)

    async def test_cannot_be_opened(self) -> None:
        """One that cannot be opened ends the start, like the server's own; nothing is left open."""
        server = self.make()
        directory = self.data / "spool-2"
        directory.mkdir()
        (directory / "spool.sqlite").write_bytes(b"no database" * 1000)
        await self.leave_behind(ELSEWHERE, shard=1)
        server.service.abandon()
        server = Server(self.path, load(self.path), reactor, self.failures.append)
        await self.begin(server)
        (failure,) = self.failures
        self.assertIn("spool-2", failure.getErrorMessage())
        spool = Spool(
            spool_directory(load(self.path), 1), ImmediateWorker(), ImmediateWorker(), now=lambda: 0.0, observer=print
        )
        await Deferred.fromCoroutine(spool.open())
        await spool.close()
