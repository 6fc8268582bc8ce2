"""
Several sources of accounts, in order: the first that knows a name or an address decides, and the others need not be there for it.

A later source can take nothing from an earlier one, neither a name, which is also a mailbox, nor an address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_not
from typing import TypeVar

from hermes.directory.accounts import Accounts, AccountTable, Group, PasswordKeeper, Record
from hermes.directory.directory import MAX_ROUNDS, AccountSource
from hermes.interfaces import UnavailableError

_T = TypeVar("_T")


class SeveralSources:
    """The sources as one. :meth:`use` has others asked from now on."""

    def __init__(self, sources: Sequence[AccountSource]) -> None:
        self._sources = tuple(sources)
        self._known_of: tuple[AccountTable, ...] = ()
        self._known = merged(())

    def use(self, sources: Sequence[AccountSource]) -> None:
        """Ask these from now on."""
        self._sources = tuple(sources)

    async def current(self) -> Accounts:
        """The accounts of all of them."""
        if len(self._sources) == 1:
            return await self._sources[0].current()
        return InOrder([await source.current() for source in self._sources])

    def known(self) -> AccountTable:
        """The accounts of all that list them here."""
        tables = tuple(table for source in self._sources if (table := source.known()).by_name)
        if len(tables) != len(self._known_of) or any(map(is_not, tables, self._known_of)):
            self._known_of, self._known = tables, merged(tables)
        return self._known

    def keepers(self) -> Sequence[PasswordKeeper]:
        """Who checks the passwords that are not kept here."""
        return [keeper for source in self._sources for keeper in source.keepers()]

    async def change_password(
        self, name: str, password_hash: str, instead_of: str | None = None, scram: str = ""
    ) -> bool:
        """Store another hash in the source whose account it is; False when there is none, or as that source says."""
        for source in self._sources:
            if await named(source, name) is not None:
                return await source.change_password(name, password_hash, instead_of, scram)
        return False


def merged(tables: Sequence[AccountTable]) -> AccountTable:
    """Several tables as one, for those who ask for all at once; a name or an address of an earlier one no later one takes."""
    if len(tables) == 1:
        return tables[0]
    by_name: dict[str, Record] = {}
    name_by_address: dict[str, str] = {}
    names_by_form: dict[str, tuple[str, ...]] = {}
    name_by_login: dict[str, str] = {}
    for table in tables:
        hidden = table.by_name.keys() & by_name.keys()
        by_name |= {name: record for name, record in table.by_name.items() if name not in hidden}
        for mine, its in ((name_by_address, table.name_by_address), (name_by_login, table.name_by_login)):
            for key, name in its.items():
                if name not in hidden:
                    mine.setdefault(key, name)
        for form, names in table.names_by_form.items():
            names_by_form[form] = (*names_by_form.get(form, ()), *(name for name in names if name not in hidden))
    has_cram = any(table.has_cram for table in tables)
    expiries = frozenset[int]().union(*(table.expiries for table in tables))
    return AccountTable(by_name, name_by_address, has_cram, names_by_form, name_by_login, expiries)


class InOrder:
    """What several sources know; see :class:`hermes.directory.accounts.Accounts`."""

    def __init__(self, views: Sequence[Accounts]) -> None:
        self._views = views

    def named(self, name: str) -> Record | None:
        """The account of that name in the first source that has one."""
        for number, view in enumerate(self._views):
            record = view.named(name)
            if record is not None:
                # It may have been found by another of its names.
                return None if record.account.name != name and self._before(number, record) else record
        return None

    def listed(self, local_part: str, domain: str) -> Record | None:
        """Who has the address in the first source that knows it."""
        for number, view in enumerate(self._views):
            record = view.listed(local_part, domain)
            if record is not None:
                return None if self._before(number, record) else record
        return None

    def of_form(self, form: str) -> tuple[Record, ...]:
        """Everybody who may be meant, in whatever source."""
        return tuple(
            record
            for number, view in enumerate(self._views)
            for record in view.of_form(form)
            if not self._before(number, record)
        )

    def _before(self, number: int, record: Record) -> bool:
        """Whether an earlier source has an account of the same name: the mailbox is that one's."""
        return any(view.named(record.account.name) is not None for view in self._views[:number])

    def taken_from(self, name: str, address: str) -> bool:
        """Whether the address is another's: what later sources say does not count."""
        for view in self._views:
            if view.taken_from(name, address):
                return True
            if view.named(name) is not None:
                return False
        return False

    def group(self, local_part: str, domain: str) -> Group | None:
        """The group in the first source that has one."""
        return next((group for view in self._views if (group := view.group(local_part, domain)) is not None), None)

    def of_windows_domain(self, domain: str, name: str) -> Record | None:
        """The account in the first source that is of that domain and has one."""
        for number, view in enumerate(self._views):
            record = view.of_windows_domain(domain, name)
            if record is not None:
                return None if self._before(number, record) else record
        return None

    async def learn(self) -> bool:
        """Have every source find out what it was asked."""
        learned = [await view.learn() for view in self._views]
        return any(learned)


async def named(source: AccountSource, name: str) -> Record | None:
    """What a source says about an account; raises UnavailableError."""
    return await asked(source, name, lambda accounts: accounts.named(name))


async def asked(source: AccountSource, name: str, question: Callable[[Accounts], _T]) -> _T:
    """The answer of a source to a question about an account; raises UnavailableError."""
    accounts = await source.current()
    for _ in range(MAX_ROUNDS):
        answer = question(accounts)
        if not await accounts.learn():
            return answer
    raise UnavailableError(f"{MAX_ROUNDS} questions about {name} did not lead to an end")
