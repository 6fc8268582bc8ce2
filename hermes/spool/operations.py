"""
What the thread of the spool is asked to do, one class each.

A write is applied to a transaction that it shares with everything else that waits; a read runs after that transaction
has been committed. Both yield the result that the asker awaits.
"""

from __future__ import annotations

import abc
import sqlite3
from collections.abc import Callable, Collection, Container, Sequence

import attrs
from typing_extensions import override

from hermes.core.event import Event
from hermes.core.message import Content, Finished, QueuedMessage, Replaced, Settlement, Signature
from hermes.spool import schedule, trace
from hermes.spool.rows import MESSAGE_COLUMNS, content_of, read_message
from hermes.spool.transaction import Transaction

#: Recipients read by one step of a listing, or touched by one step of a retry of everything (and those of the last message
#: beside): some milliseconds, for which commits wait.
STEP_RECIPIENTS = 1000

#: Octets that come with the messages that are due; those of the others are asked for when it is their turn. Enough for a page of
#: messages of usual size, and little beside what the messages in work may take (:data:`hermes.queue.active.MAX_OCTETS`).
READ_AHEAD_OCTETS = 4 * 1024 * 1024

# The plus keeps the planner from going by the index of states, in which everything stands under one or two.
_EXISTS = "SELECT 1 FROM messages WHERE queue_id = ?"
_CONTENT = f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE queue_id = ?"  # noqa: S608 - constants only
_BODY = "SELECT octets FROM bodies WHERE queue_id = ?"
_IDS_AFTER = "SELECT queue_id FROM recipients WHERE queue_id > ? ORDER BY queue_id LIMIT ?"
_HOLD = "UPDATE recipients SET state = 'held' WHERE queue_id = ? AND +state <> 'held'"
_RELEASE = (
    "UPDATE recipients SET state = 'queued', next_attempt_at = ?, released = released | 1"
    " WHERE queue_id = ? AND +state = 'held'"
)
_RETRY = "UPDATE recipients SET next_attempt_at = ? WHERE queue_id = ? AND +state = 'queued'"
_WAITING_AFTER = "SELECT queue_id FROM recipients WHERE queue_id > ? AND +state = 'queued' ORDER BY queue_id LIMIT ?"
_WAITING_ORDINALS = "SELECT ordinal FROM recipients WHERE queue_id = ? AND +state = 'queued'"
_IS_WAITING = "SELECT 1 FROM recipients WHERE queue_id = ? AND +state = 'queued' LIMIT 1"
_REMOVE = tuple(
    f"DELETE FROM {table} WHERE queue_id = ?"  # noqa: S608 - constants only
    for table in ("recipients", "bodies", "signatures", "messages")
)


_KEEP_SIGNATURE = """
    INSERT OR REPLACE INTO signatures (queue_id, variant, names, lines)
    SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM messages WHERE queue_id = ?1)
"""
_SIGNATURE = "SELECT lines, names FROM signatures WHERE queue_id = ? AND variant = ?"


class Write(abc.ABC):
    """Something that changes the spool."""

    __slots__ = ()

    @abc.abstractmethod
    def apply(self, transaction: Transaction) -> object:
        """Do it, or have it done when the transaction is written. May be called again after a roll-back."""


class Read(abc.ABC):
    """Something that only looks."""

    __slots__ = ()

    @abc.abstractmethod
    def read(self, connection: sqlite3.Connection) -> object:
        """Look."""


@attrs.define
class Accept(Write):
    """A message that came in, its body file (if it has one) being durable already."""

    message: QueuedMessage
    received: Event

    @override
    def apply(self, transaction: Transaction) -> None:
        """Gather its rows."""
        transaction.add_message(self.message, self.received)


@attrs.define
class Settle(Write):
    """The end of an attempt; yields True when the message is gone and had a body file."""

    queue_id: str
    settlements: Sequence[Settlement]
    events: Sequence[Event]
    reports: Sequence[Accept]
    has_file: bool

    @override
    def apply(self, transaction: Transaction) -> bool:
        """Gather the rows."""
        for report in self.reports:
            report.apply(transaction)
        for event in self.events:
            transaction.add_event(event)
        transaction.settle(self.queue_id, self.settlements)
        if not self.has_file:
            return False
        transaction.write()
        return transaction.connection.execute(_EXISTS, (self.queue_id,)).fetchone() is None


