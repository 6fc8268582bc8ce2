"""
Where the greylist outlives the process: a small SQLite file, which a thread of its own writes.

A row whose sender is empty is a network that is known. What is lost in a power cut is learned again; a file that is damaged is
put aside, and everybody is new.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hermes.disk.small_database import SmallDatabase, beside
from hermes.interfaces import IGroupWorker

#: After a power cut the last rows may be missing; the file is whole.
_SCHEMA = """
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS greylist (
    network TEXT NOT NULL, sender TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (network, sender)
) WITHOUT ROWID;
"""

_SELECT = "SELECT network, sender, at FROM greylist ORDER BY at"

_T = TypeVar("_T")


@attrs.frozen
class Row:
    """A network that is known, and when it was here last; or a first try of somebody, with the ``sender`` domain."""

    network: str
    sender: str
    at: float


class GreylistStore:
    """``reader`` is a worker that calls each item, ``worker`` the thread that writes."""

    _log = Logger()

    def __init__(self, path: str, reader: IGroupWorker, worker: IGroupWorker) -> None:
        self._path = path
        self._database = SmallDatabase(path, _SCHEMA)
        self._reader = reader
        self._worker = worker
        self._started = False

    async def read(self, make: Callable[[list[Row]], _T]) -> _T:
        """What ``make`` makes of all rows, by the reader; that changes nothing but a file that is damaged. Raises OSError."""

        def read() -> _T:
            return make(self._rows())

        made: _T = await self._reader.submit(read)
        return made

    def start(self) -> None:
        """Start the thread that writes; the file is made when it is missing."""
        self._started = True
        self._worker.start(self._perform)

    async def close(self) -> None:
        """Write what waits and close."""
        if self._started:
            await self._worker.stop()
            self._database.close()

    def _rows(self) -> list[Row]:
        if not os.path.exists(self._path):
            return []
        # Another one than that of the thread that writes: each is used by one thread alone.
        database = SmallDatabase(self._path, _SCHEMA)
        try:
            return database.load(_rows)
        finally:
            database.close()

    def put(self, row: Row) -> None:
        """Keep a row in place of what there is."""
        self._submit("INSERT OR REPLACE INTO greylist VALUES (?, ?, ?)", (row.network, row.sender, row.at))

    def remove(self, network: str, sender: str | None = None) -> None:
        """Forget one row, or all of a network."""
        if sender is None:
            self._submit("DELETE FROM greylist WHERE network = ?", (network,))
        else:
            self._submit("DELETE FROM greylist WHERE network = ? AND sender = ?", (network, sender))

    def expire(self, first_before: float, last_before: float) -> None:
        """Forget first tries, and known networks, that are older."""
        text = "DELETE FROM greylist WHERE at <= CASE WHEN sender = '' THEN ? ELSE ? END"
        self._submit(text, (last_before, first_before))

    def _submit(self, statement: str, values: tuple[Any, ...]) -> None:
        done: Deferred[Any] = self._worker.submit((statement, values))
        # Memory knows it; what the disk does not learn is learned again after the next start.
        _ = done.addErrback(lambda failure: self._log.failure("The greylist could not be written", failure))

    def _perform(self, items: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        with self._database.transaction() as connection:
            for statement, values in items:
                connection.execute(statement, values)
        return [None] * len(items)


def read_greylist(path: str) -> list[Row]:
    """All rows, read beside a running server or without one; raises sqlite3.Error."""
    if not os.path.exists(path):
        return []
    with beside(path) as connection:
        return _rows(connection)


def _rows(connection: sqlite3.Connection) -> list[Row]:
    return [Row(*row) for row in connection.execute(_SELECT)]
