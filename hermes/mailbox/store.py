"""The mailboxes of all accounts: one maildir for each, in one directory, made when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from hermes.core.account import Account
from hermes.core.outcome import PASS, Verdict
from hermes.core.reading_profile import PLAIN, ReadingProfile
from hermes.interfaces import IGroupWorker, IMailboxes
from hermes.mailbox import departed
from hermes.mailbox.cached import CachedFiles
from hermes.mailbox.maildir import DeliveryNames
from hermes.mailbox.quota import FRESH_SECONDS, SHARED_SECONDS, Quota
from hermes.mailbox.reading import POP3Mailbox


@implementer(IMailboxes)
class Mailboxes:
    """
    The maildirs under ``directory``.

    ``reader`` is a worker whose ``perform`` calls each item (:func:`hermes.core.jobs.perform_each`): mailboxes are listed,
    measured and cleared in it. ``default_quota`` is in octets and holds for accounts without a quota of their own; 0 is
    no limit. ``now`` gives seconds since the epoch. ``processes`` of ours deliver into them. ``reading`` is
    how mailboxes are read whose accounts say nothing about it; ``cached`` reads what needs no wait.
    """

    _log = Logger()

    def __init__(
        self,
        directory: str,
        reader: IGroupWorker,
        *,
        default_quota: int,
        hostname: str,
        now: Callable[[], float],
        processes: int = 1,
        reading: ReadingProfile = PLAIN,
        cached: CachedFiles | None = None,
    ) -> None:
        self._directory = directory
        self._default_quota = default_quota
        self._now = now
        self._reading = reading
        self.quota = Quota(reader, now, FRESH_SECONDS if processes == 1 else SHARED_SECONDS)
        self._open: set[str] = set()
        #: Of which marks it was said that they keep a mailbox from being made, and until when: as many as there are marks.
        self._told: dict[str, float] = {}
        self._cached = cached or CachedFiles()
        self.reader = reader
        self.names = DeliveryNames(hostname)
        #: Messages accepted before may have been delivered by an earlier process that did not live to say so.
        self.started_at = now()

    def path(self, account_name: str) -> str:
        """Where an account's maildir is; ValueError for a name that would lead elsewhere."""
        # The file source lets no such name through; other sources may be in other hands.
        if account_name[:1] in {"", ".", "-"} or "/" in account_name or "\0" in account_name:
            raise ValueError(f"{account_name!r} can not be the name of a mailbox")
        return os.path.join(self._directory, account_name)

    async def over_quota(self, account: Account, octets: int) -> Verdict:
        """Say whether a message of that size still fits: PASS (no limit), FITS, or 452 (full) or 552 (could never fit)."""
        limit = account.quota_octets or self._default_quota
        if not limit:
            return PASS
        return await self.quota.verdict(self.path(account.name), limit, octets)

    def count(self, account: Account, octets: int) -> None:
        """Add to what the account's mailbox is known to hold."""
        self.quota.count(self.path(account.name), octets)

    async def owners(self) -> list[str]:
        """The names of the accounts whose mailboxes have been made, in order."""
        # In the thread: there may be many.
        names: list[str] = await self.reader.submit(self._owners)
        return names

    async def new_name_of(self, name: str) -> str:
        """What an account is called now that was renamed a moment ago; empty when nothing is known of that."""
        new_name: str = await self.reader.submit(lambda: departed.new_name_of(self._directory, name))
        return new_name

    async def forget_departed(self) -> None:
        """Remove the marks of accounts that departed so long ago that nothing of theirs is on its way."""
        # A mark that is still there is told of again, if it keeps somebody waiting: once more at most.
        self._told.clear()
        await self.reader.submit(lambda: departed.tidy(self._directory))

    def tell_departed(self, about: str, error: departed.DepartedError) -> None:
        """Say in the log, once for each mark, why there can be no mailbox yet and what can be done; not of a mere moment."""
        if not error.filename or self._told.get(error.filename) == error.until:
            return
        self._told[error.filename] = error.until
        self._log.warn(
            "Mail waits and logins are refused, for {about} cannot be made yet: {reason}; {advice}",
            about=about,
            reason=error.strerror,
            advice=error.advice,
        )

    def _owners(self) -> list[str]:
        try:
            with os.scandir(self._directory) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def mailbox(self, account: Account) -> POP3Mailbox:
        """The account's mailbox, not yet open."""
        path = self.path(account.name)
        return POP3Mailbox(
            account.name,
            path,
            self.reader,
            self._now,
            self._open,
            deleted=lambda octets: self.quota.count(path, -octets),
            departed=lambda error: self.tell_departed(f"the mailbox of {account.name}", error),
            cached=self._cached,
            reading=account.reading.over(self._reading),
        )
