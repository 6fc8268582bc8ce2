"""
To whom each account has written: a file of its own, read and written by a thread of its own.

What is kept of a recipient is a keyed digest, so that the file by itself does not tell who writes to whom. It is no record of
mail: an address that was refused later, or a message that was never sent, is in it as well. A file that is damaged is put aside,
and everybody is new: it must not keep those who have logged in from sending.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from hermes.disk.small_database import SmallDatabase, beside, transaction
from hermes.interfaces import IGroupWorker

#: How long a recipient is known to whom nothing is written any more: a season, in which people come back to one another.
REMEMBER_DAYS = 90

#: Recipients of one account that are remembered; at some 60 octets each. The one to whom nothing was written for longest goes.
MAX_REMEMBERED = 50_000

DAY_SECONDS = 86400

#: After a power cut the last rows may be missing; the file is whole.
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS recipients (
    account TEXT NOT NULL, recipient BLOB NOT NULL, day INTEGER NOT NULL, PRIMARY KEY (account, recipient)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS recipients_by_day ON recipients (day);
CREATE TABLE IF NOT EXISTS days (
    account TEXT NOT NULL PRIMARY KEY, day INTEGER NOT NULL, new INTEGER NOT NULL, refused INTEGER NOT NULL
) WITHOUT ROWID;
"""


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

    def __init__(self, path: str, worker: IGroupWorker) -> None:
        self._database = SmallDatabase(path, _SCHEMA)
        self._worker = worker
        self._started = False
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
            self._database.close()

    def _perform(self, items: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
        def together(connection: sqlite3.Connection) -> list[Any]:
            # One transaction for all that wait.
            with transaction(connection):
                return [item(connection) for item in items]

        return self._database.guarded(together)

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
    with beside(path) as connection:
        connection.executescript(_SCHEMA)
        return [Standing(*row) for row in connection.execute(text, (int(now // DAY_SECONDS),))]


def clear(path: str, account: str, *, forget: bool = False) -> bool:
    """Let the count of an account begin again, with ``forget`` its memory too; False when there is nothing of it."""
    if not os.path.exists(path):
        return False
    with beside(path) as connection:
        connection.executescript(_SCHEMA)
        with transaction(connection):
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
