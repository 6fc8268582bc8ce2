"""
Everything that the trace has about somebody, however much it is: for an export.

What belongs to it is marked in temporary tables, which SQLite puts on the disk when they are large, and is then read in pages:
neither takes memory, and no page holds up the server that writes at the same time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from hermes.core.event import Event
from hermes.core.period import Period
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
_WANT_KEY_IN = (
    f"{_WANT_KEY} AND (SELECT at FROM events WHERE id = event_id) > ?"  # noqa: S608 - constants only
    " AND (SELECT at FROM events WHERE id = event_id) <= ?"
)
_COUNT_OTHERS = (
    "SELECT count(*) FROM trace_keys WHERE hour = ? AND key = ? AND event_id NOT IN (SELECT id FROM wanted_events)"
)
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


def want(connection: sqlite3.Connection, periods: Iterable[Period]) -> None:
    """Mark all events that tell about these addresses or names, each in its time, and all messages that have one of them."""
    for statement in _PREPARE:
        connection.execute(statement)
    keyed = {(key, each) for each in periods if (key := trace_key(each.name))}
    for hour in _hours(connection):
        for key, period in keyed:
            if period.is_ever:
                connection.execute(_WANT_KEY, (hour, key))
            else:
                connection.execute(_WANT_KEY_IN, (hour, key, period.since, period.until))
    connection.execute(_WANT_MESSAGES)
    for queue_id in messages(connection):
        want_message(connection, queue_id)


def _hours(connection: sqlite3.Connection) -> Iterator[int]:
    """Those of which there is anything, the last one first."""
    (hour,) = connection.execute(_LAST_HOUR).fetchone()
    while hour is not None:
        yield hour
        (hour,) = connection.execute(_HOUR_BEFORE, (hour,)).fetchone()


def count_others(connection: sqlite3.Connection, name: str) -> int:
    """How many events tell about an address or a name and are not marked."""
    key = trace_key(name)
    return sum(connection.execute(_COUNT_OTHERS, (hour, key)).fetchone()[0] for hour in _hours(connection))


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
