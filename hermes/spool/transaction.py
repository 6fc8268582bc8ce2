"""
One transaction: what many operations want written, gathered, and then written table by table.

The order of the tables is the same whatever the order of the operations: operations that wait together are about
different messages, because whoever settles a message has been told before that it exists.

Every step of a statement lets go of Python's lock and has to get it back from the thread of the reactor, which costs more
than the step itself. So one statement takes many rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain

from hermes.core.event import Event
from hermes.core.message import Finished, Held, QueuedMessage, QueuedRecipient, Settlement
from hermes.spool.rows import MESSAGE_COLUMNS, RECIPIENT_COLUMNS, Row, message_row, recipient_rows
from hermes.spool.trace import event_row, key_rows

#: Rows of one statement: as many as there are of these, then of the next. Three sizes, so that each statement is compiled once;
#: the largest stays below the 999 values that an old SQLite takes (32 messages of 18 columns).
_ROWS_AT_ONCE = (32, 6, 1)


class _Many:
    """A statement for many rows: ``text`` with ``row`` for each of them behind it, and ``between`` between two."""

    def __init__(self, text: str, row: str, between: str, end: str = "") -> None:
        self.columns = row.count("?")
        self._texts = {rows: f"{text} {between.join([row] * rows)}{end}" for rows in _ROWS_AT_ONCE}

    def run(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Run it for all of these."""
        done = 0
        for size, text in self._texts.items():
            while len(rows) - done >= size:
                connection.execute(text, list(chain.from_iterable(rows[done : done + size])))
                done += size


def _insert(table: str, columns: str) -> _Many:
    row = f"({', '.join('?' * (columns.count(',') + 1))})"
    return _Many(f"INSERT INTO {table} ({columns}) VALUES", row, ", ")


def _delete(table: str) -> _Many:
    nobody_left = f"NOT EXISTS (SELECT 1 FROM recipients WHERE recipients.queue_id = {table}.queue_id)"  # noqa: S608
    return _Many(f"DELETE FROM {table} WHERE {nobody_left} AND queue_id IN (", "?", ", ", ")")  # noqa: S608


_INSERT_MESSAGE = _insert("messages", MESSAGE_COLUMNS)
_INSERT_RECIPIENT = _insert("recipients", RECIPIENT_COLUMNS)
_INSERT_BODY = _insert("bodies", "queue_id, octets")
_INSERT_EVENT = _insert("events", "id, at, kind, queue_id, address, reverse_path, message_id, facts")
_INSERT_KEY = _insert("trace_keys", "hour, key, event_id")
_POSTPONE = """
    UPDATE recipients SET attempts = ?, next_attempt_at = ?, last_reason = ?, delays_reported = ?
    WHERE queue_id = ? AND ordinal = ?
"""
_HOLD = "UPDATE recipients SET state = ?, last_reason = ? WHERE queue_id = ? AND ordinal = ?"
# For a list of pairs SQLite would look through the whole table.
_FINISH = _Many("DELETE FROM recipients WHERE", "(queue_id = ? AND ordinal = ?)", " OR ")
_DELETE_BODY = _delete("bodies")
_DELETE_SIGNATURES = _delete("signatures")
_DELETE_MESSAGE = _delete("messages")


class Transaction:
    """
    Gathers rows; :meth:`write` hands them to SQLite.

    ``next_event`` is the number of the next event, to be taken over by the next transaction when this one was committed.
    """

    def __init__(self, connection: sqlite3.Connection, next_event: int) -> None:
        self.connection = connection
        self.next_event = next_event
        self._messages: list[Row] = []
        self._recipients: list[Row] = []
        self._bodies: list[Row] = []
        self._events: list[Row] = []
        self._keys: list[Row] = []
        self._postponed: list[Row] = []
        self._held: list[Row] = []
        self._finished: list[Row] = []
        self._touched: list[Row] = []

    def add_message(self, message: QueuedMessage, received: Event) -> None:
        """A new message with its octets, when they are not in a file, and the event of its coming in."""
        self._messages.append(message_row(message))
        self._recipients += recipient_rows(message.queue_id, message.recipients)
        if message.content.path is None:
            self._bodies.append((message.queue_id, message.content.data))
        texts: list[str | None] = [recipient.address for recipient in message.recipients]
        # The file that it was, by which it is known after a crash (:mod:`hermes.services.drop`).
        dropped = received.facts.get("drop")
        if isinstance(dropped, str):
            texts.append(dropped)
        self.add_event(received, (*texts, message.envelope.reverse_path, message.message_id))

    def add_recipients(self, queue_id: str, recipients: Iterable[QueuedRecipient]) -> None:
        """More recipients of a message that is there."""
        self._recipients += recipient_rows(queue_id, recipients)

    def add_event(self, event: Event, keys: Iterable[str | None] = ()) -> None:
        """A fact, to be found by its queue id and by these keys."""
        number = self.next_event
        self.next_event += 1
        self._events.append(event_row(number, event))
        if keys:
            self._keys += key_rows(number, event.at, keys)

    def settle(self, queue_id: str, settlements: Iterable[Settlement]) -> None:
        """What became of recipients; the message goes when nobody is left."""
        for settlement in settlements:
            if isinstance(settlement, Finished):
                self._finished.append((queue_id, settlement.ordinal))
            elif isinstance(settlement, Held):
                self._held.append((settlement.state.value, settlement.reason, queue_id, settlement.ordinal))
            else:
                self._postponed.append(
                    (
                        settlement.attempts,
                        settlement.next_attempt_at,
                        settlement.reason,
                        settlement.delays_reported,
                        queue_id,
                        settlement.ordinal,
                    )
                )
        if self._finished and self._finished[-1][0] == queue_id:
            self._touched.append((queue_id,))

    def write(self) -> None:
        """Hand over what was gathered."""
        for statement, rows in (
            (_INSERT_MESSAGE, self._messages),
            (_INSERT_RECIPIENT, self._recipients),
            (_INSERT_BODY, self._bodies),
            (_INSERT_EVENT, self._events),
            (_INSERT_KEY, self._keys),
        ):
            statement.run(self.connection, rows)
        for change, rows in ((_POSTPONE, self._postponed), (_HOLD, self._held)):
            if rows:
                self.connection.executemany(change, rows)
        for statement, rows in (
            (_FINISH, self._finished),
            (_DELETE_BODY, self._touched),
            (_DELETE_SIGNATURES, self._touched),
            (_DELETE_MESSAGE, self._touched),
        ):
            statement.run(self.connection, rows)
        for rows in (self._messages, self._recipients, self._bodies, self._events, self._keys):
            rows.clear()
        for rows in (self._postponed, self._held, self._finished, self._touched):
            rows.clear()
