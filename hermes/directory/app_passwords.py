"""
Logging in by an app password: found by its digest, good for its own account and for the services that it is for.

What is no app password is tried as the account's own. One that does not open anything is not: it is nobody's guess, and many of
these would close the account at a directory service. Either costs a whole check.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hermes.core.account import Account
from hermes.core.app_password import AppPassword, digest_of
from hermes.directory.app_password_file import Opened
from hermes.interfaces import IDirectory, IGroupWorker, IPasswordShown, UnavailableError

#: How often the last use of one is written: a mail program that looks every minute writes five times less, and a storm once.
NOTE_SECONDS = 300.0

#: Uses whose time is known here; of one that is forgotten the next use is written a little early.
MAX_NOTED = 4096


@attrs.frozen
class Judgment:
    """Whether it is an app password at all, and whose it is when it opens something."""

    is_one: bool
    account: Account | None = None


_NONE, _REFUSED = Judgment(False), Judgment(True)


class AppPasswords:
    """
    Those in the file at ``path``, which need not be there; ``now`` gives seconds since the epoch.

    ``worker`` is started when the first password comes that could be one.
    """

    _log = Logger()

    def __init__(self, path: str, worker: IGroupWorker, now: Callable[[], float]) -> None:
        self._path = path
        self._opened = Opened(path)
        self._worker = worker
        self._now = now
        self._started = False
        self._noted: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def judge(self, directory: IDirectory, shown: IPasswordShown, name: str, password: str) -> Judgment:
        """
        Say whether the password is an app password, and whose, if it is good for the account of that name and the service.

        ``shown`` is told which one it was, or why it will not do. Raises UnavailableError when that cannot be told now.
        """
        digest = digest_of(password)
        if digest is None:
            return _NONE
        found: AppPassword | None = await self._in_thread(lambda: self._opened.find(digest))
        if found is None:
            return _NONE
        account = await directory.login(name)
        if account is None or account.disabled or account.name != found.account:
            return _REFUSED
        if shown.service not in found.services:
            what = f"is not for {shown.service}" if found.services else "was taken away"
            shown.reason = f"the app password {found.name} {what}"
            return _REFUSED
        shown.app_password, shown.services = found.name, found.services
        self._note(found, shown.peer, shown.service)
        return Judgment(True, account)

    async def close(self) -> None:
        """Write what waits and close."""
        if self._started:
            await self._worker.stop()
            self._opened.close()

    def _note(self, found: AppPassword, peer: str, service: str) -> None:
        now, key = self._now(), (found.account, found.name)
        before = self._noted.get(key)
        # A clock that was set back writes once more.
        if before is not None and 0 <= now - before < NOTE_SECONDS:
            return
        self._noted[key] = now
        self._noted.move_to_end(key)
        while len(self._noted) > MAX_NOTED:
            self._noted.popitem(last=False)
        written = Deferred.fromCoroutine(self._in_thread(lambda: self._opened.note(found, now, peer, service)))
        # The login does not fail for it, and whatever is wrong with the file has been said.
        _ = written.addErrback(lambda failure: failure.trap(UnavailableError))

    async def _in_thread(self, job: Callable[[], Any]) -> Any:
        if not self._started:
            self._started = True
            self._worker.start(self._perform)
        return await self._worker.submit(job)

    def _perform(self, jobs: Sequence[Callable[[], Any]]) -> list[Any]:
        return [self._result(job) for job in jobs]

    def _result(self, job: Callable[[], Any]) -> Any:
        try:
            return job()
        except (sqlite3.Error, OSError) as error:
            self._opened.close()
            self._log.error("app passwords cannot be looked up in {path}: {error}", path=self._path, error=str(error))
            return UnavailableError(f"app passwords cannot be looked up: {error}")
