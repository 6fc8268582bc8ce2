"""What comes of a queued message in the place of one of its recipients: what all of that has in common."""

from __future__ import annotations

from contextlib import aclosing

from hermes.core.event import Event, Kind
from hermes.core.header_facts import MAX_HEADER_OCTETS
from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.interfaces import IContentReader

#: Of a line that the trace keeps: a rule, or the addresses of a list, may be as long as a file.
MAX_TOLD_CHARACTERS = 300

#: NOTIFY of those about whom nobody is told anything (RFC 3461 4.1).
NEVER = frozenset({"NEVER"})


def event_of(at: float, kind: Kind, message: QueuedMessage, parent: QueuedRecipient, facts: dict[str, str]) -> Event:
    """What the trace says of it."""
    return Event(at, kind, message.queue_id, parent.address, message.envelope.reverse_path, "", dict(facts))


async def beginning_of(reader: IContentReader, message: QueuedMessage) -> bytes:
    """The header, and as much behind it as is read at once."""
    beginning = b""
    async with aclosing(reader.chunks(message.content, message.content.prefix_octets)) as pieces:
        async for piece in pieces:
            beginning += piece
            if len(beginning) >= MAX_HEADER_OCTETS:
                break
    return beginning[:MAX_HEADER_OCTETS]


def original_of(parent: QueuedRecipient) -> str:
    """ORCPT: what the sender gave, or the address as the sender wrote it, so that reports name that one (RFC 3461 4.2)."""
    if parent.original is not None:
        return parent.original
    # RFC 6533 3: the type for what is not ASCII.
    return f"{'rfc822' if parent.address.isascii() else 'utf-8'};{parent.address}"