@attrs.define
class Replace(Write):
    """
    Other recipients in the place of some, with new messages; yields whether that was done, and whether the body file is free.

    Nothing is done when one of them is not waiting any more: the message was removed or held meanwhile.
    """

    queue_id: str
    replaced: Sequence[Replaced]
    events: Sequence[Event]
    messages: Sequence[Accept]
    has_file: bool

    @override
    def apply(self, transaction: Transaction) -> tuple[bool, bool]:
        """Gather the rows, after a look at what is there."""
        transaction.write()
        waiting = {ordinal for (ordinal,) in transaction.connection.execute(_WAITING_ORDINALS, (self.queue_id,))}
        if not waiting.issuperset(each.ordinal for each in self.replaced):
            return False, False
        for each in self.replaced:
            transaction.add_recipients(self.queue_id, each.recipients)
        transaction.settle(self.queue_id, [Finished(each.ordinal) for each in self.replaced])
        for message in self.messages:
            message.apply(transaction)
        addresses = [recipient.address for each in self.replaced for recipient in each.recipients]
        for number, event in enumerate(self.events):
            # By the addresses that it stands for the message is found, too.
            transaction.add_event(event, addresses if not number else ())
        if not self.has_file:
            return True, False
        transaction.write()
        return True, transaction.connection.execute(_EXISTS, (self.queue_id,)).fetchone() is None


@attrs.define
class Record(Write):
    """Facts that stand alone."""

    events: Sequence[Event]

    @override
    def apply(self, transaction: Transaction) -> None:
        """Gather their rows."""
        for event in self.events:
            transaction.add_event(event, (event.address, event.reverse_path, event.message_id))


@attrs.define
class Hold(Write):
    """Stop all recipients of a message; yields False when there is no such message."""

    queue_id: str
    event: Event

    @override
    def apply(self, transaction: Transaction) -> bool:
        """Stop them."""
        return _change(transaction, self.event, self.queue_id, _HOLD, (self.queue_id,))


@attrs.define
class Release(Write):
    """Let the held recipients of a message go on; yields False when there is no such message."""

    queue_id: str
    event: Event

    @override
    def apply(self, transaction: Transaction) -> bool:
        """Let them go on, now."""
        return _change(transaction, self.event, self.queue_id, _RELEASE, (self.event.at, self.queue_id))


def _change(
    transaction: Transaction, event: Event, queue_id: str, statement: str, values: tuple[str | float, ...]
) -> bool:
    transaction.write()
    if transaction.connection.execute(_EXISTS, (queue_id,)).fetchone() is None:
        return False
    transaction.connection.execute(statement, values)
    transaction.add_event(event)
    return True


@attrs.define
class Retry(Write):
    """Make a message due; yields whether it had waiting recipients."""

    queue_id: str
    event: Event
    now: float

    @override
    def apply(self, transaction: Transaction) -> bool:
        """Make it due."""
        transaction.write()
        if transaction.connection.execute(_IS_WAITING, (self.queue_id,)).fetchone() is None:
            return False
        transaction.connection.execute(_RETRY, (self.now, self.queue_id))
        transaction.add_event(self.event)
        return True


@attrs.define
class RetrySome(Write):
    """Make the next waiting messages after ``after`` due; yields their queue ids."""

    after: str
    event: Event
    now: float

    @override
    def apply(self, transaction: Transaction) -> list[str]:
        """Make them due."""
        transaction.write()
        ids = _distinct(transaction.connection, _WAITING_AFTER, self.after)
        transaction.connection.executemany(_RETRY, [(self.now, queue_id) for queue_id in ids])
        for queue_id in ids:
            transaction.add_event(attrs.evolve(self.event, queue_id=queue_id))
        return ids


def _distinct(connection: sqlite3.Connection, statement: str, after: str) -> list[str]:
    """The messages of the next recipients, in their order."""
    return list(dict.fromkeys(name for (name,) in connection.execute(statement, (after, STEP_RECIPIENTS))))


@attrs.define
class Remove(Write):
    """Take a message out; yields False when there is no such message."""

    queue_id: str
    event: Event

    @override
    def apply(self, transaction: Transaction) -> bool:
        """Take it out."""
        transaction.write()
        deleted = [transaction.connection.execute(statement, (self.queue_id,)).rowcount for statement in _REMOVE]
        if not deleted[-1]:
            return False
        transaction.add_event(self.event)
        return True


