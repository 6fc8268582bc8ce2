"""
The owner of the database: takes everything that waits and makes it one transaction, so that one fsync serves all.

All of it runs in the spool's thread.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence

import attrs

from hermes.core.identifiers import IMPORTED
from hermes.spool.bodies import Disk
from hermes.spool.database import connect
from hermes.spool.errors import translated
from hermes.spool.figures import Commits
from hermes.spool.operations import Read, Write
from hermes.spool.schema import migrate
from hermes.spool.transaction import Transaction

# What was imported has ids that no clock makes, greater than all others.
_GREATEST_ID = f"""
    SELECT max(
        coalesce((SELECT max(queue_id) FROM messages), ''),
        coalesce((SELECT max(queue_id) FROM events WHERE queue_id <> '' AND queue_id < '{IMPORTED}'), '')
    )
"""  # noqa: S608 - a constant
_GREATEST_EVENT = "SELECT coalesce(max(id), 0) FROM events"
_IN_FILES = "SELECT queue_id FROM messages WHERE in_file"

#: What the thread is asked to do; the last is for opening and closing.
Operation = Write | Read | Callable[[], object]


@attrs.frozen
class Found:
    """What was there when the database was opened: the greatest queue id ever used, and who has a body file."""

    greatest_id: str
    in_files: frozenset[str]


class Committer:
    """Performs groups of operations; ``figures`` tells how long the transactions took, by ``seconds``."""

    def __init__(self, directory: str, disk: Disk, seconds: Callable[[], float] = time.perf_counter) -> None:
        self.figures = Commits()
        self._directory = directory
        self._disk = disk
        self._seconds = seconds
        self._open: sqlite3.Connection | None = None
        self._next_event = 0

    def open(self) -> Found:
        """Open the database and bring it up to date."""
        connection = connect(self._directory)
        try:
            migrate(connection)
            (greatest_id,) = connection.execute(_GREATEST_ID).fetchone()
            (greatest_event,) = connection.execute(_GREATEST_EVENT).fetchone()
            in_files = frozenset(queue_id for (queue_id,) in connection.execute(_IN_FILES))
            self._disk.sync_directory(self._directory)
        except BaseException:
            connection.close()
            raise
        self._next_event = greatest_event + 1
        self._open = connection
        return Found(greatest_id, in_files)

    def close(self) -> None:
        """Bring the write-ahead log into the database and close it."""
        if self._open is not None:
            connection, self._open = self._open, None
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()

    def perform(self, operations: Sequence[Operation]) -> list[object]:
        """
        Perform a group; one result each, in order. Reads come after the writes are durable.

        When the transaction fails, each write is tried again in one of its own, so that one that cannot be done harms no
        other.
        """
        writes = [operation for operation in operations if isinstance(operation, Write)]
        written = iter(self._written(writes) if writes else ())
        return [next(written) if isinstance(operation, Write) else self._read(operation) for operation in operations]

    def _written(self, writes: list[Write]) -> list[object]:
        try:
            return self._commit(writes)
        except Exception as error:
            if len(writes) == 1:
                if isinstance(error, sqlite3.Error | OSError):
                    self.figures.faults.count(error)
                return [translated(error)]
            return [self._written([write])[0] for write in writes]

    def _commit(self, writes: list[Write]) -> list[object]:
        connection, began = self._connection, self._seconds()
        transaction = Transaction(connection, self._next_event)
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = [write.apply(transaction) for write in writes]
            transaction.write()
            self._disk.commit(connection)
        except BaseException:
            # SQLite has rolled back by itself after some faults, a full disk among them.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._next_event = transaction.next_event
        self.figures.seconds.add(self._seconds() - began)
        self.figures.written += len(writes)
        return results

    def _read(self, operation: Read | Callable[[], object]) -> object:
        try:
            return operation.read(self._connection) if isinstance(operation, Read) else operation()
        except Exception as error:
            return error

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            raise RuntimeError("the spool is not open")
        return self._open
