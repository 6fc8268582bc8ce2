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
from urllib.parse import quote

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.core.offender import Network, Offender
from hermes.interfaces import IGroupWorker, IOffenderStore

#: How long another process may hold the file: it writes a row or two.
_BUSY_SECONDS = 5.0

#: What the file is called by that did not open.
DAMAGED = ".damaged"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS offenders (
    network TEXT PRIMARY KEY, since REAL NOT NULL, until REAL, rule TEXT NOT NULL, reason TEXT NOT NULL,
    by_administrator INTEGER NOT NULL, times INTEGER NOT NULL
) WITHOUT ROWID
"""

#: What has been counted of mail (:mod:`hermes.policy.rates`): ``at`` is the number of the window in which ``current`` came.
_RATES_SCHEMA = """
CREATE TABLE IF NOT EXISTS rates (
    scope TEXT, subject TEXT, kind TEXT, seconds INTEGER, at INTEGER NOT NULL, previous INTEGER NOT NULL,
    current INTEGER NOT NULL, PRIMARY KEY (scope, subject, kind, seconds)
) WITHOUT ROWID
"""

#: Scope, subject and kind of a count, its seconds, the number of its window, and what came in the one before and in this.
RateRow = tuple[str, str, str, int, int, int, int]

_SELECT = "SELECT network, since, until, rule, reason, by_administrator, times FROM offenders ORDER BY since"


@implementer(IOffenderStore)
class OffenderStore:
    """``worker`` is the thread that writes; :meth:`perform` is what it does."""

    _log = Logger()

    def __init__(self, path: str, worker: IGroupWorker) -> None:
        self._path = path
        self._worker = worker
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None

    def open(self, now: float) -> list[Offender]:
        """Open the file, which is made when it is missing, and start the thread; what is in force. Raises OSError."""
        try:
            rows = self._open(now)
        except (sqlite3.DatabaseError, ValueError) as error:
            self._log.error(
                "The list of offenders {path} cannot be read ({error}): it is kept as {path}{damaged}, and a new one begun",
                path=self._path,
                error=str(error),
                damaged=DAMAGED,
            )
            self._close()
            os.replace(self._path, self._path + DAMAGED)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._path}-journal")
            rows = self._open(now)
        self._worker.start(self.perform)
        return rows

    async def close(self) -> None:
        """Write what waits and close."""
        await self._worker.stop()
        self._close()

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
        assert self._connection is not None
        return list(self._connection.execute("SELECT scope, subject, kind, seconds, at, previous, current FROM rates"))

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
        connection = self._connection
        results: list[Any] = []
        assert connection is not None
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
                results.append(self._rows() if what == "read" or self._changed_by_others() else None)
            if connection.in_transaction:
                connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return results

    def _open(self, now: float) -> list[Offender]:
        # SQLite would create it as the umask says. It tells whose mail was refused.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        # After a power cut the last entries may be missing; the file is whole.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(_SCHEMA)
        self._connection.execute(_RATES_SCHEMA)
        self._connection.execute("DELETE FROM offenders WHERE until <= ?", (now,))
        self._changed_by_others()
        return self._rows()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _changed_by_others(self) -> bool:
        assert self._connection is not None
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        before, self._version = self._version, version
        return bool(version != before)

    def _rows(self) -> list[Offender]:
        assert self._connection is not None
        return [_offender(row) for row in self._connection.execute(_SELECT)]


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
    location = f"file:{quote(path)}"
    try:
        rows = _read(f"{location}?mode=ro")
    except sqlite3.OperationalError:
        # What a killed server left half written has to be taken back first.
        rows = _read(f"{location}?mode=rw")
    return [one for one in rows if one.active(now)]


def _read(uri: str) -> list[Offender]:
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as connection:
        return [_offender(row) for row in connection.execute(_SELECT)]


def _row(one: Offender) -> tuple[Any, ...]:
    return str(one.network), one.since, one.until, one.rule, one.reason, int(one.by_administrator), one.times


def _offender(row: tuple[Any, ...]) -> Offender:
    network, since, until, rule, reason, by_administrator, times = row
    return Offender(ip_network(network), since, until, rule, reason, bool(by_administrator), times)
