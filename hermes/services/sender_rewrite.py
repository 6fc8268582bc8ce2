"""
Other senders for a provider that insists: the envelope's, and that of the From field.

The octets on disk stay as they are; what goes out has another header in front.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import attrs
from zope.interface import implementer

from hermes.core.from_field import with_from
from hermes.core.message import Content, QueuedMessage
from hermes.interfaces import IContentReader

#: Headers have some kilobytes; a message whose header does not end before this is not changed, and not sent.
MAX_HEADER_OCTETS = 256 * 1024


@attrs.frozen
class EditedContent(Content):
    """A message of which the first ``skip`` octets on disk are replaced by ``head`` (and the prefix is left out anyway)."""

    head: bytes = b""
    skip: int = 0


@implementer(IContentReader)
class SenderRewrite:
    """
    Puts ``envelope_sender`` into the envelope and ``from_address`` into the header; each may be empty.

    It is the reader for the messages that it has made, and for all others.
    """

    def __init__(self, reader: IContentReader, envelope_sender: str, from_address: str) -> None:
        self._reader = reader
        self._envelope_sender = envelope_sender
        self._from_address = from_address

    async def rewritten(self, message: QueuedMessage) -> QueuedMessage | None:
        """The message as it is to go out; None when its header has no end. The null sender stays (RFC 5321 4.5.5)."""
        envelope = message.envelope
        if self._envelope_sender and envelope.reverse_path:
            envelope = attrs.evolve(envelope, reverse_path=self._envelope_sender)
        if not self._from_address:
            return message if envelope is message.envelope else attrs.evolve(message, envelope=envelope)
        content = await self._edited(message.content)
        return None if content is None else attrs.evolve(message, envelope=envelope, content=content)

    async def _edited(self, content: Content) -> Content | None:
        header = await self._header(content)
        if header is None:
            return None
        head = with_from(header, self._from_address)
        grown = len(head) - len(header)
        return EditedContent(
            size_octets=content.size_octets + grown,
            # In the stored form a line ends in LF, and on the wire in CRLF.
            wire_octets=content.wire_octets
            + grown
            + (0 if content.binary else head.count(b"\n") - header.count(b"\n")),
            prefix_octets=content.prefix_octets,
            binary=content.binary,
            data=content.data,
            path=content.path,
            head=head,
            skip=content.prefix_octets + len(header),
        )

    async def _header(self, content: Content) -> bytes | None:
        """The fields before the empty line, or all there is where there is none; None when they are too long."""
        octets = b""
        async with aclosing(self._reader.chunks(content, content.prefix_octets)) as chunks:
            async for chunk in chunks:
                octets += chunk
                if (end := _end_of_header(octets)) is not None:
                    return octets[:end]
                if len(octets) > MAX_HEADER_OCTETS:
                    return None
        return octets if octets.endswith(b"\n") or not octets else octets + b"\n"

    def chunks(self, content: Content, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The octets of a message, the new header first where there is one."""
        if isinstance(content, EditedContent):
            return self._with_head(content)
        chunks: AsyncGenerator[bytes, None] = self._reader.chunks(content, offset)
        return chunks

    async def _with_head(self, content: EditedContent) -> AsyncGenerator[bytes, None]:
        yield content.head
        async with aclosing(self._reader.chunks(content, content.skip)) as chunks:
            async for chunk in chunks:
                yield chunk


def _end_of_header(octets: bytes) -> int | None:
    """Where the empty line begins; None when it has not been seen."""
    if octets.startswith((b"\n", b"\r\n")):
        return 0
    ends = [end + 1 for empty in (b"\n\n", b"\n\r\n") if (end := octets.find(empty)) >= 0]
    return min(ends, default=None)
