"""The accounts of this server as a phone book."""

from __future__ import annotations

from collections.abc import Iterator

from hermes.core.phone_book import Book, Entry, entry
from hermes.directory.accounts import AccountTable
from hermes.directory.directory import AccountSource


class AccountBook:
    """Made anew when the accounts have changed; ``domains`` are those at which an account without addresses has its name."""

    def __init__(self, source: AccountSource, domains: tuple[str, ...]) -> None:
        self._source = source
        self._domains = domains
        self._table: AccountTable | None = None
        self._book = Book([])

    async def current(self) -> Book:
        """All accounts that are listed here and not disabled; those of a directory service are not in it."""
        table = self._source.known()
        if table is not self._table:
            self._table = table
            self._book = Book(self._entries(table))
        return self._book

    def _entries(self, table: AccountTable) -> Iterator[Entry]:
        for record in table.by_name.values():
            account = record.account
            if not account.disabled:
                addresses = account.addresses or [f"{account.name}@{domain}" for domain in self._domains]
                yield entry({"alias": [account.name], "name": [account.full_name], "email": addresses})
