"""
The accounts that are kept here, as one: in ``accounts.ini``, in an SQLite database, or in both, in the order of the settings.

Commands read and change them by this. Who is new goes to the first; a change goes to where the account stands.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from hermes.core.account import Account
from hermes.core.reading_profile import ReadingProfile
from hermes.directory.accounts import AccountTable, Record, table_of
from hermes.directory.sources.database import DatabaseSource
from hermes.directory.sources.file import FileSource
from hermes.directory.sources.several import merged

LocalSource = FileSource | DatabaseSource


class LocalAccounts:
    """The sources, in order; all that it does may raise AccountsFileError."""

    def __init__(self, sources: Sequence[LocalSource]) -> None:
        self.sources = tuple(sources)

    def is_there(self) -> bool:
        """Whether anything has been kept yet."""
        return any(os.path.exists(source.path) for source in self.sources)

    def table(self) -> AccountTable:
        """All accounts as they are there now. A name or an address that an earlier source has, no later one takes from it."""
        for source in self.sources:
            source.load()
        return merged([source.table for source in self.sources])

    def list(self) -> list[Account]:
        """The accounts, in order."""
        return [record.account for record in self.table().by_name.values()]

    def record(self, name: str) -> Record:
        """What stands there about an account; LookupError when there is none."""
        return self._of(name).record(name)

    def add(self, account: Account, password_hash: str, scram: str = "") -> None:
        """Add an account to the first; ValueError when its name or one of its addresses cannot be, or is somebody's already."""
        first, *others = self.sources
        for source in others:
            self._refuse_taken(source, account)
        first.add(account, password_hash, scram)

    def remove(self, name: str) -> None:
        """Remove an account, not its mailbox; LookupError when there is none."""
        self._of(name).remove(name)

    def set_forward(self, name: str, forward: Sequence[str], *, deliver_also: bool = False) -> None:
        """Have an account's mail sent on, or with no address keep it here; LookupError likewise."""
        self._of(name).set_forward(name, forward, deliver_also=deliver_also)

    def set_password(self, name: str, password_hash: str, scram: str = "") -> None:
        """Set an account's password, and its keys for SCRAM or none; LookupError likewise."""
        self._of(name).set_password(name, password_hash, scram=scram)

    def set_cram(self, name: str, sealed: str) -> None:
        """Set an account's secret for CRAM-MD5, in its sealed form, or remove it; LookupError likewise."""
        self._of(name).set_cram(name, sealed)

    def set_reading(self, name: str, reading: ReadingProfile, logins: Sequence[str]) -> None:
        """Set how an account's mailbox is read, and its further logins; LookupError likewise."""
        self._of(name).set_reading(name, reading, logins)

    def change(self, name: str, keys: Mapping[str, str]) -> None:
        """Give keys of an account other values, as they are written in ``accounts.ini``; LookupError likewise."""
        self._of(name).change(name, keys)

    def rename(self, name: str, new_name: str) -> None:
        """Give an account another name; LookupError likewise, ValueError when the name cannot be its."""
        self._of(name).rename(name, new_name)

    def _of(self, name: str) -> LocalSource:
        for source in self.sources:
            if any(account.name == name for account in source.list()):
                return source
        raise LookupError(f"there is no account {name!r}")

    def _refuse_taken(self, source: LocalSource, account: Account) -> None:
        accounts = source.list()
        if any(each.name == account.name for each in accounts):
            raise ValueError(f"there is an account {account.name!r} already, in {source.path}")
        table_of(map(Record, [*accounts, account]))
