"""
What a client may do at the SMTP server: the avatar of Hermes's realm for ``twisted.mail.smtp.IMessageDelivery``.

Hermes's own sessions use it by :class:`hermes.interfaces.IReception`; Twisted's stock ``smtp.ESMTP``, attached to the same
portal, by ``IMessageDelivery``. Both ways lead through the same rules into the same spool.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.mail import smtp
from zope.interface import implementer

from hermes.core import address
from hermes.core.account import Account, Local
from hermes.core.envelope import Origin, Recipient
from hermes.core.outcome import FITS, PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.core.transaction import Transaction
from hermes.interfaces import IDirectory, IIncomingMessage, IPolicy, IReception, IRelayPolicy, ISpool, UnavailableError
from hermes.services.incoming import SpooledMessage, Writing
from hermes.services.session_checks import judged
from hermes.services.stock_message import MessageFactory, StockMessage

_NOT_NOW = Reply.of(451, "4.3.0", "The directory cannot be asked now: try again later")
_NOT_YOURS = Reply.of(553, "5.7.1", "That address is not yours to send from")


def _not_now(error: UnavailableError) -> Verdict:
    return Verdict(_NOT_NOW, "directory.unavailable", str(error))


@attrs.frozen
class Premises:
    """What all receptions share; ``max_size_octets`` is for stock sessions, which know no limit of their own."""

    spool: ISpool
    directory: IDirectory
    policy: IRelayPolicy
    checks: IPolicy
    writing: Writing
    max_size_octets: int


@implementer(IReception, smtp.IMessageDelivery)
class Reception:
    """Takes mail from one client; ``account`` is None while it has not logged in."""

    def __init__(self, account: Account | None, premises: Premises) -> None:
        self.account = account
        self._premises = premises

    async def sender(self, transaction: Transaction, command: str = "") -> Verdict:
        """Judge the reverse-path: whether it is the client's to use, then by the checks."""
        try:
            verdict = await self._own_sender(transaction)
        except UnavailableError as error:
            return _not_now(error)
        if not verdict.accepted:
            return verdict
        return await self._judged(Stage.SENDER, transaction, command)

    async def _judged(
        self, stage: Stage, transaction: Transaction, command: str, recipient: Recipient | None = None
    ) -> Verdict:
        checks = self._premises.checks
        if not checks.wanted(stage):
            return PASS
        return await judged(checks, Case(stage, transaction.visit, command, transaction, recipient))

    async def _own_sender(self, transaction: Transaction) -> Verdict:
        """
        An account sends as itself (RFC 6409 6.1), or with the null reverse-path, as reports and receipts must.

        A client that has not logged in may use any reverse-path: its recipients are what is judged.
        """
        account, reverse_path = self.account, transaction.reverse_path
        if account is None or not reverse_path or await self._owns(account, reverse_path):
            return PASS
        return Verdict(_NOT_YOURS, "sender.not_owner", f"{account.name} may not send as {reverse_path}")

    async def _owns(self, account: Account, reverse_path: str) -> bool:
        wanted = address.key(reverse_path)
        if any(address.key(own) == wanted for own in account.addresses):
            return True
        # The directory knows further forms of an address, like aliases.
        resolution = await self._premises.directory.resolve(reverse_path)
        return isinstance(resolution, Local) and resolution.account.name == account.name

    async def recipient(self, transaction: Transaction, recipient: Recipient, command: str = "") -> tuple[Verdict, str]:
        """Judge a recipient by the relay policy and the checks; whose mailbox has a quota is noted for the message's end."""
        try:
            verdict, destination = await self._premises.policy.recipient(
                recipient.address,
                peer=transaction.origin.peer,
                account=self.account,
                authentication_required=transaction.submission,
                octets=transaction.size_octets,
                sender=transaction.reverse_path,
            )
        except UnavailableError as error:
            # Not "no such user": that would send the message back to its sender.
            return _not_now(error), ""
        if verdict.accepted:
            said = await self._judged(Stage.RECIPIENT, transaction, command, recipient)
            if not said.accepted:
                return said, ""
        if verdict is FITS:
            transaction.limited.append(recipient.address)
        return verdict, destination

    async def begin(self, transaction: Transaction) -> IIncomingMessage | Verdict:
        """Begin to receive the message into the spool."""
        return self._begin(transaction)

    def _begin(self, transaction: Transaction) -> SpooledMessage:
        envelope = transaction.envelope()
        writer = self._premises.spool.create()
        premises = self._premises
        return SpooledMessage(transaction, envelope, writer, premises.writing, premises.policy, premises.checks)

    # What Twisted's stock smtp.SMTP calls.

    def validateFrom(self, helo: tuple[bytes, bytes], origin: smtp.Address) -> Deferred[smtp.Address]:
        """Judge the reverse-path; fail with SMTPBadSender."""
        return Deferred.fromCoroutine(self._validate_from(helo, origin))

    async def _validate_from(self, helo: tuple[bytes, bytes], origin: smtp.Address) -> smtp.Address:
        verdict = await self.sender(self._transaction(helo, str(origin)))
        if verdict.reply is not None:
            raise smtp.SMTPBadSender(origin, verdict.reply.code, _text(verdict.reply))
        return origin

    def validateTo(self, user: smtp.User) -> Deferred[MessageFactory]:
        """Judge a recipient; fail with SMTPBadRcpt."""
        return Deferred.fromCoroutine(self._validate_to(user))

    async def _validate_to(self, user: smtp.User) -> MessageFactory:
        transaction = self._transaction(user.helo, str(user.orig))
        # The class Address puts its host's name where there is no domain; <postmaster> means ours.
        with_domain = b"@" in user.dest.addrstr
        recipient = Recipient(str(user.dest) if with_domain else user.dest.local.decode("ascii"))
        verdict, destination = await self.recipient(transaction, recipient)
        if verdict.reply is not None:
            raise smtp.SMTPBadRcpt(user, verdict.reply.code, _text(verdict.reply))
        transaction.recipients.append(recipient)
        transaction.destinations[recipient.address] = destination
        return lambda: StockMessage(self._begin(transaction), self._premises.max_size_octets)

    def receivedHeader(self, helo: tuple[bytes, bytes], origin: smtp.Address, recipients: list[smtp.User]) -> bytes:
        """Nothing: the message that :meth:`validateTo` leads to writes its own, with its queue id."""
        return b""

    def _transaction(self, helo: tuple[bytes | None, bytes], reverse_path: str) -> Transaction:
        name, peer = ((part or b"").decode("ascii", "replace") for part in helo)
        account = self.account
        protocol = "ESMTP" if account is None else "ESMTPA"
        origin = Origin(protocol, peer, name, None, account.name if account else None)
        return Transaction(origin, "stock", False, reverse_path)


def _text(reply: Reply) -> str:
    return f"{reply.enhanced} {reply.text}" if reply.enhanced else reply.text