@attrs.define
class KeepSignature(Write):
    """A signature, kept with its message while that is there."""

    queue_id: str
    variant: str
    signature: Signature

    @override
    def apply(self, transaction: Transaction) -> None:
        """Keep it."""
        transaction.write()
        row = self.queue_id, self.variant, self.signature.names, self.signature.lines
        transaction.connection.execute(_KEEP_SIGNATURE, row)


@attrs.define
class ReadSignature(Read):
    """The signature of a message that waits, or None."""

    queue_id: str
    variant: str

    @override
    def read(self, connection: sqlite3.Connection) -> Signature | None:
        """Read it."""
        row = connection.execute(_SIGNATURE, (self.queue_id, self.variant)).fetchone()
        return None if row is None else Signature(*row)


@attrs.define
class ExpireEvents(Write):
    """One step of forgetting old events; yields where to go on, or None."""

    before: float
    after: int

    @override
    def apply(self, transaction: Transaction) -> int | None:
        """Forget some."""
        transaction.write()
        return trace.expire_events(transaction.connection, self.before, self.after)


@attrs.define
class ExpireKeys(Write):
    """One step of forgetting the keys of old events; yields where to go on, or None."""

    before: float
    after: tuple[int, str, int]

    @override
    def apply(self, transaction: Transaction) -> tuple[int, str, int] | None:
        """Forget some."""
        transaction.write()
        return trace.expire_keys(transaction.connection, self.before, self.after)


@attrs.define
class Nothing(Read):
    """Wait for one's turn: what was handed over before has been done then."""

    @override
    def read(self, connection: sqlite3.Connection) -> None:
        """Do nothing."""


@attrs.define
class Due(Read):
    """The messages that are to be worked on, the first of them with their octets; ``path_of`` names the file of a body."""

    now: float
    limit: int
    busy: Container[str]
    active: Collection[str]
    path_of: Callable[[str], str]

    @override
    def read(self, connection: sqlite3.Connection) -> list[QueuedMessage]:
        """Find them, in one transaction: each statement by itself would lock the files anew."""
        connection.execute("BEGIN")
        try:
            found = schedule.due(connection, self.now, self.limit, self.busy, self.active)
            left = READ_AHEAD_OCTETS
            for message in found:
                if message.content.size_octets <= left:
                    row = connection.execute(_BODY, (message.queue_id,)).fetchone()
                    if row is None:
                        message.content = attrs.evolve(message.content, path=self.path_of(message.queue_id))
                    else:
                        left -= len(row[0])
                        message.content = attrs.evolve(message.content, data=row[0])
            return found
        finally:
            connection.execute("ROLLBACK")


@attrs.define
class NextDue(Read):
    """When there will be something to be worked on."""

    busy: Container[str]
    active: Collection[str]

    @override
    def read(self, connection: sqlite3.Connection) -> float | None:
        """Find out."""
        return schedule.next_due(connection, self.busy, self.active)


@attrs.define
class SelectOne(Read):
    """A message, or None."""

    queue_id: str

    @override
    def read(self, connection: sqlite3.Connection) -> QueuedMessage | None:
        """Read it."""
        return read_message(connection, self.queue_id)


@attrs.define
class SelectSome(Read):
    """The next messages after ``after``, oldest first."""

    after: str

    @override
    def read(self, connection: sqlite3.Connection) -> list[QueuedMessage]:
        """Read them."""
        ids = _distinct(connection, _IDS_AFTER, self.after)
        messages = (read_message(connection, queue_id) for queue_id in ids)
        return [message for message in messages if message is not None]


@attrs.define
class ReadContent(Read):
    """Where the octets of a message are; ``path_of`` names the body file of a queue id."""

    queue_id: str
    path_of: Callable[[str], str]

    @override
    def read(self, connection: sqlite3.Connection) -> Content:
        """Read them when they are in a row; raise KeyError when there is no such message."""
        row = connection.execute(_CONTENT, (self.queue_id,)).fetchone()
        if row is None:
            raise KeyError(self.queue_id)
        content = content_of(row)
        if row[-1]:
            return attrs.evolve(content, path=self.path_of(self.queue_id))
        (octets,) = connection.execute(_BODY, (self.queue_id,)).fetchone()
        return attrs.evolve(content, data=octets)


@attrs.define
class Track(Read):
    """The events that answer a question."""

    query: str
    limit: int

    @override
    def read(self, connection: sqlite3.Connection) -> list[Event]:
        """Find them."""
        return trace.track(connection, self.query, self.limit)
