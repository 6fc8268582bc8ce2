"""
A mailbox as POP3 reads it: the INBOX of a maildir, locked, listed once, changed only at the end (RFC 1939).

The same object is Hermes's :class:`hermes.interfaces.IStreamingMailbox` and Twisted's ``pop3.IMailbox``, so that Twisted's
own POP3 server, or anybody's, can serve it.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Callable
from io import FileIO
from typing import overload

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.mail.pop3 import IMailbox
from zope.interface import implementer

from hermes.core.message import Content
from hermes.core.reading_profile import PLAIN, ReadingProfile
from hermes.interfaces import IGroupWorker, IStreamingMailbox, MailboxDepartedError
from hermes.mailbox import maildir
from hermes.mailbox.cached import CachedFiles
from hermes.mailbox.departed import DepartedError
from hermes.mailbox.listing import Listing, scan
from hermes.mailbox.lock import MailboxLock
from hermes.mailbox.updating import Update

#: What other programs, or an earlier session, most often make of a name in new. Tried before cur is searched.
_USUAL_FLAGS = (b":2,", b":2,S")


class MessageFile(FileIO):
    """A message that is read by somebody who may not close it: Twisted's POP3 server never does."""

    def __del__(self) -> None:
        self.close()


@implementer(IStreamingMailbox, IMailbox)
class POP3Mailbox:
    """
    One session's view of a mailbox.

    ``account`` is the name of its owner. ``opened`` holds the paths of the mailboxes that sessions of this process have open;
    ``deleted`` is told how many octets were removed, and ``departed`` why there can be no mailbox yet. A message number that does
    not exist raises ValueError, as ``pop3.IMailbox`` wants it.
    """

    _log = Logger()

    def __init__(
        self,
        account: str,
        path: str,
        reader: IGroupWorker,
        now: Callable[[], float],
        opened: set[str],
        deleted: Callable[[int], None],
        departed: Callable[[DepartedError], None],
        cached: CachedFiles,
        reading: ReadingProfile = PLAIN,
    ) -> None:
        self.account = account
        self.reading = reading
        self._path = path
        self._reader = reader
        self._now = now
        self._opened = opened
        self._octets_deleted = deleted
        self._departed = departed
        self._cached = cached
        self._directories = {name: os.fsencode(os.path.join(path, name, "")) for name in ("new", "cur")}
        self._lock = MailboxLock(path)
        self._holds = False
        self._listing = Listing((), array("Q"))
        #: Of the listing; every command asks for it, some several times.
        self._count = 0
        self._deleted: set[int] = set()
        self._retrieved: set[int] = set()
        self._remaining_octets = 0

    async def open(self) -> bool:
        """
        Lock the mailbox for this session and read the list of messages; False when another session holds it.

        Raises MailboxDepartedError where there is none, and none may be made yet.
        """
        if self._path in self._opened:
            return False
        self._opened.add(self._path)
        self._holds = True
        listing: Listing | None = None
        try:
            listing = await self._reader.submit(self._lock_and_list)
        except DepartedError as error:
            self._departed(error)
            raise MailboxDepartedError(error.strerror, error.seconds) from None
        finally:
            if listing is None:
                # Taken by another process, failed, or given up by who waited: then the thread may have the lock by now.
                await self.close()
        if listing is None:
            return False
        self._listing = listing
        self._count = len(listing)
        self._remaining_octets = sum(listing.wire_sizes)
        return True

    def _lock_and_list(self) -> Listing | None:
        maildir.make(self._path)
        if not self._lock.acquire():
            return None
        maildir.remove_abandoned(self._path, self._now())
        return scan(self._path)

    async def close(self) -> None:
        """Release the lock. Marks that :meth:`update` has not carried out are forgotten, and so is the list."""
        if not self._holds:
            return
        self._holds = False
        # A session that is over may wait for the garbage collector for long: megabytes must not wait with it.
        self._listing = Listing((), array("Q"))
        self._count = 0
        self._deleted.clear()
        self._remaining_octets = 0
        try:
            # The worker is one thread: what it is doing with the mailbox is finished before the lock is given back.
            await self._reader.submit(self._lock.release)
        except RuntimeError:
            # The server is stopping and the worker has ended.
            self._lock.release()
        finally:
            self._opened.discard(self._path)

    def count(self) -> int:
        """How many messages there are, deleted ones included."""
        return self._count

    def size(self, number: int) -> int:
        """The size of a message; 0 when it is marked deleted."""
        self._check(number)
        return 0 if number in self._deleted else self._listing.wire_sizes[number]

    def total(self) -> tuple[int, int]:
        """The number of messages not marked deleted, and the sum of their sizes."""
        return len(self._listing) - len(self._deleted), self._remaining_octets

    def uid(self, number: int) -> str:
        """The unique id: the part of the file's name that never changes, or a digest of it."""
        self._check(number)
        return self._listing.unique_id(number)

    def queue_id(self, number: int) -> str:
        """The queue id under which the message came through Hermes; empty when it came in another way."""
        self._check(number)
        return maildir.queue_id_of(self._listing.name(number))

    def is_seen(self, number: int) -> bool:
        """True when the message has been read: it has the flag S."""
        self._check(number)
        return maildir.is_seen(self._listing.name(number))

    def arrived(self, number: int) -> float | None:
        """When the message came, as its name tells it; None when it does not."""
        self._check(number)
        return maildir.seconds_of(self._listing.name(number))

    def is_deleted(self, number: int) -> bool:
        """True when the message is marked deleted."""
        self._check(number)
        return number in self._deleted

    def delete(self, number: int) -> None:
        """Mark a message deleted."""
        self._check(number)
        if number not in self._deleted:
            self._deleted.add(number)
            self._remaining_octets -= self._listing.wire_sizes[number]

    def undelete_all(self) -> None:
        """Take all marks back."""
        self._deleted.clear()
        self._remaining_octets = sum(self._listing.wire_sizes)

    def mark_retrieved(self, number: int) -> None:
        """Remember that the message was fetched: :meth:`update` moves it to cur and marks it seen."""
        self._check(number)
        self._retrieved.add(number)

    def octets_at_once(self, number: int) -> bytes | None:
        """All of a small message that is where it was and that the system has in memory; None for any other."""
        self._check(number)
        listing = self._listing
        return self._cached.octets(self._directories[listing.directory(number)] + listing.name(number))

    async def content(self, number: int) -> Content:
        """Where the octets are now; FileNotFoundError when another program has removed the message."""
        self._check(number)
        listing = self._listing
        listed = listing.directory(number), listing.name(number)
        base = maildir.base_part(listed[1])
        for place in (listed, *(("cur", base + flags) for flags in _USUAL_FLAGS)):
            if (status := self._status(*place)) is not None:
                break
        else:
            place = await self._search(listing, number)
            status = self._status(*place)
        if status is None:
            raise FileNotFoundError(f"message {number + 1} is not a file")
        if place != listed:
            listing.moved(number, *place)
        return Content(
            size_octets=status.st_size,
            wire_octets=listing.wire_sizes[number],
            prefix_octets=0,
            path=self._at(*place),
        )

    def _at(self, directory: str, name: bytes) -> str:
        return os.path.join(self._path, directory, os.fsdecode(name))

    def _status(self, directory: str, name: bytes) -> os.stat_result | None:
        try:
            status = os.lstat(self._at(directory, name))
        except FileNotFoundError:
            return None
        # Something else under that name, a link above all, is not the message that was listed.
        return status if stat.S_ISREG(status.st_mode) else None

    async def _search(self, listing: Listing, number: int) -> tuple[str, bytes]:
        """Look for a message that another program has renamed, as every reader of a maildir has to expect."""
        if not listing.is_ambiguous(number):
            unique = maildir.unique_part(listing.name(number))
            # In the thread: a big mailbox takes a while.
            place: tuple[str, bytes] | None = await self._reader.submit(lambda: maildir.find(self._path, unique))
            if place is not None:
                return place
        raise FileNotFoundError(f"message {number + 1} is not in the mailbox any more")

    async def update(self) -> list[int]:
        """Do the deletions (RFC 1939 6) and mark what was read; the numbers of messages that could not be deleted."""
        listing = self._listing
        update = Update(
            self._path,
            deletions=[
                (number, listing.directory(number), listing.name(number), not listing.is_ambiguous(number))
                for number in sorted(self._deleted)
            ],
            seen=[(listing.directory(number), listing.name(number)) for number in self._retrieved - self._deleted],
        )
        failed: list[int] = await self._reader.submit(update.perform)
        self._octets_deleted(update.octets_deleted)
        for fault in update.faults:
            self._log.error("mailbox {path} could not be updated: {fault}", path=self._path, fault=fault)
        return failed

    def _check(self, number: int) -> None:
        if not 0 <= number < self._count:
            raise ValueError(f"there is no message {number + 1}")

    # What follows is twisted.mail.pop3.IMailbox.

    @overload
    def listMessages(self) -> list[int]: ...

    @overload
    def listMessages(self, i: int) -> int: ...

    def listMessages(self, i: int | None = None) -> int | list[int]:
        """The size of a message, or of all; 0 for those marked deleted."""
        if i is not None:
            return self.size(i)
        return [self.size(number) for number in range(len(self._listing))]

    def getMessage(self, index: int) -> Deferred[MessageFile]:
        """The message as an open file, opened in the worker."""
        if self.is_deleted(index):
            raise ValueError(f"message {index + 1} is deleted")
        return Deferred.fromCoroutine(self._message(index))

    async def _message(self, number: int) -> MessageFile:
        path = (await self.content(number)).path or ""
        opened: MessageFile = await self._reader.submit(lambda: MessageFile(path))
        return opened

    def getUidl(self, index: int) -> bytes:
        """The unique id as it goes over the wire."""
        return self.uid(index).encode("ascii")

    def deleteMessage(self, index: int) -> None:
        """Mark a message deleted."""
        self.delete(index)

    def undeleteMessages(self) -> None:
        """Take all marks back."""
        self.undelete_all()

    def sync(self) -> Deferred[None]:
        """Do the deletions. Twisted's POP3 server does not wait for it, so that a failure is logged here."""
        done = Deferred.fromCoroutine(self.update())
        return done.addCallbacks(
            lambda failed: None,
            lambda fault: self._log.failure("mailbox {path} could not be updated", fault, path=self._path),
        )
