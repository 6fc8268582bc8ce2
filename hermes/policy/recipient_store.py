"""
To whom each account has written: a file of its own, read and written by a thread of its own.

What is kept of a recipient is a keyed digest, so that the file by itself does not tell who writes to whom. It is no record of
mail: an address that was refused later, or a message that was never sent, is in it as well. A file that is damaged is put aside,
and everybody is new: it must not keep those who have logged in from sending.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import attrs
from twisted.logger import Logger

from hermes.interfaces import IGroupWorker

#: How long a recipient is known to whom nothing is written any more: a season, in which people come back to one another.
REMEMBER_DAYS = 90

#: Recipients of one account that are remembered; at some 60 octets each. The one to whom nothing was written for longest goes.
MAX_REMEMBERED = 50_000

DAY_SECONDS = 86400

#: How long the other process is waited for: it looks at some rows, or clears some.
_BUSY_SECONDS = 5.0

#: What the file is called by that could not be read.
DAMAGED = ".damaged"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS recipients (
    account TEXT NOT NULL, recipient BLOB NOT NULL, day INTEGER NOT NULL, PRIMARY KEY (account, recipient)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS recipients_by_day ON recipients (day);
CREATE TABLE IF NOT EXISTS days (
    account TEXT NOT NULL PRIMARY KEY, day INTEGER NOT NULL, new INTEGER NOT NULL, refused INTEGER NOT NULL
) WITHOUT ROWID;
"""

_T = TypeVar("_T")


@attrs.frozen
class Judgment:
    """Whether an account may write to somebody; ``first`` says that it is the first refusal of the day."""

    allowed: bool
    first: bool = False


@attrs.frozen
class Standing:
    """How an account stands: recipients that are new today, refusals today, and how many are remembered."""

    account: str
    new: int
    refused: int
    remembered: int


class RecipientStore:
    """The memory in the file at ``path``; it is opened when it is first needed."""

    _log = Logger()

    def __init__(self, path: str, worker: IGroupWorker) -> None:
        self._path = path
        self._worker = worker
        self._started = False
        self._connection: sqlite3.Connection | None = None
        self._expired_on = 0

    async def judge(self, account: str, recipient: bytes, limit: int, now: float) -> Judgment:
        """Say whether there is room for a recipient, and remember it when there is; ``now`` is in seconds since the epoch."""
        if not self._started:
            self._started = True
            self._worker.start(self._perform)
        judgment: Judgment = await self._worker.submit(
            lambda connection: self._judge(connection, account, recipient, limit, int(now // DAY_SECONDS))
        )
        return judgment

    async def close(self) -> None:
        """Write what waits and close."""
        if self._started:
            await self._worker.stop()
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _perform(self, items: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
        try:
            return self._performed(items)
        except sqlite3.DatabaseError as error:
            # Its subclasses say that something cannot be done now, or at all; this one, that the file is none, or torn.
            if type(error) is not sqlite3.DatabaseError:
                raise
            self._put_aside(error)
            return self._performed(items)

    def _put_aside(self, error: sqlite3.DatabaseError) -> None:
        self._log.error(
            "The memory of recipients {path} cannot be read ({error}): it is kept as {path}{damaged}, and a new one begun",
            path=self._path,
            error=str(error),
            damaged=DAMAGED,
        )
        self._close()
        os.replace(self._path, self._path + DAMAGED)
        for ending in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path + ending)

    def _performed(self, items: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
        if self._connection is None:
            self._connection = _connected(self._path)
        # One transaction for all that wait.
        with _transaction(self._connection) as connection:
            return [item(connection) for item in items]

    def _judge(self, connection: sqlite3.Connection, account: str, recipient: bytes, limit: int, day: int) -> Judgment:
        if day > self._expired_on:
            self._expired_on = day
            connection.execute("DELETE FROM recipients WHERE day <= ?", (day - REMEMBER_DAYS,))
            connection.execute("DELETE FROM days WHERE day < ?", (day,))
        found = connection.execute(
            "SELECT day FROM recipients WHERE account = ? AND recipient = ?", (account, recipient)
        )
        row = found.fetchone()
        if row is not None:
            if row[0] < day:
                connection.execute(
                    "UPDATE recipients SET day = ? WHERE account = ? AND recipient = ?", (day, account, recipient)
                )
            return Judgment(True)
        counted = connection.execute("SELECT new, refused FROM days WHERE account = ? AND day = ?", (account, day))
        new, refused = counted.fetchone() or (0, 0)
        allowed = new < limit
        if allowed:
            _make_room(connection, account)
            connection.execute("INSERT INTO recipients VALUES (?, ?, ?)", (account, recipient, day))
        counts = (new + 1, refused) if allowed else (new, refused + 1)
        connection.execute("INSERT OR REPLACE INTO days VALUES (?, ?, ?, ?)", (account, day, *counts))
        return Judgment(allowed, first=not allowed and not refused)


def standings(path: str, now: float) -> list[Standing]:
    """How all accounts stand, read beside a running server or without one."""
    if not os.path.exists(path):
        return []
    text = """
        SELECT names.account, coalesce(days.new, 0), coalesce(days.refused, 0),
            (SELECT count(*) FROM recipients WHERE recipients.account = names.account)
        FROM (SELECT account FROM recipients UNION SELECT account FROM days) AS names
        LEFT JOIN days ON days.account = names.account AND days.day = ? ORDER BY names.account
    """
    with contextlib.closing(_beside(path)) as connection:
        return [Standing(*row) for row in connection.execute(text, (int(now // DAY_SECONDS),))]


def clear(path: str, account: str, *, forget: bool = False) -> bool:
    """Let the count of an account begin again, with ``forget`` its memory too; False when there is nothing of it."""
    if not os.path.exists(path):
        return False
    with contextlib.closing(_beside(path)) as connection, _transaction(connection):
        cleared = connection.execute("DELETE FROM days WHERE account = ?", (account,)).rowcount
        if forget:
            cleared += connection.execute("DELETE FROM recipients WHERE account = ?", (account,)).rowcount
    return cleared > 0


def _make_room(connection: sqlite3.Connection, account: str) -> None:
    (count,) = connection.execute("SELECT count(*) FROM recipients WHERE account = ?", (account,)).fetchone()
    if count >= MAX_REMEMBERED:
        connection.execute(
            "DELETE FROM recipients WHERE account = ?1 AND recipient IN"
            " (SELECT recipient FROM recipients WHERE account = ?1 ORDER BY day LIMIT ?2)",
            (account, count - MAX_REMEMBERED + 1),
        )


def _connected(path: str) -> sqlite3.Connection:
    # SQLite would create it as the umask says.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # After a power cut the last rows may be missing; the file is whole.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _beside(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(path)}?mode=rw", uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    connection.executescript(_SCHEMA)
    return connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
