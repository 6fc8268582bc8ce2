"""A source that must be asked, as a directory service must: it knows nothing by itself, and may not be there."""

from __future__ import annotations

from hermes.directory.accounts import AccountTable, Group, Record, table_of
from hermes.interfaces import UnavailableError


class AskedSource:
    """
    Its accounts and groups are found out one question after the other; ``asked`` has every question that was put to it.

    ``here`` is False while it cannot be asked. As a keeper of passwords it takes ``password`` for everybody.
    """

    def __init__(self, *records: Record, groups: dict[str, Group] | None = None) -> None:
        self.table = table_of(records)
        self.groups = groups or {}
        self.here = True
        self.asked: list[str] = []
        self.password = ""
        self.pretended = 0
        self.changes: list[tuple[str, str, str]] = []

    async def current(self) -> AskedView:
        """What is known at first: nothing."""
        return AskedView(self)

    def known(self) -> AccountTable:
        """Nothing."""
        return AccountTable({}, {})

    def keepers(self) -> list[AskedSource]:
        """It keeps its passwords."""
        return [self]

    async def change_password(
        self, name: str, password_hash: str, instead_of: str | None = None, scram: str = ""
    ) -> bool:
        """It takes no hashes."""
        raise AssertionError("a hash for an account whose password is kept elsewhere")

    def ask(self) -> None:
        """Say whether it is there."""
        if not self.here:
            raise UnavailableError("the directory is down")

    async def proves(self, record: Record, password: str) -> bool:
        """Whether that is everybody's password."""
        self.ask()
        return bool(password) and password == self.password

    async def change(self, record: Record, old: str, new: str) -> str:
        """Take another password."""
        self.ask()
        self.changes.append((record.key, old, new))
        return ""

    async def pretend(self, password: str) -> None:
        """Count it."""
        self.pretended += 1
        self.ask()


class AskedView:
    """What has been found out."""

    def __init__(self, source: AskedSource) -> None:
        self._source = source
        self._known: set[str] = set()
        self._missing: set[str] = set()

    def _may(self, question: str) -> bool:
        if question not in self._known:
            self._missing.add(question)
        return question in self._known

    def named(self, name: str) -> Record | None:
        """The account of that name."""
        return self._source.table.named(name) if self._may(name) else None

    def listed(self, local_part: str, domain: str) -> Record | None:
        """Who has the address."""
        return self._source.table.listed(local_part, domain) if self._may(f"{local_part}@{domain}") else None

    def of_form(self, form: str) -> tuple[Record, ...]:
        """Nobody is found by a form of the name."""
        return ()

    def taken_from(self, name: str, address: str) -> bool:
        """Whether another has it."""
        return self._may(address) and self._source.table.taken_from(name, address)

    def group(self, local_part: str, domain: str) -> Group | None:
        """The group of that address."""
        address = f"{local_part}@{domain}"
        return self._source.groups.get(address) if self._may(address) else None

    def of_windows_domain(self, domain: str, name: str) -> Record | None:
        """It is no domain."""
        return None

    async def learn(self) -> bool:
        """Find out what was asked for."""
        missing, self._missing = self._missing, set()
        if missing:
            self._source.ask()
            self._source.asked += sorted(missing)
            self._known |= missing
        return bool(missing)
