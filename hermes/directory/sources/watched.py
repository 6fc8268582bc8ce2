"""
Accounts that stand in something which others change: read again when it has changed, by a worker, while those who ask wait.

What cannot be used leaves the accounts as they were: all or nothing.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hermes.core.account import Account
from hermes.directory.accounts import AccountTable, Record
from hermes.directory.shared_work import SharedWork
from hermes.directory.sources.accounts_file import AccountsFileError
from hermes.interfaces import IGroupWorker

#: How often the accounts are looked at while they are asked for: an edit is in force within a second.
LOOK_SECONDS = 1.0


@attrs.frozen
class Loaded:
    """The accounts, and what tells this state of them from another."""

    table: AccountTable
    stamp: object


@attrs.frozen
class Refused:
    """They cannot be used, and why; ``stamp`` is that of the state that was looked at, where it is known without reading."""

    problem: str
    stamp: object = None


class WatchedSource(ABC):
    """
    Accounts at ``path``.

    ``worker``, whose ``perform`` calls each item, does the reading and editing for a server; without one everything is
    done in the caller's thread. ``now`` gives seconds that only increase.
    """

    _log = Logger()

    def __init__(
        self, path: str, worker: IGroupWorker | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = path
        self._worker = worker
        self._now = now
        self._table = AccountTable({}, {})
        self._stamp: object = None
        self._look_at = 0.0
        self._loading = SharedWork()

    @abstractmethod
    def _read(self) -> Loaded:
        """All accounts; raises AccountsFileError. It is called in the worker's thread, or before that is started."""

    @abstractmethod
    def _may_have_changed(self) -> bool:
        """Whether it is worth reading them again; this must not wait for anything."""

    @abstractmethod
    def set_password(self, name: str, password_hash: str, instead_of: str | None = None, scram: str = "") -> bool:
        """
        Set an account's password, and its keys for SCRAM or none; LookupError when there is no such account.

        With ``instead_of`` only when that is the hash in force: False when somebody has changed it meanwhile.
        """

    @property
    def table(self) -> AccountTable:
        """The accounts as they were read last."""
        return self._table

    @abstractmethod
    async def stop(self) -> None:
        """End what is its own."""

    def load(self) -> None:
        """Read them now; raise AccountsFileError when they cannot be used. A server does this before it starts."""
        self._take(self._read())

    def known(self) -> AccountTable:
        """All accounts, as they were last read; when that has changed, they are read for those who ask next."""
        if self._now() >= self._look_at and not self._loading.under_way:
            _ = Deferred.fromCoroutine(self._look())
        return self._table

    def keepers(self) -> tuple[()]:
        """All passwords are here."""
        return ()

    def list(self) -> list[Account]:
        """All accounts as they are there now, in their order."""
        return [record.account for record in self._read().table.by_name.values()]

    def record(self, name: str) -> Record:
        """What stands there now about an account; LookupError when there is none."""
        record = self._read().table.by_name.get(name)
        if record is None:
            raise LookupError(f"there is no account {name!r}")
        return record

    async def change_password(
        self, name: str, password_hash: str, instead_of: str | None = None, scram: str = ""
    ) -> bool:
        """Do what :meth:`set_password` does, in the worker."""
        if self._worker is None:
            return self.set_password(name, password_hash, instead_of, scram)
        changed: bool = await self._submit(lambda: self.set_password(name, password_hash, instead_of, scram))
        self.look_now()
        return changed

    def look_now(self) -> None:
        """Look whether they have changed at the very next question."""
        self._look_at = 0.0

    def _submit(self, job: Callable[[], Any]) -> Deferred[Any]:
        """Have it called in the worker's thread."""
        assert self._worker is not None
        return self._worker.submit(job)

    async def _look(self) -> None:
        """See to it that the accounts are those of now."""
        if self._now() >= self._look_at and not self._loading.under_way:
            self._look_at = self._now() + LOOK_SECONDS
            if self._may_have_changed():
                self._loading.begin(self._reload())
        # The old accounts would let somebody in whose password has just been changed.
        await self._loading.ended()

    async def _reload(self) -> None:
        result: Loaded | Refused
        try:
            result = self._attempt() if self._worker is None else await self._submit(self._attempt)
        except Exception:
            self._log.failure("accounts could not be read from {path}", path=self.path)
            return
        if isinstance(result, Loaded):
            changed = result.table is not self._table
            self._take(result)
            if changed:
                self._log.info("{count} accounts read from {path}", count=len(self._table.by_name), path=self.path)
        else:
            self._refused(result)

    def _state(self) -> object:
        """What tells the state of now from another, where that is known without reading all."""
        return None

    def _attempt(self) -> Loaded | Refused:
        # Before the reading: a change meanwhile is then noticed at the next look.
        stamp = self._state()
        try:
            return self._read()
        except AccountsFileError as error:
            return Refused(str(error), stamp)

    def _refused(self, refused: Refused) -> None:
        """What was read cannot be used."""
        self._log.error("the accounts stay as they were: {problem}", problem=refused.problem)

    def _take(self, loaded: Loaded) -> None:
        self._table = loaded.table
        self._stamp = loaded.stamp
