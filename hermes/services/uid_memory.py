"""
What the collectors remember of the messages at other servers: a small SQLite file, which a thread of its own writes.

A message is *intended* before the spool makes it durable, under the queue id that it will have, and *taken* afterwards. Whatever
happens in between, the trace of the queue tells after the next start whether it is ours: no message is fetched twice, and none
is deleted that we do not have. Every answer is durable when it comes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import attrs

from hermes.interfaces import IGroupWorker

INTENDED, TAKEN, REFUSED, DELETED = "intended", "taken", "refused", "deleted"

#: How long is remembered what is no longer on the server: one that has lost its messages may find them again.
FORGET_SECONDS = 30 * 86400

#: How long copies of one message are recognized. Copies for several recipients come together.
COPIES_SECONDS = 7 * 86400

_BUSY_SECONDS = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    box TEXT NOT NULL, uid TEXT NOT NULL, state TEXT NOT NULL, queue_id TEXT NOT NULL, mark BLOB NOT NULL,
    at REAL NOT NULL, gone REAL, PRIMARY KEY (box, uid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS copies (
    box TEXT NOT NULL, mark BLOB NOT NULL, recipient TEXT NOT NULL, queue_id TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (box, mark, recipient)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS copies_by_queue_id ON copies (queue_id);
"""

_T = TypeVar("_T")


@attrs.define
class Remembered:
    """
    What is known of one message: ``state`` is one of the words above, ``mark`` a digest of its header.

    ``at`` is when that happened and ``gone`` since when the server does not list it, in seconds since the epoch.
    """

    state: str
    queue_id: str = ""
    mark: bytes = b""
    at: float = 0.0
    gone: float | None = None


class UidMemory:
    """``worker`` is the thread that reads and writes; ``now`` gives seconds since the epoch."""

    def __init__(self, path: str, worker: IGroupWorker, now: Callable[[], float]) -> None:
        self._path = path
        self._worker = worker
        self._now = now
        self._connection: sqlite3.Connection | None = None

    async def close(self) -> None:
        """Write what waits and close."""
        if self._connection is not None:
            await self._worker.stop()
            self._connection.close()
            self._connection = None

    async def load(self, box: str) -> dict[str, Remembered]:
        """All that is known of a box, by unique id."""

        def load(database: sqlite3.Connection) -> dict[str, Remembered]:
            rows = database.execute("SELECT uid, state, queue_id, mark, at, gone FROM messages WHERE box = ?", (box,))
            return {uid: Remembered(*rest) for uid, *rest in rows}

        return await self._run(load)

    async def listed(self, box: str, present: Iterable[str], absent: Iterable[str]) -> None:
        """The server lists these again, and those no longer; what has been gone for long is forgotten."""
        now = self._now()
        back, gone = [(box, uid) for uid in present], [(now, box, uid) for uid in absent]

        def listed(database: sqlite3.Connection) -> None:
            database.executemany("UPDATE messages SET gone = NULL WHERE box = ? AND uid = ?", back)
            database.executemany("UPDATE messages SET gone = ? WHERE box = ? AND uid = ?", gone)
            database.execute("DELETE FROM messages WHERE box = ? AND gone < ?", (box, now - FORGET_SECONDS))
            database.execute("DELETE FROM copies WHERE box = ? AND at < ?", (box, now - COPIES_SECONDS))

        await self._run(listed)

    async def intend(
        self, box: str, uid: str, queue_id: str, mark: bytes, copy: bytes, recipients: Sequence[str]
    ) -> None:
        """The message is about to be made durable under that queue id; ``copy`` is its digest as one copy of several."""
        now = self._now()

        def intend(database: sqlite3.Connection) -> None:
            row = (box, uid, INTENDED, queue_id, mark, now)
            database.execute("INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
            if copy:
                rows = [(box, copy, recipient, queue_id, now) for recipient in recipients]
                database.executemany("INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?, ?)", rows)

        await self._run(intend)

    async def settle(self, box: str, uid: str, state: str, mark: bytes = b"", queue_id: str = "") -> None:
        """What became of a message."""
        now = self._now()

        def settle(database: sqlite3.Connection) -> None:
            row = (box, uid, state, queue_id, mark, now)
            database.execute("INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?, NULL)", row)

        await self._run(settle)

    async def forget(self, box: str, uid: str, queue_id: str) -> None:
        """The message did not become durable after all."""

        def forget(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM messages WHERE box = ? AND uid = ?", (box, uid))
            database.execute("DELETE FROM copies WHERE queue_id = ?", (queue_id,))

        await self._run(forget)

    async def deleted(self, box: str, uids: Sequence[str]) -> None:
        """The server has said that these are deleted."""

        def deleted(database: sqlite3.Connection) -> None:
            rows = [(DELETED, box, uid) for uid in uids]
            database.executemany("UPDATE messages SET state = ? WHERE box = ? AND uid = ?", rows)

        await self._run(deleted)

    async def renamed(self, box: str, old: str, new: str) -> None:
        """The server has another unique id for a message that we have."""

        def renamed(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM messages WHERE box = ? AND uid = ?", (box, new))
            database.execute("UPDATE messages SET uid = ?, gone = NULL WHERE box = ? AND uid = ?", (new, box, old))

        await self._run(renamed)

    async def copies(self, box: str) -> dict[bytes, set[str]]:
        """Who has had copies of which messages lately."""

        def copies(database: sqlite3.Connection) -> dict[bytes, set[str]]:
            had: dict[bytes, set[str]] = {}
            for copy, recipient in database.execute("SELECT mark, recipient FROM copies WHERE box = ?", (box,)):
                had.setdefault(copy, set()).add(recipient)
            return had

        return await self._run(copies)

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._connection is None:
            self._connection = _open(self._path)
            self._worker.start(self._perform)
        result: _T = await self._worker.submit(work)
        return result

    def _perform(self, items: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
        """One transaction, and one fsync, for all that waits."""
        connection = self._connection
        assert connection is not None
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            return [work(connection) for work in items]


def _open(path: str) -> sqlite3.Connection:
    # SQLite would create it as the umask says.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(_SCHEMA)
    return connection
