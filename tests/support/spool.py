"""A spool in memory: what was committed, what was given up, and the faults a test asks for."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from hermes.core.envelope import BodyType, Envelope, Origin
from hermes.core.identifiers import encode
from hermes.core.message import Content, QueuedMessage, QueuedRecipient
from hermes.interfaces import ISpoolWriter, SpoolFullError

Facts = Mapping[str, str | int | float | bool | None]


@attrs.define
class Committed:
    """A message as it was committed."""

    message: QueuedMessage
    octets: bytes
    facts: Facts
    destinations: dict[str, str]

    @property
    def text(self) -> str:
        """The octets as text."""
        return self.octets.decode("utf-8")


@implementer(ISpoolWriter)
class MemoryWriter:
    """A message that is coming in."""

    def __init__(self, spool: MemorySpool, queue_id: str) -> None:
        self.queue_id = queue_id
        self.chunks: list[bytes] = []
        self.size_octets = 0
        self.ended = False
        self._spool = spool

    @property
    def congested(self) -> bool:
        """As the test says."""
        return self._spool.congestion is not None

    def write(self, chunk: bytes) -> None:
        """Append octets."""
        if self.ended:
            raise AssertionError("a message that has ended was written to")
        if self._spool.fault is not None:
            raise self._spool.fault
        self.size_octets += len(chunk)
        if self._spool.keeps_octets:
            self.chunks.append(chunk)

    async def drained(self) -> None:
        """Wait as long as the test says; fail when the disk is full."""
        if self._spool.congestion is not None:
            await self._spool.congestion
        if self._spool.full:
            raise SpoolFullError

    async def content(self) -> Content:
        """The octets so far."""
        octets = b"".join(self.chunks)
        return Content(len(octets), 0, 0, data=octets)

    async def insert(self, offset: int, octets: bytes) -> None:
        """Put octets between the others, as the disk has room."""
        if self._spool.full:
            raise SpoolFullError
        whole = b"".join(self.chunks)
        self.chunks = [whole[:offset], octets, whole[offset:]]
        self.size_octets += len(octets)

    async def commit(
        self,
        envelope: Envelope,
        origin: Origin,
        destinations: Mapping[str, str],
        message_id: str,
        wire_octets: int,
        prefix_octets: int,
        facts: Facts,
    ) -> QueuedMessage:
        """Keep the message, when the test lets it."""
        if self.ended:
            raise AssertionError("a message that has ended was committed")
        if self._spool.commit_waits_for is not None:
            await self._spool.commit_waits_for
        if self._spool.fault is not None:
            raise self._spool.fault
        if self._spool.full:
            raise SpoolFullError
        self.ended = True
        octets = b"".join(self.chunks)
        binary = envelope.body is BodyType.BINARY
        content = Content(len(octets), wire_octets, prefix_octets, binary, data=octets)
        recipients = [
            QueuedRecipient(
                ordinal,
                each.address,
                each.notify,
                each.original,
                destinations[each.address],
                attempts=0,
                next_attempt_at=0,
            )
            for ordinal, each in enumerate(envelope.recipients)
        ]
        message = QueuedMessage(self.queue_id, 0.0, envelope, origin, message_id, content, recipients)
        self._spool.committed.append(Committed(message, octets, facts, dict(destinations)))
        return message

    def abort(self) -> None:
        """Forget the message."""
        if not self.ended:
            self.ended = True
            self._spool.aborted.append(self.queue_id)


class MemorySpool:
    """What sessions need of :class:`hermes.interfaces.ISpool`: the beginning of messages."""

    def __init__(self) -> None:
        self.committed: list[Committed] = []
        self.aborted: list[str] = []
        self.writers: list[MemoryWriter] = []
        self.full = False
        self.fault: Exception | None = None
        self.congestion: Deferred[None] | None = None
        self.commit_waits_for: Deferred[None] | None = None
        self.keeps_octets = True

    def create(self) -> MemoryWriter:
        """Begin a message; ids count from one."""
        writer = MemoryWriter(self, encode(len(self.writers) + 1))
        self.writers.append(writer)
        return writer
