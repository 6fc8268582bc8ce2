"""The agent for public folders: its next hop is the name of a folder, a maildir that several people or programs read."""

from __future__ import annotations

import os
from collections.abc import Sequence

from zope.interface import implementer

from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent
from hermes.mailbox.delivery import LocalDelivery
from hermes.mailbox.quota import Quota


@implementer(IDeliveryAgent)
class PublicDelivery:
    """
    Delivers below ``directory`` as ``delivery`` does. A folder is made when the first message comes.

    Nobody clears it but those who read it: with more than ``limit_octets`` in it, as ``quota`` counts them, mail waits for them
    to do so. 0 is no limit.
    """

    def __init__(self, directory: str, delivery: LocalDelivery, quota: Quota, limit_octets: int) -> None:
        self._directory = directory
        self._delivery = delivery
        self._quota = quota
        self._limit_octets = limit_octets

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Deliver into the folder ``next_hop``, once."""
        if not next_hop or "/" in next_hop or next_hop.startswith("."):
            # Aliases are checked when they are read; whatever else is in the queue must not lead elsewhere.
            return [Outcome.failed(f"{next_hop!r} is no public folder", "5.1.1")] * len(recipients)
        about = f"the public folder {next_hop}"
        path, octets = os.path.join(self._directory, next_hop), message.content.size_octets
        if self._limit_octets:
            try:
                verdict = await self._quota.verdict(path, self._limit_octets, octets)
            except OSError as error:
                return [Outcome.deferred(f"{about} cannot be looked at: {error.strerror}", "4.3.0")] * len(recipients)
            if verdict.reply is not None:
                refused = Outcome.failed if verdict.reply.is_permanent else Outcome.deferred
                full = refused(f"{about} is full: {verdict.reason}", verdict.reply.enhanced or "4.2.2")
                return [full] * len(recipients)
        # Counted before it is there, as for mailboxes.
        self._quota.count(path, octets)
        fault = await self._delivery.put(path, about, message, recipients[:1])
        if fault is not None:
            self._quota.count(path, -octets)
        return [fault or Outcome(Result.DELIVERED, f"delivered to {about}", "2.0.0")] * len(recipients)
