"""
A mailbox as one login sees it: by the account's profile and the constraints of the login, not every message is in it.

The messages that are shown have numbers of their own, from 0; all else is the mailbox's. What is not shown is neither counted
nor deleted by accident.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from contextlib import aclosing

from zope.interface import implementer

from hermes.core.header import Header
from hermes.core.header_facts import MAX_HEADER_OCTETS, header_end
from hermes.core.login_constraint import Constraints
from hermes.core.message import Content
from hermes.core.reading_profile import PLAIN, ReadingProfile
from hermes.interfaces import IContentReader, IStreamingMailbox


@implementer(IStreamingMailbox)
class MailboxView:
    """Shows those of ``mailbox`` that ``numbers`` lists."""

    def __init__(self, mailbox: IStreamingMailbox, numbers: array[int], reading: ReadingProfile) -> None:
        self.account: str = mailbox.account
        self.reading = reading
        self._mailbox = mailbox
        self._numbers = numbers
        self._position = {number: position for position, number in enumerate(numbers)}
        self._shown_octets = sum(self.size(number) for number in range(len(numbers)))
        self._octets = self._shown_octets
        self._marked = 0

    def _number(self, number: int) -> int:
        # A negative number would count from the end.
        if not 0 <= number < len(self._numbers):
            raise ValueError(f"there is no message {number + 1}")
        return self._numbers[number]

    async def open(self) -> bool:
        """The mailbox was opened before anybody could look at it."""
        return True

    def count(self) -> int:
        """How many messages there are, deleted ones included."""
        return len(self._numbers)

    def size(self, number: int) -> int:
        """The size of a message with what is put in front of it; 0 when it is marked deleted."""
        octets: int = self._mailbox.size(self._number(number))
        return octets and octets + len(self.status_line(number)) + (1 if self.reading.show_status else 0)

    def status_line(self, number: int) -> bytes:
        """The line that tells whether a message has been read, in its stored form; empty where none is wanted."""
        if not self.reading.show_status:
            return b""
        return b"Status: RO\n" if self.is_seen(number) else b"Status: N\n"

    def total(self) -> tuple[int, int]:
        """The number of messages not marked deleted, and the sum of their sizes."""
        return len(self._numbers) - self._marked, self._octets

    def uid(self, number: int) -> str:
        """The unique id."""
        uid: str = self._mailbox.uid(self._number(number))
        return uid

    def queue_id(self, number: int) -> str:
        """The id under which the message came through the queue; empty when that is not known."""
        queue_id: str = self._mailbox.queue_id(self._number(number))
        return queue_id

    def is_seen(self, number: int) -> bool:
        """True when the message has been read."""
        seen: bool = self._mailbox.is_seen(self._number(number))
        return seen

    def arrived(self, number: int) -> float | None:
        """When the message came."""
        at: float | None = self._mailbox.arrived(self._number(number))
        return at

    def is_deleted(self, number: int) -> bool:
        """True when the message is marked deleted."""
        deleted: bool = self._mailbox.is_deleted(self._number(number))
        return deleted

    def delete(self, number: int) -> None:
        """Mark a message deleted, unless nothing is to be deleted by this account: then nothing happens."""
        if not self.reading.no_delete and not self.is_deleted(number):
            octets = self.size(number)
            self._mailbox.delete(self._number(number))
            self._octets -= octets
            self._marked += 1

    def undelete_all(self) -> None:
        """Take all marks back."""
        self._mailbox.undelete_all()
        self._octets = self._shown_octets
        self._marked = 0

    def octets_at_once(self, number: int) -> bytes | None:
        """The octets of a small message where they can be had without a wait."""
        octets: bytes | None = self._mailbox.octets_at_once(self._number(number))
        return octets

    async def content(self, number: int) -> Content:
        """Where the octets of the message are."""
        content: Content = await self._mailbox.content(self._number(number))
        return content

    def mark_retrieved(self, number: int) -> None:
        """Remember that the message was fetched, where that makes it read."""
        if self.reading.mark_read:
            self._mailbox.mark_retrieved(self._number(number))

    async def update(self) -> list[int]:
        """Do the deletions; the numbers of messages that could not be deleted."""
        return [self._position[number] for number in await self._mailbox.update()]

    async def close(self) -> None:
        """Release the lock."""
        await self._mailbox.close()


async def view_of(
    mailbox: IStreamingMailbox,
    reader: IContentReader,
    constraints: Constraints | None,
    wanted: Callable[[], bool],
) -> IStreamingMailbox:
    """
    What a login sees of an open mailbox: the mailbox itself where nothing is different.

    Headers are read only where the constraints are about them; when ``wanted`` says no, nobody waits for it any more.
    """
    reading: ReadingProfile = mailbox.reading
    constraints = constraints or Constraints()
    if constraints == Constraints() and is_plain(reading):
        return mailbox
    unread = constraints.unread or not reading.show_read
    since = constraints.since.timestamp() if constraints.since is not None else None
    numbers = array("Q")
    for number in range(mailbox.count()):
        if not wanted():
            break
        if unread and mailbox.is_seen(number):
            continue
        at = mailbox.arrived(number)
        if since is not None and at is not None and at < since:
            continue
        if constraints.reads_header and not constraints.wants(await _header(mailbox, reader, number)):
            continue
        numbers.append(number)
    return MailboxView(mailbox, numbers, reading)


def is_plain(reading: ReadingProfile) -> bool:
    """Whether a profile asks for nothing that a session does not do by itself; expiry is not its business."""
    return reading.over(PLAIN) == ReadingProfile(expire_seconds=reading.expire_seconds).over(PLAIN)


async def _header(mailbox: IStreamingMailbox, reader: IContentReader, number: int) -> Header:
    held = b""
    try:
        content = await mailbox.content(number)
        async with aclosing(reader.chunks(content)) as pieces:
            async for piece in pieces:
                held += piece
                if header_end(held) >= 0 or len(held) >= MAX_HEADER_OCTETS:
                    break
    except FileNotFoundError:
        # Another program has taken it away: it is told when somebody asks for it.
        return Header(b"")
    end = header_end(held)
    return Header(held[:end] if end >= 0 else held[:MAX_HEADER_OCTETS], whole=end >= 0)
