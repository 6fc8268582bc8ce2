"""The link between parent and worker, over a real pair of sockets."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from hermes.app.crew.link import Ask, Link, connect
from hermes.config.schema import Settings


class LinkTests(TestCase):
    """Values and sockets."""

    timeout = 10

    def setUp(self) -> None:
        """Connect two ends."""
        self.heard: list[tuple[Any, list[socket.socket]]] = []
        self.waiting: Deferred[None] = Deferred()
        self.wanted = 0
        self.lost: Deferred[None] = Deferred()
        ours, theirs = socket.socketpair()
        self.far = Link(self.take, lambda: self.lost.callback(None))
        self.near = Link(lambda value, sockets: None, lambda: None)
        connect(reactor, theirs, self.far)
        connect(reactor, ours, self.near)
        self.addCleanup(self.end)

    async def end(self) -> None:
        """Take it down."""
        if self.near.connected:
            self.near.transport.loseConnection()  # type: ignore[union-attr]
        await self.lost

    def take(self, value: object, sockets: list[socket.socket]) -> None:
        """Note what arrives."""
        self.heard.append((value, sockets))
        for one in sockets:
            self.addCleanup(one.close)
        if len(self.heard) == self.wanted:
            self.waiting.callback(None)

    async def until(self, count: int) -> None:
        """Wait for so many values."""
        self.wanted = count
        if len(self.heard) < count:
            await self.waiting

    async def test_values(self) -> None:
        """Values arrive as they were sent and in their order, whatever their size."""
        sent = [Ask(1, "status", {"id": None}), Settings(), "x" * 1_000_000, None]
        for value in sent:
            self.near.send(value)
        await self.until(4)
        self.assertEqual([value for value, _ in self.heard], sent)

    async def test_sockets(self) -> None:
        """Sockets arrive with the value that they were sent with."""
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            self.near.send("none")
            self.near.send("both", [one, other])
            self.near.send("one", [one])
            self.near.send("last")
            await self.until(4)
            names = [one.getsockname(), other.getsockname()]
        found = [(value, [each.getsockname() for each in sockets]) for value, sockets in self.heard]
        self.assertEqual(found, [("none", []), ("both", names), ("one", names[:1]), ("last", [])])

    async def test_lost(self) -> None:
        """The end of the other side is told, and what is sent afterwards harms nobody."""
        self.far.transport.loseConnection()  # type: ignore[union-attr]
        await self.lost
        self.far.send("too late")

    async def test_a_fault_is_logged(self) -> None:
        """What cannot be dealt with does not end the link."""

        def fault(value: object, sockets: list[socket.socket]) -> None:
            self.far._received = self.take
            raise RuntimeError("a fault")

        self.far._received = fault
        self.near.send("one")
        self.near.send("two")
        await self.until(1)
        self.assertEqual(self.heard, [("two", [])])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
