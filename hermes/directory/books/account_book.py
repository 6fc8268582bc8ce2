"""The accounts of this server as a phone book."""

from __future__ import annotations

from collections.abc import Iterator

from hermes.core.phone_book import Book, Entry, entry
from hermes.directory.accounts import AccountTable


class AccountBook:
    """
    Made anew when the accounts have changed; ``domains`` are those at which an account without addresses has its name.

    To be searched in one thread, and not the reactor's: of many accounts a book takes its time.
    """

    def __init__(self, domains: tuple[str, ...]) -> None:
        self._domains = domains
        self._table: AccountTable | None = None
        self._book = Book([])

    def book(self, table: AccountTable) -> Book:
        """All accounts of a table that are not disabled."""
        if table is not self._table:
            self._book = Book(self._entries(table))
            self._table = table
        return self._book

    def _entries(self, table: AccountTable) -> Iterator[Entry]:
        for record in table.by_name.values():
            account = record.account
            if not account.disabled:
                addresses = account.addresses or [f"{account.name}@{domain}" for domain in self._domains]
                yield entry({"alias": [account.name], "name": [account.full_name], "email": addresses})
