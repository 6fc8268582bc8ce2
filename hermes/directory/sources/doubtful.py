"""
Accounts that were known, while it cannot be told what has become of them: who is among them stays, and nobody else is unknown.

A database that is locked or broken must never make mail bounce for somebody who has been added meanwhile.
"""

from __future__ import annotations

from hermes.directory.accounts import AccountTable, Group, Record
from hermes.interfaces import UnavailableError


class Doubtful:
    """What was known, for one question; see :class:`hermes.directory.accounts.Accounts`."""

    def __init__(self, table: AccountTable, problem: str) -> None:
        self._table = table
        self._problem = problem
        self._missed = False

    def named(self, name: str) -> Record | None:
        """The account of that name."""
        record = self._table.named(name)
        # Whoever logs in by an address, or with a Windows domain, is asked for by all of it first; no account is called so, and
        # none can have been added meanwhile.
        return record if "@" in name or "\\" in name else self._noted(record)

    def listed(self, local_part: str, domain: str) -> Record | None:
        """Who has this very address, listed or by the name alone."""
        return self._noted(self._table.listed(local_part, domain))

    def of_form(self, form: str) -> tuple[Record, ...]:
        """The accounts whose owner's name may be written so."""
        return self._table.of_form(form)

    def taken_from(self, name: str, address: str) -> bool:
        """Whether another account lists that address."""
        return self._table.taken_from(name, address)

    def group(self, local_part: str, domain: str) -> Group | None:
        """There are none."""
        return None

    def of_windows_domain(self, domain: str, name: str) -> Record | None:
        """Databases are no domain."""
        return None

    async def learn(self) -> bool:
        """Nothing more can be found out; raises UnavailableError when somebody was asked for who is not among these."""
        if self._missed:
            raise UnavailableError(self._problem)
        return False

    def _noted(self, record: Record | None) -> Record | None:
        self._missed = self._missed or record is None
        return record
