"""
Everything that the trace has about somebody, however much it is: for an export.

What belongs to it is marked in temporary tables, which SQLite puts on the disk when they are large, and is then read in pages:
neither takes memory, and no page holds up the server that writes at the same time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from hermes.core.event import Event
from hermes.spool.trace import EVENT_COLUMNS, event_of, trace_key

#: Events, or messages, that are read at once: a megabyte at the most.
PAGE = 500

_PREPARE = (
    "CREATE TEMP TABLE IF NOT EXISTS wanted_events (id INTEGER PRIMARY KEY)",
    "CREATE TEMP TABLE IF NOT EXISTS wanted_messages (queue_id TEXT PRIMARY KEY) WITHOUT ROWID",
    "DELETE FROM wanted_events",
    "DELETE FROM wanted_messages",
)
_LAST_HOUR = "SELECT max(hour) FROM trace_keys"
_HOUR_BEFORE = "SELECT max(hour) FROM trace_keys WHERE hour < ?"
_WANT_KEY = "INSERT OR IGNORE INTO wanted_events SELECT event_id FROM trace_keys WHERE hour = ? AND key = ?"
_WANT_KEY_UNTIL = f"{_WANT_KEY} AND (SELECT at FROM events WHERE id = event_id) <= ?"  # noqa: S608 - constants only
_WANT_MESSAGES = """
    INSERT OR IGNORE INTO wanted_messages
    SELECT queue_id FROM events WHERE id IN (SELECT id FROM wanted_events) AND queue_id <> ''
"""
_WANT_MESSAGE = "INSERT OR IGNORE INTO wanted_events SELECT id FROM events WHERE queue_id = ? AND queue_id <> ''"
_MESSAGES = "SELECT queue_id FROM wanted_messages WHERE queue_id > ? ORDER BY queue_id LIMIT ?"
# CROSS JOIN keeps the order: a page begins where the last one ended. With IN, each would gather all that is still to come.
_EVENTS = (
    f"SELECT {EVENT_COLUMNS} FROM wanted_events CROSS JOIN events USING (id)"  # noqa: S608 - constants only
    " WHERE id > ? ORDER BY id LIMIT ?"
)


def want(connection: sqlite3.Connection, queries: Iterable[str], former: Iterable[tuple[str, float]] = ()) -> None:
    """
    Mark all events that tell about these addresses or names, and all messages that have one of them.

    What was ``former``, an address or name and until when, finds nothing that came later.
    """
    for statement in _PREPARE:
        connection.execute(statement)
    keys = {trace_key(query) for query in queries} - {""}
    bounded = {(key, until) for query, until in former if (key := trace_key(query))}
    (hour,) = connection.execute(_LAST_HOUR).fetchone()
    while hour is not None:
        for key in keys:
            connection.execute(_WANT_KEY, (hour, key))
        for key, until in bounded:
            connection.execute(_WANT_KEY_UNTIL, (hour, key, until))
        (hour,) = connection.execute(_HOUR_BEFORE, (hour,)).fetchone()
    connection.execute(_WANT_MESSAGES)
    for queue_id in messages(connection):
        want_message(connection, queue_id)


def messages(connection: sqlite3.Connection) -> Iterator[str]:
    """The queue ids of the messages that are marked."""
    after = ""
    while page := [queue_id for (queue_id,) in connection.execute(_MESSAGES, (after, PAGE))]:
        yield from page
        after = page[-1]


def want_message(connection: sqlite3.Connection, queue_id: str) -> None:
    """Mark the events of a message."""
    connection.execute(_WANT_MESSAGE, (queue_id,))


def wanted(connection: sqlite3.Connection) -> Iterator[Event]:
    """The events that are marked, newest last."""
    after = -1
    while page := connection.execute(_EVENTS, (after, PAGE)).fetchall():
        yield from map(event_of, page)
        after = page[-1][0]
