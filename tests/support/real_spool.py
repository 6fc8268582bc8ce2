"""A spool in a directory of its own, whose threads are doubles and whose clock stands still until it is moved."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import BodyType, Envelope, Origin, Recipient
from hermes.core.event import Event, Kind
from hermes.core.message import Content, QueuedMessage
from hermes.spool.bodies import Disk
from hermes.spool.reader import SpoolReader
from hermes.spool.store import Spool
from tests.support.worker import ImmediateWorker

T = TypeVar("T")

SENDER = "sender@example.org"
START = 1_800_000_000.0
FACTS = {"peer": "192.0.2.1", "tls": None, "size_octets": 12, "spam": False}


def envelope(*recipients: str | Recipient, reverse_path: str = SENDER, body: BodyType = BodyType.SEVEN_BIT) -> Envelope:
    """An envelope to addresses, or to recipients with parameters."""
    return Envelope(reverse_path, tuple(Recipient(to) if isinstance(to, str) else to for to in recipients), body)


def fact(kind: Kind, queue_id: str = "", address: str = "", at: float = START) -> Event:
    """An event without more to it."""
    return Event(at, kind, queue_id, address)


class FullDisk(Disk):
    """Has no room for body files while ``full`` names the step that finds that out."""

    def __init__(self) -> None:
        self.full = ""
        self.error = errno.ENOSPC

    def _check(self, step: str) -> None:
        if self.full == step:
            raise OSError(self.error, os.strerror(self.error))

    def open(self, path: str) -> int:
        """Create a file."""
        self._check("open")
        return super().open(path)

    def write(self, descriptor: int, octets: bytes) -> None:
        """Append octets."""
        self._check("write")
        super().write(descriptor, octets)

    def sync(self, descriptor: int) -> None:
        """Bring them to the disk."""
        self._check("sync")
        super().sync(descriptor)

    def sync_directory(self, path: str) -> None:
        """Bring the names to the disk."""
        self._check("sync_directory")
        super().sync_directory(path)


class SpoolTestCase(SynchronousTestCase):
    """Tests of an open spool, ``self.spool``; ``self.seen`` is what its observer saw."""

    def setUp(self) -> None:
        """Open it."""
        self.directory = self.mktemp()
        self.time = START
        self.seen: list[Event] = []
        self.disk = FullDisk()
        self.spool = self.opened()
        self.addCleanup(lambda: self.done(self.spool.close()))

    def opened(self, observer: Callable[[Event], None] | None = None) -> Spool:
        """A spool on the directory; the previous one must be closed."""
        self.worker, self.body_worker = ImmediateWorker(), ImmediateWorker()
        spool = Spool(
            self.directory,
            self.worker,
            self.body_worker,
            now=lambda: self.time,
            observer=observer or self.seen.append,
            disk=self.disk,
        )
        self.done(spool.open())
        return spool

    def reopen(self) -> None:
        """Close the spool and open it again."""
        self.done(self.spool.close())
        self.spool = self.opened()

    def done(self, awaitable: Awaitable[T]) -> T:
        """The result of a coroutine that does not have to wait."""
        return self.successResultOf(begun(awaitable))

    def accept(
        self,
        sent: Envelope,
        octets: bytes = b"Subject: x\n\nText\n",
        *,
        destinations: dict[str, str] | None = None,
        message_id: str = "<1@example.org>",
        prefix_octets: int = 0,
        origin: Origin | None = None,
    ) -> QueuedMessage:
        """A message that has been committed; without ``destinations`` each recipient has one named for its domain."""
        return self.done(
            self.accepting(
                sent,
                octets,
                destinations=destinations,
                message_id=message_id,
                prefix_octets=prefix_octets,
                origin=origin,
            )
        )

    async def accepting(
        self,
        sent: Envelope,
        octets: bytes = b"Subject: x\n\nText\n",
        *,
        destinations: dict[str, str] | None = None,
        message_id: str = "<1@example.org>",
        prefix_octets: int = 0,
        origin: Origin | None = None,
    ) -> QueuedMessage:
        """The same, still to be awaited."""
        writer = self.spool.create()
        writer.write(octets)
        ways = destinations or {to.address: f"direct:{to.address.rpartition('@')[2]}" for to in sent.recipients}
        committed: QueuedMessage = await writer.commit(
            sent, origin or Origin("ESMTP", "192.0.2.1"), ways, message_id, len(octets), prefix_octets, FACTS
        )
        return committed

    def due_ids(self, *, limit: int = 100, busy: Sequence[str] = (), active: Sequence[str] = ()) -> list[str]:
        """The queue ids of what is due now."""
        return [message.queue_id for message in self.done(self.spool.due(self.time, limit, busy, active))]

    def body_files(self) -> list[str]:
        """The names of all body files that are there."""
        return sorted(name for _, _, names in os.walk(os.path.join(self.directory, "bodies")) for name in names)

    def faults(self) -> list[str]:
        """What is wrong with the spool as another process sees it."""
        with SpoolReader(self.directory) as reader:
            return reader.integrity()


def octets_of(content: Content) -> bytes:
    """The octets, from wherever they are."""
    if content.data is not None:
        return content.data
    assert content.path is not None
    return Path(content.path).read_bytes()


def begun(awaitable: Awaitable[T]) -> Deferred[T]:
    """A coroutine that runs as far as it can."""

    async def run() -> T:
        return await awaitable

    return Deferred.fromCoroutine(run())
