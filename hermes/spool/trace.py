"""
The trace: every fact about every message, and "where is my message?" answered from it.

A message's RECEIVED event has keys: its sender, each recipient and its Message-ID. Whatever happens to the message later
is found through its queue id. Facts that stand alone have keys of their own. Look-ups cost a search for each hour in
which there was mail, some milliseconds for a month.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from hermes.core import address
from hermes.core.event import Event, Kind
from hermes.core.identifiers import is_queue_id
from hermes.spool.rows import Row, storable

#: Keys are cut here: longer than any address that RFC 5321 4.5.3.1 allows to travel, and Message-IDs differ long before.
MAX_KEY_CHARACTERS = 255

#: Events looked at by one step of expiry: some milliseconds, for which commits wait.
EXPIRE_STEP = 1000

_SECONDS_AN_HOUR = 3600

EVENT_COLUMNS = "id, at, kind, queue_id, address, reverse_path, message_id, facts"

_HOUR_BEFORE = "SELECT max(hour) FROM trace_keys WHERE hour < ?"
_HITS_IN_HOUR = "SELECT event_id FROM trace_keys WHERE hour = ? AND key = ? ORDER BY event_id DESC LIMIT ?"
_EVENT = f"SELECT {EVENT_COLUMNS} FROM events WHERE id = ?"  # noqa: S608 - constants only, here and below
_EVENTS_OF_MESSAGE = (
    f"SELECT {EVENT_COLUMNS} FROM events WHERE queue_id = ? AND queue_id <> '' ORDER BY id DESC LIMIT ?"  # noqa: S608
)
_OLD_EVENTS = "SELECT id, at, queue_id FROM events WHERE id > ? ORDER BY id LIMIT ?"
_LIVES_ON = """
    SELECT EXISTS (SELECT 1 FROM messages WHERE queue_id = :queue_id)
        OR EXISTS (SELECT 1 FROM events WHERE queue_id = :queue_id AND queue_id <> '' AND at >= :before)
"""
_OLD_KEYS = """
    SELECT hour, key, event_id FROM trace_keys
    WHERE (hour, key, event_id) > (?, ?, ?) AND hour < ? ORDER BY hour, key, event_id LIMIT ?
"""
_DELETE_EVENT = "DELETE FROM events WHERE id = ?"
_DELETE_KEY_OF_NO_EVENT = """
    DELETE FROM trace_keys WHERE hour = ?1 AND key = ?2 AND event_id = ?3
        AND NOT EXISTS (SELECT 1 FROM events WHERE id = ?3)
"""

_encode_facts = json.JSONEncoder(separators=(",", ":")).encode


def trace_key(text: str) -> str:
    """The form under which addresses and Message-IDs are kept and looked up; angle brackets do not count."""
    return address.key(storable(text.strip().removeprefix("<").removesuffix(">")))[:MAX_KEY_CHARACTERS]


def event_row(number: int, event: Event) -> Row:
    """The row of ``events``."""
    return (
        number,
        event.at,
        event.kind.value,
        event.queue_id,
        storable(event.address),
        None if event.reverse_path is None else storable(event.reverse_path),
        storable(event.message_id),
        _encode_facts(event.facts) if event.facts else "{}",
    )


def key_rows(number: int, at: float, texts: Iterable[str | None]) -> list[Row]:
    """The rows of ``trace_keys`` for one event."""
    hour = int(at // _SECONDS_AN_HOUR)
    return [(hour, key, number) for key in {trace_key(text) for text in texts if text} if key]


def track(connection: sqlite3.Connection, query: str, limit: int) -> list[Event]:
    """
    Up to ``limit`` events that tell about a queue id, an address (as sender or recipient) or a Message-ID, newest last.

    When there are more, those of the messages that came in last are given.
    """
    found: dict[int, Event] = {}
    if is_queue_id(query.strip().upper()):
        _add_message(connection, query.strip().upper(), limit, found)
    for number in _hits(connection, trace_key(query), limit):
        if len(found) >= limit:
            break
        row = connection.execute(_EVENT, (number,)).fetchone()
        if row is None or row[0] in found:
            continue
        event = event_of(row)
        if event.queue_id:
            _add_message(connection, event.queue_id, limit, found)
        else:
            found[number] = event
    return [found[number] for number in sorted(found)[-limit:]]


def _add_message(connection: sqlite3.Connection, queue_id: str, limit: int, found: dict[int, Event]) -> None:
    for row in connection.execute(_EVENTS_OF_MESSAGE, (queue_id, limit)):
        found[row[0]] = event_of(row)


def _hits(connection: sqlite3.Connection, key: str, limit: int) -> list[int]:
    """The numbers of the events that have this key, newest first."""
    numbers: list[int] = []
    (hour,) = connection.execute("SELECT max(hour) FROM trace_keys").fetchone()
    while hour is not None and len(numbers) < limit:
        numbers += [number for (number,) in connection.execute(_HITS_IN_HOUR, (hour, key, limit - len(numbers)))]
        (hour,) = connection.execute(_HOUR_BEFORE, (hour,)).fetchone()
    return numbers


def event_of(row: Row) -> Event:
    """The event in a row of :data:`EVENT_COLUMNS`."""
    _, at, kind, queue_id, about, reverse_path, message_id, facts = row
    return Event(at, Kind(kind), queue_id, about, reverse_path, message_id, json.loads(facts))


def expire_events(connection: sqlite3.Connection, before: float, after: int) -> int | None:
    """
    Look at the next events after number ``after`` and delete those older than ``before``; return where to go on, or None.

    What a message went through is kept whole while the message is in the queue or anything of it is younger.
    """
    rows = connection.execute(_OLD_EVENTS, (after, EXPIRE_STEP)).fetchall()
    old = [(number, queue_id) for number, at, queue_id in rows if at < before]
    if not old:
        return None
    lives_on = {
        queue_id: bool(connection.execute(_LIVES_ON, {"queue_id": queue_id, "before": before}).fetchone()[0])
        for queue_id in {queue_id for _, queue_id in old}
    }
    connection.executemany(_DELETE_EVENT, [(number,) for number, queue_id in old if not lives_on[queue_id]])
    return int(rows[-1][0])


def expire_keys(
    connection: sqlite3.Connection, before: float, after: tuple[int, str, int]
) -> tuple[int, str, int] | None:
    """Look at the next keys and delete those whose events are gone; return where to go on, or None."""
    end = int(before // _SECONDS_AN_HOUR) + 1
    rows = connection.execute(_OLD_KEYS, (*after, end, EXPIRE_STEP)).fetchall()
    if not rows:
        return None
    connection.executemany(_DELETE_KEY_OF_NO_EVENT, rows)
    hour, key, number = rows[-1]
    return hour, key, number
