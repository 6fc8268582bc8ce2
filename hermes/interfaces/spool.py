"""The seams of the queue store: messages that come in, lie there, are read, and the facts about them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Container, Mapping, Sequence

from zope.interface import Attribute, Interface

from hermes.core.envelope import Envelope, Origin
from hermes.core.event import Event
from hermes.core.message import Content, NewMessage, QueuedMessage, Replaced, Settlement
from hermes.core.order import Chosen, Order
from hermes.core.selection import Selection


class SpoolFullError(Exception):
    """The disk has no room: the message was not accepted; answer 452 (RFC 5321 4.2.3)."""


class IJournal(Interface):
    """Where facts about messages go: the trace and the mail log."""

    def record(event: Event) -> None:
        """Store a fact soon; it is not waited for, and a fault in storing it never harms the message."""


class ISpoolWriter(Interface):
    """A message that is coming in. Either :meth:`commit` or :meth:`abort` ends it."""

    queue_id = Attribute("The id that the message will have, known from the start so that Received: can name it.")
    congested = Attribute("True while more waits to be written than should: await drained() before the next write.")
    size_octets = Attribute(
        "How many octets have been written, the prefix included: what the message takes where it lies."
    )

    def write(chunk: bytes) -> None:
        """Append octets in the stored form (:class:`hermes.core.message.Content`); the prefix first."""

    async def drained() -> None:
        """Return when writing has caught up; raise SpoolFullError when the disk is full."""

    async def content() -> Content:
        """Where the octets are that have been written so far, with ``data`` or ``path`` set, to be read before commit."""

    async def insert(offset: int, octets: bytes) -> None:
        """Put octets between those that have been written; nothing may be written afterwards. Raises SpoolFullError."""

    async def commit(
        envelope: Envelope,
        origin: Origin,
        destinations: Mapping[str, str],
        message_id: str,
        wire_octets: int,
        prefix_octets: int,
        facts: Mapping[str, str | int | float | bool | None],
    ) -> QueuedMessage:
        """
        Make message and envelope durable, with a RECEIVED event holding ``facts``; afterwards 250 may be sent.

        ``destinations`` maps each recipient's address to the router's word for it. Raises SpoolFullError when there is no room.
        """

    def abort() -> None:
        """Forget the message; harmless after commit."""


class ISpool(Interface):
    """The durable queue store. All times are seconds since the epoch."""

    def create() -> ISpoolWriter:
        """Begin a message. Octets are kept in memory while they are few and go to a file when they are many."""

    async def content(queue_id: str) -> Content:
        """Where the octets of a message are, with ``data`` or ``path`` set; raise KeyError when it is gone."""

    async def due(now: float, limit: int, busy: Container[str], active: Collection[str]) -> list[QueuedMessage]:
        """
        Up to ``limit`` messages with recipients (only these are in them) that are QUEUED and due, longest due first;
        none for the destinations in ``busy`` and none with a queue id in ``active``. Content may have neither data nor path: then
        :meth:`content` is to be asked.
        """

    async def next_due(busy: Container[str], active: Collection[str]) -> float | None:
        """When the next recipient is due that :meth:`due` would then return; None when there is none."""

    async def settle(
        queue_id: str, settlements: Sequence[Settlement], events: Sequence[Event], reports: Sequence[NewMessage] = ()
    ) -> list[QueuedMessage]:
        """
        Record the end of an attempt in one transaction: what became of recipients, the events, and reports to be queued.

        A message without unfinished recipients is removed with its octets. Returns the queued reports.
        """

    async def replace(
        queue_id: str, replaced: Sequence[Replaced], events: Sequence[Event], messages: Sequence[NewMessage]
    ) -> list[QueuedMessage] | None:
        """
        Put other recipients in the place of some, and queue new messages, in one transaction; the first event is found by
        the new recipients' addresses. Returns the new messages.

        None, and nothing has been done, when one of those that were to be replaced is not waiting any more.
        """

    async def select(queue_id: str | None, limit: int | None = None) -> list[QueuedMessage]:
        """One message or all, oldest first, with every unfinished recipient; no more than ``limit``, when that is given."""

    async def hold(queue_id: str, event: Event) -> bool:
        """Stop all recipients of a message; False when there is no such message."""

    async def release(queue_id: str, event: Event) -> bool:
        """Let held recipients go on, now."""

    async def retry(queue_id: str | None, event: Event, now: float) -> int:
        """
        Make waiting recipients due now (held ones stay held); the number of messages touched.

        Each of these has the event, with its own queue id.
        """

    async def remove(queue_id: str, event: Event) -> bool:
        """Take a message out of the queue without telling anybody."""

    async def choose(selection: Selection, after: str = "") -> Chosen:
        """One step through the queue: the recipients that a selection names among the next messages after ``after``."""

    async def change(order: Order, event: Event, after: str = "") -> Chosen:
        """
        Carry an order out on the next messages after ``after``, durably, and say on whom: every action but RETURN.

        Each of these messages has the event, with its own queue id and the number of recipients.
        """

    async def record(events: Sequence[Event]) -> None:
        """Store facts that stand alone."""

    async def track(query: str, limit: int) -> list[Event]:
        """The events of the messages that a queue id, an address or a Message-ID names, newest last."""

    async def flush() -> None:
        """Return when all that was handed over is durable."""


class IContentReader(Interface):
    """Reads a message's octets without stopping the reactor."""

    def chunks(content: Content, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The stored octets from ``offset`` on, in pieces of at most 64 KiB; whoever stops early calls ``aclose``."""
