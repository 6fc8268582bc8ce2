"""
Brings mail that was kept elsewhere into a mailbox: durably, each message once however often it is begun, beside a running server.

A message goes into the maildir as a delivery does, which needs no lock: whoever reads the mailbox just now sees it the next time.
The steps for a group of messages: they become durable in the maildir; the trace hears of them; the record of what was imported
becomes durable; and only then they are counted as imported. Their names follow from what they hold, so a process that dies in
between leaves messages that the next one finds.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b

import attrs

from hermes.config.durable import sync_directory
from hermes.core.archived import DIGEST_OCTETS, Keeping
from hermes.core.event import Event, Kind
from hermes.core.header_facts import look
from hermes.core.identifiers import imported_id
from hermes.core.units import format_instant
from hermes.mailbox import folders, maildir
from hermes.mailbox.deposit import Deposit, Depositor
from hermes.mailbox.import_message import Incoming
from hermes.mailbox.import_record import MAX_REMEMBERED, ImportRecord
from hermes.mailbox.kept_mail import Heading, Source, Unreadable
from hermes.mailbox.quota import used_octets

#: What becomes durable together, at most, and is done again when a process dies: a second's work, in so much memory.
GROUP_MESSAGES = 512
GROUP_OCTETS = 16 * 1024**2

#: How long a count of what the mailbox holds is good for, since a server delivers into it meanwhile.
FRESH_SECONDS = 10.0

#: Messages of which it is told why they were not imported; for the others there are counts.
MAX_PROBLEMS = 50

# SECONDS "." NUMBER "-" ID "_0." IDENTITY; the number is the place in the source, since many messages may be of one second
_IMPORTED = re.compile(rb"\d{1,11}\.\d{1,10}-M[0-9A-Z]{11}_0\.([0-9a-f]{32})(?=[,:]|\Z)")

_TEMPORARY = "import."


class MailboxFullError(Exception):
    """The next message does not fit; those before it are imported."""


@attrs.define
class Imported:
    """
    How far it has come.

    ``octets`` are those of the messages ``imported``; ``already`` were imported before, ``passed_over`` are no messages, by why.
    ``problems`` say what could not be imported, and why; there are ``failed`` of them.
    """

    imported: int = 0
    octets: int = 0
    already: int = 0
    passed_over: Counter[str] = attrs.field(factory=Counter)
    failed: int = 0
    problems: list[str] = attrs.field(factory=list)

    def problem(self, label: str, reason: str) -> None:
        """Count one that could not be imported."""
        self.failed += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(f"{label}: {reason}")


@attrs.frozen
class Limits:
    """A message has ``message_octets`` at most, and the mailbox ``mailbox_octets``, or any number when that is 0."""

    message_octets: int
    mailbox_octets: int


@attrs.frozen
class Place:
    """Whose mailbox it is, where it is, and the directory of the folder in it that the mail goes to."""

    account: str
    path: str
    folder: str = ""


@attrs.define
class _Ready:
    """A message that goes to the disk with the next group; without a deposit it is there, and only its record is missing."""

    identity: str
    event: Event
    octets: int
    deposit: Deposit | None
    temporary: str | None


class Importer:
    """
    One import into a mailbox that is there and whose record is open.

    ``tell`` puts events into the trace, and hears how many octets have come with them; it raises nothing. ``now`` gives seconds
    since the epoch.
    """

    def __init__(
        self,
        place: Place,
        record: ImportRecord,
        limits: Limits,
        *,
        tell: Callable[[Sequence[Event], int], None],
        now: Callable[[], float],
    ) -> None:
        self._place = place
        self._record = record
        self._limits = limits
        self._tell = tell
        self._now = now
        self._depositor = Depositor()
        self._group: list[_Ready] = []
        self._group_octets = 0
        #: Folders that are made, and in which what an earlier process has left was looked for.
        self._folders: dict[str, str] = {}
        #: What is in the mailbox, and not in the record.
        self._unrecorded: set[str] = set()
        #: How often each text has come from this source, by folder and digest: who has kept a message twice gets it twice.
        self._met: Counter[bytes] = Counter()
        self._used = 0
        self._used_at = float("-inf")
        self._number = 0
        self.so_far = Imported()

    def run(self, source: Source) -> None:
        """
        Import all of a source; what has been done at any time is in ``so_far``.

        Raises OSError when the disk fails, :class:`MailboxFullError`, and what the source raises.
        """
        _clear_away(self._place.path)
        incoming: Incoming | None = None
        try:
            for item in source.items():
                if isinstance(item, bytes):
                    assert incoming is not None
                    incoming.feed(item)
                    continue
                if isinstance(item, Unreadable):
                    # It may be the message that has begun.
                    if incoming is not None and incoming.heading.label == item.label:
                        incoming.close()
                        incoming = None
                    self.so_far.problem(item.label, item.reason)
                    continue
                if incoming is not None:
                    self._finish(incoming)
                incoming = self._begin(item, source.keeping)
            if incoming is not None:
                self._finish(incoming)
                incoming = None
            self._commit()
        except MailboxFullError:
            self._commit()
            raise
        finally:
            if incoming is not None:
                incoming.close()

    def _begin(self, heading: Heading, keeping: Keeping) -> Incoming:
        self._number += 1
        temporary = os.path.join(self._place.path, "tmp", f"{_TEMPORARY}{os.getpid()}.{self._number}")
        return Incoming(heading, keeping, temporary, self._limits.message_octets)

    def _finish(self, incoming: Incoming) -> None:
        """The message is whole: find out what it is, and put it into the group."""
        heading = incoming.heading
        if incoming.broken:
            self.so_far.problem(heading.label, incoming.broken)
            return
        digest = incoming.finish()
        gone = incoming.state.gone or ("" if incoming.octets else "empty")
        if gone:
            self.so_far.passed_over[gone] += 1
            incoming.close()
            return
        try:
            folder = self._folder(heading.folder)
        except ValueError as error:
            # Its name has become too long.
            self.so_far.problem(heading.label, str(error))
            incoming.close()
            return
        identity = self._identity(folder, digest)
        if identity in self._record.known:
            self.so_far.already += 1
            incoming.close()
            return
        if len(self._record.known) + len(self._group) >= MAX_REMEMBERED:
            incoming.close()
            raise MailboxFullError(
                f"{MAX_REMEMBERED} messages have been imported into it, and no more can be remembered"
            )
        if identity not in self._unrecorded:
            self._make_room(incoming)
        self._add(incoming, folder, identity)

    def _identity(self, folder: str, digest: bytes) -> str:
        place = os.fsencode(folder) + b"\0"
        self._met[place + digest] += 1
        ordinal = self._met[place + digest]
        return blake2b(place + digest + b"%d" % ordinal, digest_size=DIGEST_OCTETS).hexdigest()

    def _folder(self, name: str) -> str:
        """The folder that the mail of a folder goes to, which is made when it is first needed; ValueError when it can not be."""
        folder = self._place.folder + name
        if folder not in self._folders:
            if folder:
                folders.check(folder)
            path = self._folders[folder] = folders.make(self._place.path, folder)
            _clear_away(path)
            found = {
                match[1].decode("ascii")
                for directory in ("new", "cur")
                for entry in maildir.messages_in(os.fsencode(os.path.join(path, directory)))
                if (match := _IMPORTED.match(entry.name))
            }
            unrecorded = found - self._record.known
            if unrecorded:
                # They are there, but a process died before it knew that for certain.
                for directory in ("new", "cur"):
                    sync_directory(os.path.join(path, directory))
                self._unrecorded |= unrecorded
        return folder

    def _make_room(self, incoming: Incoming) -> None:
        limit = self._limits.mailbox_octets
        if not limit:
            return
        for fresh_seconds in (FRESH_SECONDS, 0.0):
            if self._now() - self._used_at >= fresh_seconds:
                self._used = used_octets(self._place.path)
                self._used_at = self._now()
            if self._used + self._group_octets + incoming.octets <= limit:
                return
        incoming.close()
        held, label = self._used + self._group_octets, incoming.heading.label
        raise MailboxFullError(f"it holds {held} octets and may hold {limit}: {label} has {incoming.octets}")

    def _add(self, incoming: Incoming, folder: str, identity: str) -> None:
        heading, state, octets = incoming.heading, incoming.state, incoming.octets
        incoming.make_durable()
        queue_id = imported_id(bytes.fromhex(identity))
        at = self._now() if heading.at is None else min(max(heading.at, 0.0), self._now())
        flags = "".join(sorted(set(heading.flags + state.flags)))
        is_old = heading.is_old or state.is_old
        # Ten digits: the names are sorted as text, and before 2001 a time had nine.
        unique = f"{int(at):010}.{self._number:07}-{queue_id}_0.{identity}"
        name = maildir.sized(unique, octets, octets + incoming.lines)
        deposit = Deposit(
            self._folders[folder],
            [f"{name}:2,{flags}" if is_old else name],
            incoming.octets_in_memory(),
            incoming.temporary,
            False,
            "cur" if is_old else "new",
            at,
        )
        is_there = identity in self._unrecorded
        event = self._event(queue_id, incoming, folder, at)
        self._group.append(_Ready(identity, event, octets, None if is_there else deposit, incoming.temporary))
        if incoming.temporary is None:
            self._group_octets += octets
        else:
            # A large one goes at once: its file in tmp shall not be there for long.
            self._commit()
            incoming.close()
        if len(self._group) >= GROUP_MESSAGES or self._group_octets >= GROUP_OCTETS:
            self._commit()

    def _event(self, queue_id: str, incoming: Incoming, folder: str, at: float) -> Event:
        found = look(incoming.header)
        facts: dict[str, str | int | float | bool | None] = {
            "service": "import",
            "size_octets": incoming.octets + incoming.lines,
            "arrived": format_instant(at),
        }
        if folder:
            facts["folder"] = folder
        return Event(self._now(), Kind.IMPORTED, queue_id, self._place.account, None, found.message_id, facts)

    def _commit(self) -> None:
        """Make a group durable, tell of it, and remember it; then it is imported."""
        group, self._group = self._group, []
        self._group_octets = 0
        deposits = [ready.deposit for ready in group if ready.deposit is not None]
        results = iter(self._depositor.perform(deposits))
        faults = [None if ready.deposit is None else next(results) for ready in group]
        done = [ready for ready, fault in zip(group, faults, strict=True) if fault is None]
        octets = sum(ready.octets for ready in done if ready.deposit is not None)
        if done:
            self._tell([ready.event for ready in done], octets)
            self._record.add(ready.identity for ready in done)
        self._used += octets
        self._record.known.update(ready.identity for ready in done)
        self.so_far.imported += len(done)
        self.so_far.octets += octets
        for fault in filter(None, faults):
            raise fault


def _clear_away(path: str) -> None:
    """Remove what an import that died has left in tmp; the mailbox is locked, so nobody else is importing."""
    for entry in maildir.messages_in(os.fsencode(os.path.join(path, "tmp"))):
        if entry.name.startswith(_TEMPORARY.encode()) or _IMPORTED.match(entry.name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry.path)
