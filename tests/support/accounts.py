"""Accounts, passwords and a directory for tests: argon2 with the least work that it accepts."""

from __future__ import annotations

from argon2 import PasswordHasher
from twisted.internet.task import Clock

from hermes.core.account import Account
from hermes.directory.accounts import AccountTable, Record, table_of
from hermes.directory.directory import Directory
from hermes.directory.passwords import Passwords, hash_password
from tests.support.worker import ImmediateWorker

#: As quick as argon2 can be.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def quick_hash(password: str) -> str:
    """A hash that :data:`QUICK` has made."""
    return hash_password(password, QUICK)


def passwords_with(*workers: ImmediateWorker, clock: Clock | None = None, hasher: PasswordHasher = QUICK) -> Passwords:
    """Passwords that are checked in these workers, or in one that is made; they are started."""
    passwords = Passwords(workers or [ImmediateWorker()], (clock or Clock()).seconds, hasher)
    passwords.start()
    return passwords


class MemorySource:
    """Accounts in memory; ``changed`` lists the password changes, ``fault`` is raised instead of one."""

    def __init__(self, *records: Record) -> None:
        self.table: AccountTable = table_of(records)
        self.changed: list[tuple[str, str, str | None]] = []
        self.scram: list[str] = []
        self.fault: Exception | None = None

    async def current(self) -> AccountTable:
        """All of them."""
        return self.table

    def known(self) -> AccountTable:
        """The same."""
        return self.table

    def keepers(self) -> tuple[()]:
        """All passwords are here."""
        return ()

    async def change_password(
        self, name: str, password_hash: str, instead_of: str | None = None, scram: str = ""
    ) -> bool:
        """Remember the change."""
        if self.fault is not None:
            raise self.fault
        self.changed.append((name, password_hash, instead_of))
        self.scram.append(scram)
        return True


def record(name: str, *addresses: str, password: str = "", disabled: bool = False) -> Record:
    """An account, with a password when one is given."""
    return Record(Account(name, addresses, disabled=disabled), quick_hash(password) if password else "")


def directory_of(
    *records: Record,
    domains: tuple[str, ...] = ("example.org",),
    postmaster: str = "",
    passwords: Passwords | None = None,
) -> Directory:
    """A directory of these accounts."""
    return Directory(MemorySource(*records), domains, postmaster, passwords or passwords_with())
