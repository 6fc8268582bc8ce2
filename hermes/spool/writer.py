"""A message on its way into the spool: few octets stay in memory, many go to a file as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred
from zope.interface import implementer

from hermes.core.envelope import BodyType, Envelope, Origin
from hermes.core.event import Event, Kind
from hermes.core.message import Content, QueuedMessage, QueuedRecipient
from hermes.interfaces import ISpoolWriter
from hermes.spool.bodies import BodyFiles
from hermes.spool.body_stream import BodyStream, Submit
from hermes.spool.operations import Accept

#: The largest body that is a row. Measured with 1 MB: 500 a second as files, 290 as rows; and a thousand sessions hold
#: no more than this each.
MAX_ROW_OCTETS = 128 * 1024

#: Pieces kept apart. A client may send its octets by twos, and an object for each would take twenty times their room.
MAX_PIECES = 256

#: Makes a message durable. The second argument undoes what was done outside the database, should that fail.
Accepting = Callable[[Accept, Callable[[], None]], Deferred[None]]


@implementer(ISpoolWriter)
class SpoolWriter:
    """See :class:`hermes.interfaces.ISpoolWriter`."""

    def __init__(
        self, queue_id: str, *, files: BodyFiles, submit: Submit, accept: Accepting, now: Callable[[], float]
    ) -> None:
        self.queue_id = queue_id
        self._files = files
        self._submit = submit
        self._accept = accept
        self._now = now
        self._chunks: list[bytes] = []
        self.size_octets = 0
        self._stream: BodyStream | None = None
        self._ended = False

    @property
    def congested(self) -> bool:
        """True while more waits to be written than should."""
        return self._stream is not None and self._stream.congested

    def write(self, chunk: bytes) -> None:
        """Append octets in the stored form."""
        if self._ended:
            return
        self.size_octets += len(chunk)
        if self._stream is not None:
            self._stream.write(chunk)
            return
        self._chunks.append(chunk)
        if len(self._chunks) > MAX_PIECES:
            self._chunks = [b"".join(self._chunks)]
        if self.size_octets > MAX_ROW_OCTETS:
            self._stream = BodyStream(self.queue_id, self._files, self._submit)
            self._stream.write(b"".join(self._chunks))
            self._chunks.clear()

    async def drained(self) -> None:
        """Return when writing has caught up; raise SpoolFullError when the disk is full."""
        if self._stream is not None:
            await self._stream.drained()

    async def content(self) -> Content:
        """Where the octets are that have been written so far."""
        if self._stream is not None:
            await self._stream.caught_up()
            return Content(self.size_octets, 0, 0, path=self._files.path(self.queue_id))
        return Content(self.size_octets, 0, 0, data=b"".join(self._chunks))

    async def insert(self, offset: int, octets: bytes) -> None:
        """Put octets between those that have been written."""
        self.size_octets += len(octets)
        if self._stream is not None:
            await self._stream.insert(offset, octets)
            return
        whole = b"".join(self._chunks)
        self._chunks = [whole[:offset], octets, whole[offset:]]

    async def commit(
        self,
        envelope: Envelope,
        origin: Origin,
        destinations: Mapping[str, str],
        message_id: str,
        wire_octets: int,
        prefix_octets: int,
        facts: Mapping[str, str | int | float | bool | None],
    ) -> QueuedMessage:
        """Make message and envelope durable."""
        accepting = await self.finish(envelope, origin, destinations, message_id, wire_octets, prefix_octets, facts)
        await self._accept(accepting, self.undo)
        return accepting.message

    async def finish(
        self,
        envelope: Envelope,
        origin: Origin,
        destinations: Mapping[str, str],
        message_id: str,
        wire_octets: int,
        prefix_octets: int,
        facts: Mapping[str, str | int | float | bool | None],
    ) -> Accept:
        """Make the octets durable and yield what is to be committed, or undone by :meth:`undo`."""
        if self._ended:
            raise RuntimeError(f"message {self.queue_id} was committed or aborted before")
        self._ended = True
        if self._stream is not None:
            try:
                await self._stream.finish()
            except BaseException:
                self.undo()
                raise
        content = Content(
            self.size_octets,
            wire_octets,
            prefix_octets,
            binary=envelope.body is BodyType.BINARY,
            data=b"".join(self._chunks) if self._stream is None else None,
            path=None if self._stream is None else self._files.path(self.queue_id),
        )
        self._chunks.clear()
        now = self._now()
        recipients = [
            QueuedRecipient(ordinal, to.address, to.notify, to.original, destinations[to.address], 0, now)
            for ordinal, to in enumerate(envelope.recipients)
        ]
        message = QueuedMessage(self.queue_id, now, envelope, origin, message_id, content, recipients)
        address = recipients[0].address if len(recipients) == 1 else ""
        received = Event(now, Kind.RECEIVED, self.queue_id, address, envelope.reverse_path, message_id, facts)
        return Accept(message, received)

    def abort(self) -> None:
        """Forget the message; harmless after commit."""
        if not self._ended:
            self._ended = True
            self._chunks.clear()
            self.undo()

    def undo(self) -> None:
        """Remove the body file of a message that will not exist."""
        if self._stream is not None:
            self._stream.discard()


def wire_octets_of(octets: bytes) -> int:
    """The size of stored octets on the wire, where every line ends in CRLF (RFC 1870 3)."""
    return len(octets) + octets.count(b"\n")
