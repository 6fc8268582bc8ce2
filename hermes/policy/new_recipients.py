"""
How many people an account may reach in a day to whom it has never written: so that a stolen password does little.

Somebody who has been written to is known for ninety days, and costs nothing. Only addresses at other servers count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

from twisted.logger import Logger
from zope.interface import implementer

from hermes.core import address
from hermes.core.account import Account, Remote
from hermes.core.event import Event, Kind
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.interfaces import ICheck, IDirectory, IJournal
from hermes.policy.recipient_store import RecipientStore

RULE = "accounts.new_recipients"

_DIGEST_OCTETS = 16


@implementer(ICheck)
class NewRecipients:
    """
    Counts the new recipients of each account; ``limit`` is for those that have none of their own, 0 is none.

    ``secret`` gives the key of digests, ``now`` seconds since the epoch. Days are those of UTC.
    """

    name = "new_recipients"
    stages = (Stage.RECIPIENT,)
    momentary = True
    _log = Logger()

    def __init__(
        self,
        limit: int,
        store: RecipientStore,
        directory: IDirectory,
        journal: Callable[[], IJournal],
        secret: Callable[[], bytes],
        now: Callable[[], float],
    ) -> None:
        self._limit = limit
        self._store = store
        self._directory = directory
        self._journal = journal
        self._secret = secret
        self._now = now

    def judge(self, case: Case) -> Verdict | Awaitable[Verdict]:
        """Judge a recipient of somebody who has logged in."""
        account, entry = case.visit.account, case.visit.entry
        if account is None or case.recipient is None or (entry is not None and entry.exempt):
            return PASS
        limit = self._limit if account.new_recipients is None else account.new_recipients
        return self._count(account, case.recipient.address, limit) if limit else PASS

    async def _count(self, account: Account, recipient: str, limit: int) -> Verdict:
        if not isinstance(await self._directory.resolve(recipient), Remote):
            return PASS
        now = self._now()
        judgment = await self._store.judge(account.name, self._digest(account, recipient), limit, now)
        if judgment.allowed:
            return PASS
        reason = f"{account.name} has written to {limit} new recipients today"
        if judgment.first:
            self._log.warn(
                "{reason}, which is its limit: is that so, or has somebody got the password?"
                " 'hermes user recipients' shows and clears it",
                reason=reason,
            )
            facts = {"rule": RULE, "reason": f"{reason}: the limit is reached, which is told once a day"}
            self._journal().record(Event(now, Kind.REFUSED, address=account.name, facts=facts))
        # RFC 5321 4.2.5: the client keeps the message, and tomorrow it can go. RFC 3463 3.8: X.7.1, delivery not authorized.
        text = (
            f"You have written to {limit} people today to whom you had not written before, and more are not allowed in one day:"
            " try again tomorrow, or ask the postmaster"
        )
        return Verdict(Reply.of(450, "4.7.1", text), RULE, reason)

    def _digest(self, account: Account, recipient: str) -> bytes:
        said = f"{account.name}\0{address.key(recipient)}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(said, key=self._secret(), digest_size=_DIGEST_OCTETS).digest()
