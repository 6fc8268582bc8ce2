"""
The agent for local recipients: its next hop is an account, and it delivers into the account's maildir.

The work on the disk is done in groups by a :class:`hermes.mailbox.deposit.Depositor` in a process of its own.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from twisted.logger import Logger
from zope.interface import implementer

from hermes.core.account import Account, Local
from hermes.core.message import Content, QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent, IDirectory, IGroupWorker
from hermes.mailbox.departed import DepartedError
from hermes.mailbox.deposit import Deposit
from hermes.mailbox.maildir import sized
from hermes.mailbox.sizes import wire_size_of_data, wire_size_of_file
from hermes.mailbox.store import Mailboxes

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@implementer(IDeliveryAgent)
class LocalDelivery:
    """
    Delivers to accounts.

    Messages accepted before ``adopted_at`` are another process's.
    ``worker`` is one that does :func:`hermes.mailbox.deposit.perform_deposits`. Each recipient gets a message of
    its own, also where two addresses are the same account's.
    """

    _log = Logger()

    def __init__(
        self, mailboxes: Mailboxes, directory: IDirectory, worker: IGroupWorker, adopted_at: float = 0.0
    ) -> None:
        self._mailboxes = mailboxes
        self._adopted_at = adopted_at
        self._directory = directory
        self._worker = worker

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Deliver to recipients whose mailbox is that of the account ``next_hop``."""
        account = await self._directory.account(next_hop)
        if account is not None:
            return [await self._deliver(account, message, recipients)] * len(recipients)
        new_name = await self._mailboxes.new_name_of(next_hop)
        account = await self._directory.account(new_name) if new_name else None
        if account is not None:
            return [await self._deliver(account, message, recipients)] * len(recipients)
        return [await self._deliver_by_address(next_hop, message, recipient) for recipient in recipients]

    async def _deliver_by_address(self, next_hop: str, message: QueuedMessage, recipient: QueuedRecipient) -> Outcome:
        """The account is gone: whoever has the recipient's address now gets the message."""
        match await self._directory.resolve(recipient.address):
            case Local(account=account):
                return await self._deliver(account, message, [recipient])
            case _:
                # RFC 3463 3.2: bad destination mailbox address.
                return Outcome.failed(f"there is no account {next_hop} any more", "5.1.1")

    async def _deliver(
        self, account: Account, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> Outcome:
        if account.disabled:
            # RFC 3463 3.3: mailbox disabled, not accepting messages.
            return Outcome.failed(f"the account {account.name} is disabled", "5.2.1")
        octets = message.content.size_octets * len(recipients)
        verdict = await self._mailboxes.over_quota(account, octets)
        if verdict.reply is not None:
            refused = Outcome.failed if verdict.reply.is_permanent else Outcome.deferred
            return refused(verdict.reply.text, verdict.reply.enhanced or "4.2.2")
        # Counted before it is there, so that deliveries at the same time do not all find the same room.
        self._mailboxes.count(account, octets)
        fault = await self.put(
            self._mailboxes.path(account.name), f"the mailbox of {account.name}", message, recipients
        )
        if fault is not None:
            self._mailboxes.count(account, -octets)
            return fault
        return Outcome(Result.DELIVERED, f"delivered to the mailbox of {account.name}", "2.0.0")

    async def put(
        self, path: str, about: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> Outcome | None:
        """Put the message into the maildir at ``path``, once for each recipient; what went wrong, or None."""
        content = message.content
        if content.data is None and content.path is None:
            raise ValueError("the content has neither data nor path: ask the spool for it")
        wire_octets = await self._wire_size(content)
        names = [
            sized(
                self._mailboxes.names.unique(message.queue_id, message.accepted_at, recipient.ordinal),
                content.size_octets,
                wire_octets,
            )
            for recipient in recipients
        ]
        deposit = Deposit(
            path,
            names,
            content.data,
            content.path,
            # Only what this process accepted itself, and never tried, can not have been delivered before.
            message.accepted_at < max(self._mailboxes.started_at, self._adopted_at)
            or any(one.attempts for one in recipients),
        )
        try:
            await self._worker.submit(deposit)
        except DepartedError as error:
            self._mailboxes.tell_departed(about, error)
            # RFC 3463 3.3: a mailbox that takes no mail, and not for good.
            return Outcome.deferred(f"{about} cannot be made yet: {error.strerror}", "4.2.1")
        except OSError as error:
            return self._disk_failed(about, message, error)
        return None

    async def _wire_size(self, content: Content) -> int:
        """The size with CRLF line ends, of all octets."""
        if content.binary:
            # The octets are as they came, with line ends of any kind: what a reader will get has to be counted.
            if content.data is not None:
                return wire_size_of_data(content.data)
            path = content.path or ""
            size: int = await self._mailboxes.reader.submit(lambda: wire_size_of_file(path))
            return size
        # Return-Path is one line, whose CR is not on the disk.
        return content.wire_octets + content.prefix_octets + (1 if content.prefix_octets else 0)

    def _disk_failed(self, about: str, message: QueuedMessage, error: OSError) -> Outcome:
        words = error.strerror or "the disk failed"
        # Of a link both are named: either may be at fault.
        place = " -> ".join(filter(None, (error.filename, error.filename2)))
        self._log.error(
            "{queue_id} could not be delivered to {about}: {error}",
            queue_id=message.queue_id,
            about=about,
            error=f"{place}: {words}" if place else words,
        )
        if error.errno in _NO_ROOM:
            # RFC 3463 3.4: mail system full.
            return Outcome.deferred(f"no room for the mailbox: {words}", "4.3.1")
        return Outcome.deferred(f"the mailbox could not be written: {words}", "4.3.0")
