"""
Where the policies of other domains outlive the process: a small SQLite file, which a thread of its own reads and writes.

What was promised to hold for weeks must hold after a restart: otherwise whoever can wait for that could have
mail sent in the clear (RFC 8461 10.2). A file that is damaged is put aside, and the policies are fetched anew.
"""

from __future__ import annotations

import json
import sqlite3

from zope.interface import implementer

from hermes.core.mta_sts import Mode, Policy
from hermes.disk.small_database import SmallDatabase, transaction
from hermes.interfaces import IGroupWorker, IPolicyStore
from hermes.services.mta_sts import Kept

#: Policies kept; those that were fetched longest ago go first. Half a kilobyte each.
MAX_POLICIES = 50_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS policies (
    domain TEXT PRIMARY KEY, policy_id TEXT NOT NULL, mode TEXT NOT NULL, max_age INTEGER NOT NULL, hosts TEXT NOT NULL,
    lines TEXT NOT NULL, fetched_at REAL NOT NULL
) WITHOUT ROWID;
"""
_SELECT = "SELECT policy_id, mode, max_age, hosts, lines, fetched_at FROM policies WHERE domain = ?"
_BOUND = """
    DELETE FROM policies WHERE domain IN (SELECT domain FROM policies ORDER BY fetched_at DESC LIMIT -1 OFFSET ?)
"""


@implementer(IPolicyStore)
class PolicyStore:
    """``worker`` is a thread that calls each item."""

    def __init__(self, path: str, worker: IGroupWorker, most: int = MAX_POLICIES) -> None:
        self._database = SmallDatabase(path, _SCHEMA)
        self._worker = worker
        self._most = most

    async def policy(self, domain: str) -> Kept | None:
        """What is kept of a domain, in force or not."""
        kept: Kept | None = await self._worker.submit(
            lambda: self._database.guarded(lambda database: _read(database, domain))
        )
        return kept

    async def keep(self, kept: Kept) -> None:
        """Keep a policy, durably."""
        await self._worker.submit(lambda: self._database.guarded(lambda database: self._write(database, kept)))

    def close(self) -> None:
        """In the thread, or after it has ended."""
        self._database.close()

    def _write(self, database: sqlite3.Connection, kept: Kept) -> None:
        policy = kept.policy
        row = (kept.domain, kept.policy_id, policy.mode.value, policy.max_age_seconds, json.dumps(policy.hosts))
        with transaction(database):
            database.execute(
                "INSERT OR REPLACE INTO policies VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*row, json.dumps(policy.lines), kept.fetched_at),
            )
            database.execute(_BOUND, (self._most,))


def _read(database: sqlite3.Connection, domain: str) -> Kept | None:
    row = database.execute(_SELECT, (domain,)).fetchone()
    if row is None:
        return None
    policy_id, mode, max_age, hosts, lines, fetched_at = row
    policy = Policy(Mode(mode), max_age, tuple(json.loads(hosts)), tuple(json.loads(lines)))
    return Kept(domain, policy, policy_id, fetched_at)
