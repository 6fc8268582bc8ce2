"""
Old mail is removed from the mailboxes of those who want it so: what EXPIRE announces (RFC 2449 6.7).

A mailbox is taken as a POP3 session takes it, with its lock, so that nothing vanishes under somebody who reads; one that is in
use waits for the next round. Messages go by single removals of files, and each is told in the trace: a process that is killed in
between leaves a mailbox that is whole, and the next round goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from hermes.core.account import Account
from hermes.core.event import Event, Kind
from hermes.core.reading_profile import SECONDS_A_DAY
from hermes.interfaces import IJournal, IMailboxes, IStreamingMailbox, MailboxDepartedError

#: Messages removed while a mailbox is held, and told together in the trace: some tenths of a second.
MAX_REMOVED_AT_ONCE = 1000


class MailExpiry:
    """``account`` gives an account by its name, ``now`` seconds since the epoch. What belongs to no account stays."""

    _log = Logger()

    def __init__(
        self,
        account: Callable[[str], Awaitable[Account | None]],
        mailboxes: IMailboxes,
        journal: IJournal,
        now: Callable[[], float],
    ) -> None:
        self._account = account
        self._mailboxes = mailboxes
        self._journal = journal
        self._now = now
        self._stopped = False

    def stop(self) -> None:
        """End the round after the mailbox that it is at."""
        self._stopped = True

    async def round(self) -> int:
        """Go through all mailboxes once; how many messages were removed."""
        removed = 0
        for name in await self._mailboxes.owners():
            if self._stopped:
                break
            try:
                account = await self._account(name)
                removed += await self._clear(account) if account is not None else 0
            except CancelledError:
                raise
            except Exception:
                self._log.failure("Old mail of {account} could not be removed", account=name)
        return removed

    async def _clear(self, account: Account) -> int:
        mailbox: IStreamingMailbox = self._mailboxes.mailbox(account)
        seconds: int = mailbox.reading.expire_seconds or 0
        removed = 0
        while seconds and not self._stopped and (gone := await self._remove_some(mailbox, seconds)):
            removed += gone
            mailbox = self._mailboxes.mailbox(account)
        return removed

    async def _remove_some(self, mailbox: IStreamingMailbox, seconds: int) -> int:
        try:
            if not await mailbox.open():
                return 0
        except MailboxDepartedError:
            # Taken away since it was listed.
            return 0
        try:
            before = self._now() - seconds
            old = [
                number
                for number in range(mailbox.count())
                if (arrived := mailbox.arrived(number)) is not None and arrived < before
            ][:MAX_REMOVED_AT_ONCE]
            if not old:
                return 0
            for number in old:
                mailbox.delete(number)
            gone = set(old).difference(await mailbox.update())
            for number in sorted(gone):
                self._record(mailbox, number, seconds)
        finally:
            await mailbox.close()
        # When not even one of them could be removed, there is no next time.
        return len(gone)

    def _record(self, mailbox: IStreamingMailbox, number: int, seconds: int) -> None:
        facts = {"service": "expiry", "uid": mailbox.uid(number), "reason": f"older than {seconds // SECONDS_A_DAY}d"}
        self._journal.record(Event(self._now(), Kind.DELETED, mailbox.queue_id(number), mailbox.account, facts=facts))
