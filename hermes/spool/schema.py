"""
The tables of the spool, and how an older spool becomes one of today.

Every change of the schema is one more function at the end of :data:`MIGRATIONS`; a function that has been released is
never changed. ``PRAGMA user_version`` holds how many have been applied.

* ``messages``, ``recipients`` and ``bodies`` are the queue. A message exists from the moment its row is committed until
  the row of its last recipient is gone (see ``docs/flow.md``). Queue ids grow with time, so new rows go to the end of
  each table, and the pages that a busy moment touches are few.
* ``signatures`` are those of messages that wait; they go with the message.
* ``events`` and ``trace_keys`` are the trace. A key is an address or a Message-ID as :func:`hermes.spool.trace.trace_key`
  makes it. Keys come in random order; an index over all of them would touch as many pages as there are keys in a
  group. Set apart by the hour they stay near one another, and expiry removes whole stretches; a look-up asks each hour.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from hermes.spool.errors import SpoolError

#: Marks the file as Hermes's own ("HERM"): ``file`` shows it, and another program's database is not mistaken for a spool.
APPLICATION_ID = 0x4845524D

Migration = Callable[[sqlite3.Connection], None]

_VERSION_1 = (
    """
    CREATE TABLE messages (
        queue_id      TEXT PRIMARY KEY,
        accepted_at   REAL NOT NULL,
        reverse_path  TEXT NOT NULL,
        body_type     TEXT NOT NULL,
        smtputf8      INTEGER NOT NULL,
        ret           TEXT,
        envid         TEXT,
        protocol      TEXT NOT NULL,
        peer          TEXT NOT NULL,
        hello         TEXT NOT NULL,
        tls           TEXT,
        account       TEXT,
        message_id    TEXT NOT NULL,
        size_octets   INTEGER NOT NULL,
        wire_octets   INTEGER NOT NULL,
        prefix_octets INTEGER NOT NULL,
        in_file       INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE recipients (
        queue_id        TEXT NOT NULL,
        ordinal         INTEGER NOT NULL,
        address         TEXT NOT NULL,
        notify          TEXT,
        original        TEXT,
        destination     TEXT NOT NULL,
        attempts        INTEGER NOT NULL,
        next_attempt_at REAL NOT NULL,
        state           TEXT NOT NULL,
        last_reason     TEXT NOT NULL,
        delays_reported INTEGER NOT NULL,
        PRIMARY KEY (queue_id, ordinal)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX recipients_by_time ON recipients (state, next_attempt_at, destination)",
    "CREATE INDEX recipients_by_destination ON recipients (state, destination, next_attempt_at)",
    "CREATE TABLE bodies (queue_id TEXT PRIMARY KEY, octets BLOB NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE events (
        id           INTEGER PRIMARY KEY,
        at           REAL NOT NULL,
        kind         TEXT NOT NULL,
        queue_id     TEXT NOT NULL,
        address      TEXT NOT NULL,
        reverse_path TEXT,
        message_id   TEXT NOT NULL,
        facts        TEXT NOT NULL
    )
    """,
    "CREATE INDEX events_by_message ON events (queue_id) WHERE queue_id <> ''",
    """
    CREATE TABLE trace_keys (
        hour     INTEGER NOT NULL,
        key      TEXT NOT NULL,
        event_id INTEGER NOT NULL,
        PRIMARY KEY (hour, key, event_id)
    ) WITHOUT ROWID
    """,
)


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in _VERSION_1:
        connection.execute(statement)


def _add_signatures(connection: sqlite3.Connection) -> None:
    connection.execute(
        """
        CREATE TABLE signatures (
            queue_id TEXT NOT NULL,
            variant  TEXT NOT NULL,
            names    TEXT NOT NULL,
            lines    BLOB NOT NULL,
            PRIMARY KEY (queue_id, variant)
        ) WITHOUT ROWID
        """
    )


_VERSION_3 = (
    "ALTER TABLE recipients ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE recipients ADD COLUMN released INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE recipients ADD COLUMN expires_at REAL",
)


def _take_orders(connection: sqlite3.Connection) -> None:
    """What an administrator has said about a recipient."""
    for statement in _VERSION_3:
        connection.execute(statement)


def _add_tls_need(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE messages ADD COLUMN tls_need TEXT NOT NULL DEFAULT ''")


MIGRATIONS: tuple[Migration, ...] = (_create, _add_signatures, _take_orders, _add_tls_need)


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the database up to date, each step in a transaction of its own; raise SpoolError when it is from the future."""
    for number in range(version(connection, len(migrations)), len(migrations)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            migrations[number](connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def version(connection: sqlite3.Connection, known: int = len(MIGRATIONS)) -> int:
    """How many migrations have been applied; raise SpoolError for another program's file or a newer Hermes's spool."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application_id != APPLICATION_ID:
        raise SpoolError("the database was not made by Hermes")
    (applied,) = connection.execute("PRAGMA user_version").fetchone()
    if applied > known:
        raise SpoolError(
            f"it was written by a newer Hermes (schema {applied}, this one knows {known}): install that version again"
        )
    return int(applied)
