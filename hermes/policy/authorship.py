"""
Whom a submission says it is from: in one ``From:`` field, with an address in it (RFC 6409 8, RFC 5322 3.6).

Two such fields are how a message shows one author to a filter and another to the reader. A message without any is left alone, as
devices send them; so is one with several authors and no ``Sender:``, which RFC 5322 3.6.2 asks for: it deceives nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable

from zope.interface import implementer

from hermes.core import address
from hermes.core.account import Account, Local
from hermes.core.header import Header
from hermes.core.mailbox_list import addresses
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.interfaces import ICheck, IDirectory

# RFC 3463 3.7: X.6.0, other or undefined media error; RFC 6409 6 leaves the code open.
_SEVERAL = Reply.of(550, "5.6.0", "The message has several From fields: there must be one (RFC 5322 3.6)")
_NO_ADDRESS = Verdict(
    Reply.of(550, "5.6.0", "The message's From field has no address in it (RFC 5322 3.6.2)"), "from.no_address"
)
_TOO_LARGE = Verdict(Reply.of(550, "5.6.0", "The message's header is too large"), "from.header_size")
_NOT_YOURS = Reply.of(550, "5.7.1", "The message is from an address that is not yours: correct its From field")


@implementer(ICheck)
class Authorship:
    """Looks at submissions; with ``own_only`` every address in ``From:`` must be the account's."""

    name = "from"
    stages = (Stage.HEADER,)
    momentary = False

    def __init__(self, directory: IDirectory, *, own_only: bool) -> None:
        self._directory = directory
        self._own_only = own_only

    def judge(self, case: Case) -> Verdict | Awaitable[Verdict]:
        """Judge a header of somebody who has logged in, or at a door where that is demanded."""
        visit, header = case.visit, case.header
        if header is None or not (visit.submission or visit.account is not None):
            return PASS
        if not header.whole:
            # What is not looked at may hold another From.
            return _TOO_LARGE
        fields = header.all("From")
        if len(fields) > 1:
            return Verdict(_SEVERAL, "from.several", f"{len(fields)} From fields")
        if fields and not addresses(fields[0]):
            return _NO_ADDRESS
        if self._own_only and visit.account is not None:
            return self._own(visit.account, header)
        return PASS

    async def _own(self, account: Account, header: Header) -> Verdict:
        found = [each for field in header.all("From") for each in addresses(field)]
        for each in found:
            if not await self._owns(account, each):
                return Verdict(_NOT_YOURS, "from.not_owner", f"{account.name} may not write as {each}")
        # Without an author nobody would know that it is not somebody else's.
        return PASS if found else _NO_ADDRESS

    async def _owns(self, account: Account, wanted: str) -> bool:
        if any(address.key(own) == address.key(wanted) for own in account.addresses):
            return True
        resolution = await self._directory.resolve(wanted)
        return isinstance(resolution, Local) and resolution.account.name == account.name
