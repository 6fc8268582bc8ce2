"""
Where the list of offenders outlives the process: a small SQLite file, which several processes may read and write.

A thread of its own writes, a group of changes in one transaction, so nobody waits for the disk. The file is looked at with
``sqlite3`` or ``hermes block list``, whether the server runs or not. One that is damaged is put aside: a server that does not
start because of a list of strangers would be the greater harm.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.core.offender import Network, Offender
from hermes.disk.small_database import SmallDatabase, beside
from hermes.interfaces import IGroupWorker, IOffenderStore

#: After a power cut the last entries may be missing; the file is whole. What has been counted of mail
#: (:mod:`hermes.policy.rates`) is in ``rates``: ``at`` is the number of the window in which ``current`` came.
_SCHEMA = """
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS offenders (
    network TEXT PRIMARY KEY, since REAL NOT NULL, until REAL, rule TEXT NOT NULL, reason TEXT NOT NULL,
    by_administrator INTEGER NOT NULL, times INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rates (
    scope TEXT, subject TEXT, kind TEXT, seconds INTEGER, at INTEGER NOT NULL, previous INTEGER NOT NULL,
    current INTEGER NOT NULL, PRIMARY KEY (scope, subject, kind, seconds)
) WITHOUT ROWID;
"""

#: Scope, subject and kind of a count, its seconds, the number of its window, and what came in the one before and in this.
RateRow = tuple[str, str, str, int, int, int, int]

_SELECT = "SELECT network, since, until, rule, reason, by_administrator, times FROM offenders ORDER BY since"


@implementer(IOffenderStore)
class OffenderStore:
    """``worker`` is the thread that writes; :meth:`perform` is what it does."""

    _log = Logger()

    def __init__(self, path: str, worker: IGroupWorker) -> None:
        self._database = SmallDatabase(path, _SCHEMA)
        self._worker = worker
        self._version: int | None = None

    def open(self, now: float) -> list[Offender]:
        """Open the file, which is made when it is missing, and start the thread; what is in force. Raises OSError."""
        rows = self._database.load(lambda connection: self._begin(connection, now))
        self._worker.start(self.perform)
        return rows

    async def close(self) -> None:
        """Write what waits and close."""
        await self._worker.stop()
        self._database.close()

    def put(self, one: Offender) -> Deferred[None]:
        """Keep an entry in place of what there is of that network."""
        return self._worker.submit(("INSERT OR REPLACE INTO offenders VALUES (?, ?, ?, ?, ?, ?, ?)", _row(one)))

    def remove(self, network: Network) -> Deferred[None]:
        """Forget an entry."""
        return self._worker.submit(("DELETE FROM offenders WHERE network = ?", (str(network),)))

    async def changed(self) -> list[Offender] | None:
        """All entries, if another process has changed some since they were read; else None."""
        rows: list[Offender] | None = await self._worker.submit(("changed", None))
        return rows

    async def read(self) -> list[Offender]:
        """All entries."""
        rows: list[Offender] = await self._worker.submit(("read", None))
        return rows

    def saved_rates(self) -> list[RateRow]:
        """What was counted before the process began; the store is open."""
        select = "SELECT scope, subject, kind, seconds, at, previous, current FROM rates"
        return list(self._database.connection().execute(select))

    def keep_rates(self, rows: Sequence[RateRow], gone: Sequence[tuple[str, str]], now: float) -> Deferred[None]:
        """Keep these counts, and forget those of the subjects that are gone, and what is over."""
        for statement, values in (
            ("DELETE FROM rates WHERE scope = ? AND subject = ?", list(gone)),
            ("INSERT OR REPLACE INTO rates VALUES (?, ?, ?, ?, ?, ?, ?)", list(rows)),
        ):
            if values:
                _ = self._worker.submit((statement, values)).addErrback(self._unwritten)
        return self._worker.submit(("DELETE FROM rates WHERE (at + 2) * seconds <= ?", (now,)))

    def _unwritten(self, failure: Failure) -> None:
        self._log.failure("The counts of mail could not be written", failure)

    def perform(self, items: Sequence[tuple[str, Any]]) -> list[Any]:
        """What the thread does: all changes that wait in one transaction, which is committed before something is read."""
        connection = self._database.connection()
        results: list[Any] = []
        try:
            for what, values in items:
                if values is not None:
                    if not connection.in_transaction:
                        connection.execute("BEGIN IMMEDIATE")
                    if isinstance(values, list):
                        connection.executemany(what, values)
                    else:
                        connection.execute(what, values)
                    results.append(None)
                    continue
                if connection.in_transaction:
                    connection.execute("COMMIT")
                results.append(_rows(connection) if what == "read" or self._changed_by_others() else None)
            if connection.in_transaction:
                connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return results

    def _begin(self, connection: sqlite3.Connection, now: float) -> list[Offender]:
        # On a full disk nothing can be deleted, and the list is good all the same: what is over holds nobody back.
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("DELETE FROM offenders WHERE until <= ?", (now,))
        self._version = _version(connection)
        return _rows(connection)

    def _changed_by_others(self) -> bool:
        before, self._version = self._version, _version(self._database.connection())
        return self._version != before


@implementer(IOffenderStore)
class NoStore:
    """For a list that is only read, or lives as long as its process."""

    def put(self, one: Offender) -> Deferred[None]:
        """Keep nothing."""
        return succeed(None)

    def remove(self, network: Network) -> Deferred[None]:
        """There is nothing to forget."""
        return succeed(None)

    async def changed(self) -> list[Offender] | None:
        """Nobody changes it."""
        return None

    async def read(self) -> list[Offender]:
        """Nothing."""
        return []


def read_offenders(path: str, now: float) -> list[Offender]:
    """Those in force, read beside a running server or without one; raises sqlite3.Error."""
    if not os.path.exists(path):
        return []
    try:
        rows = _read(path, "ro")
    except sqlite3.OperationalError:
        # What a killed server left half written has to be taken back first.
        rows = _read(path, "rw")
    return [one for one in rows if one.active(now)]


def _read(path: str, mode: str) -> list[Offender]:
    with beside(path, mode) as connection:
        return _rows(connection)


def _rows(connection: sqlite3.Connection) -> list[Offender]:
    return [_offender(row) for row in connection.execute(_SELECT)]


def _version(connection: sqlite3.Connection) -> int:
    """Another number after each change by another process."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _row(one: Offender) -> tuple[Any, ...]:
    return str(one.network), one.since, one.until, one.rule, one.reason, int(one.by_administrator), one.times


def _offender(row: tuple[Any, ...]) -> Offender:
    network, since, until, rule, reason, by_administrator, times = row
    return Offender(ip_network(network), since, until, rule, reason, bool(by_administrator), times)
