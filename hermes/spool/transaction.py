"""
One transaction: what many operations want written, gathered, and then written table by table.

The order of the tables is the same whatever the order of the operations: operations that wait together are about
different messages, because whoever settles a message has been told before that it exists.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from hermes.core.event import Event
from hermes.core.message import Finished, Held, QueuedMessage, QueuedRecipient, Settlement
from hermes.spool.rows import MESSAGE_COLUMNS, RECIPIENT_COLUMNS, Row, message_row, recipient_rows
from hermes.spool.trace import event_row, key_rows


def _insert(table: str, columns: str) -> str:
    marks = ", ".join("?" * (columns.count(",") + 1))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - constants only


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
_FINISH = "DELETE FROM recipients WHERE queue_id = ? AND ordinal = ?"
_NOBODY_LEFT = "queue_id = ?1 AND NOT EXISTS (SELECT 1 FROM recipients WHERE queue_id = ?1)"
_DELETE_BODY = f"DELETE FROM bodies WHERE {_NOBODY_LEFT}"  # noqa: S608
_DELETE_SIGNATURES = f"DELETE FROM signatures WHERE {_NOBODY_LEFT}"  # noqa: S608
_DELETE_MESSAGE = f"DELETE FROM messages WHERE {_NOBODY_LEFT}"  # noqa: S608


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
            (_POSTPONE, self._postponed),
            (_HOLD, self._held),
            (_FINISH, self._finished),
            (_DELETE_BODY, self._touched),
            (_DELETE_SIGNATURES, self._touched),
            (_DELETE_MESSAGE, self._touched),
        ):
            if rows:
                self.connection.executemany(statement, rows)
        for rows in (self._messages, self._recipients, self._bodies, self._events, self._keys):
            rows.clear()
        for rows in (self._postponed, self._held, self._finished, self._touched):
            rows.clear()
