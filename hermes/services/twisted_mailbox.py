"""
A mailbox that a Twisted programmer wrote, in the shape in which Hermes reads mailboxes.

Any ``twisted.mail.pop3.IMailbox`` plugs into Hermes's POP3 server through this: its sizes are asked for once, its messages
are read piece by piece, and where it answers with a Deferred it is waited for.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import IO

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.mail.pop3 import IMailbox
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.core.message import Content
from hermes.core.reading_profile import PLAIN
from hermes.interfaces import IContentReader, IStreamingMailbox

_log = Logger()

#: One piece of a message: what a transport buffers before it asks for a pause.
PIECE_OCTETS = 64 * 1024


@attrs.frozen
class _ForeignContent(Content):
    """Octets that only the mailbox itself can give."""

    number: int = 0


@implementer(IStreamingMailbox, IContentReader)
class TwistedMailbox:
    """An ``IMailbox``, and the reader of its messages."""

    account = ""
    reading = PLAIN

    def __init__(self, mailbox: IMailbox) -> None:
        self._mailbox = mailbox
        self._sizes: list[int] = []
        self._deleted: set[int] = set()
        self._deletions: list[Deferred[None]] = []
        self._failed: set[int] = set()

    async def open(self) -> bool:
        """Ask for the sizes. Such a mailbox has no lock that we could know of."""
        self._sizes = list(await maybeDeferred(self._mailbox.listMessages))
        # By the contract a size of 0 stands for a message that is gone.
        self._deleted = {number for number, size in enumerate(self._sizes) if not size}
        return True

    def count(self) -> int:
        """How many messages there are, deleted ones included."""
        return len(self._sizes)

    def size(self, number: int) -> int:
        """The size that the mailbox gave; 0 when the message is marked deleted."""
        return 0 if number in self._deleted else self._sizes[number]

    def total(self) -> tuple[int, int]:
        """The number of messages not marked deleted, and the sum of their sizes."""
        return len(self._sizes) - len(self._deleted), sum(
            size for number, size in enumerate(self._sizes) if number not in self._deleted
        )

    def uid(self, number: int) -> str:
        """The unique id, which the contract has in octets; text is understood too."""
        uid: bytes | str = self._mailbox.getUidl(number)
        return uid if isinstance(uid, str) else uid.decode("ascii")

    def queue_id(self, number: int) -> str:
        """Nothing is known of how the message came."""
        return ""

    def is_seen(self, number: int) -> bool:
        """The contract has no word for it."""
        return False

    def arrived(self, number: int) -> float | None:
        """Nothing is known of when the message came."""
        return None

    def is_deleted(self, number: int) -> bool:
        """True when the message is marked deleted."""
        return number in self._deleted

    def delete(self, number: int) -> None:
        """Mark a message deleted; ValueError comes from a mailbox that will not have it deleted."""
        deletion = self._mailbox.deleteMessage(number)
        if isinstance(deletion, Deferred):
            self._deletions.append(deletion.addCallbacks(lambda _: None, self._deletion_failed, errbackArgs=(number,)))
        self._deleted.add(number)

    def undelete_all(self) -> None:
        """Take all marks back."""
        self._mailbox.undeleteMessages()
        self._deleted = {number for number, size in enumerate(self._sizes) if not size}

    def octets_at_once(self, number: int) -> None:
        """The contract has no such thing."""

    async def content(self, number: int) -> Content:
        """What :meth:`chunks` takes."""
        size = self._sizes[number]
        return _ForeignContent(size_octets=size, wire_octets=size, prefix_octets=0, number=number)

    def mark_retrieved(self, number: int) -> None:
        """Such a mailbox does not keep what was read."""

    async def update(self) -> list[int]:
        """Have the mailbox carry out the deletions; the numbers that it refused late."""
        for deletion in self._deletions:
            await deletion
        await maybeDeferred(self._mailbox.sync)
        return sorted(self._failed & self._deleted)

    async def close(self) -> None:
        """Nothing is held; ``logout`` follows."""

    def _deletion_failed(self, failure: Failure, number: int) -> None:
        _log.failure("a mailbox did not delete message {number}", failure=failure, number=number + 1)
        self._failed.add(number)

    async def chunks(self, content: Content, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The octets of a message, read from the file-like object that the mailbox gives."""
        if not isinstance(content, _ForeignContent):
            raise TypeError("this content belongs to another mailbox")
        file: IO[bytes] = await maybeDeferred(self._mailbox.getMessage, content.number)
        try:
            file.seek(offset)
            while piece := file.read(PIECE_OCTETS):
                yield piece
        finally:
            file.close()
