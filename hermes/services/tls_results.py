"""
What came of TLS with other domains' servers, counted by day until it is reported (RFC 8460): a small SQLite file, bounded.

Results are gathered in memory and written together once a minute: a crash loses a minute of counts, and no mail waits for a disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence

from zope.interface import implementer

from hermes.core.tls_report import Count, Result, day_of
from hermes.disk.small_database import SmallDatabase, transaction
from hermes.interfaces import IGroupWorker, ITLSResults

#: Different results of one day that are counted, in memory and on disk; what comes on top is not. A busy site has some thousands,
#: and a stranger can make new ones by sending to names of his.
MAX_RESULTS = 50_000

#: Days that are kept: yesterday's report may have to wait for a server that was down.
KEPT_DAYS = 3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (day TEXT, domain TEXT, result TEXT, sessions INTEGER, PRIMARY KEY (day, domain, result))
WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sent (day TEXT, domain TEXT, PRIMARY KEY (day, domain)) WITHOUT ROWID;
"""
_ADD = """
    INSERT INTO results VALUES (?, ?, ?, ?)
    ON CONFLICT (day, domain, result) DO UPDATE SET sessions = sessions + excluded.sessions
"""


@implementer(ITLSResults)
class TLSResults:
    """``worker`` is a thread that calls each item; ``now`` gives seconds since the epoch. It counts only while ``wanted``."""

    def __init__(self, path: str, worker: IGroupWorker, now: Callable[[], float], most: int = MAX_RESULTS) -> None:
        self._database = SmallDatabase(path, _SCHEMA)
        self._worker = worker
        self._now = now
        self._most = most
        self._counts: Counter[tuple[str, Result]] = Counter()
        self.wanted = False

    def record(self, result: Result) -> None:
        """Count a result."""
        key = day_of(self._now()), result
        if self.wanted and (key in self._counts or len(self._counts) < self._most):
            self._counts[key] += 1

    async def flush(self) -> None:
        """Write down what has been counted."""
        if self._counts:
            counts, self._counts = self._counts, Counter()
            await self._worker.submit(lambda: self._database.guarded(lambda database: self._write(database, counts)))

    async def domains(self, day: str) -> list[str]:
        """Those of whom something is known for a day, and to whom nothing was sent."""
        domains: list[str] = await self._worker.submit(
            lambda: self._database.guarded(lambda database: _domains(database, day))
        )
        return domains

    async def counts(self, day: str, domain: str) -> list[Count]:
        """What is known of a domain for a day."""
        counts: list[Count] = await self._worker.submit(
            lambda: self._database.guarded(lambda database: _counts(database, day, domain))
        )
        return counts

    async def done(self, day: str, domain: str) -> bool:
        """Note that a domain has its report; False when that has been noted before, by whoever."""
        first: bool = await self._worker.submit(
            lambda: self._database.guarded(lambda database: _done(database, day, domain))
        )
        return first

    async def expire(self) -> None:
        """Forget old days."""
        before = day_of(self._now() - KEPT_DAYS * 86400)

        def forget(database: sqlite3.Connection) -> None:
            with transaction(database):
                database.execute("DELETE FROM results WHERE day < ?", (before,))
                database.execute("DELETE FROM sent WHERE day < ?", (before,))

        await self._worker.submit(lambda: self._database.guarded(forget))

    def close(self) -> None:
        """In the thread, or after it has ended."""
        self._database.close()

    def _write(self, database: sqlite3.Connection, counts: Counter[tuple[str, Result]]) -> None:
        rows = [(day, result.domain, _text(result), sessions) for (day, result), sessions in counts.items()]
        days: dict[str, int] = {}
        for day in {row[0] for row in rows}:
            (days[day],) = database.execute("SELECT count(*) FROM results WHERE day = ?", (day,)).fetchone()
        with transaction(database):
            for row in rows:
                if days[row[0]] < self._most:
                    database.execute(_ADD, row)
                    days[row[0]] += 1


def _text(result: Result) -> str:
    return json.dumps([result.policy, result.host, result.kind, result.address, result.lines])


def _domains(database: sqlite3.Connection, day: str) -> list[str]:
    rows = database.execute(
        "SELECT DISTINCT domain FROM results WHERE day = ?1 AND domain NOT IN (SELECT domain FROM sent WHERE day = ?1)",
        (day,),
    )
    return [domain for (domain,) in rows]


def _counts(database: sqlite3.Connection, day: str, domain: str) -> list[Count]:
    rows: Sequence[tuple[str, int]] = database.execute(
        "SELECT result, sessions FROM results WHERE day = ? AND domain = ?", (day, domain)
    ).fetchall()
    counts = []
    for text, sessions in rows:
        try:
            policy, host, kind, address, lines = json.loads(text)
            result = Result(domain, policy, host, kind, address, tuple(lines))
        except TypeError:
            raise ValueError(f"{text!r} is no result") from None
        counts.append(Count(result, sessions))
    return counts


def _done(database: sqlite3.Connection, day: str, domain: str) -> bool:
    return database.execute("INSERT OR IGNORE INTO sent VALUES (?, ?)", (day, domain)).rowcount == 1
