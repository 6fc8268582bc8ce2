"""The agent for public folders: its next hop is the name of a folder, a maildir that several people or programs read."""

from __future__ import annotations

import os
from collections.abc import Sequence

from zope.interface import implementer

from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent
from hermes.mailbox.delivery import LocalDelivery


@implementer(IDeliveryAgent)
class PublicDelivery:
    """Delivers below ``directory`` as ``delivery`` does. A folder is made when the first message comes, and has no quota."""

    def __init__(self, directory: str, delivery: LocalDelivery) -> None:
        self._directory = directory
        self._delivery = delivery

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Deliver into the folder ``next_hop``, once."""
        if not next_hop or "/" in next_hop or next_hop.startswith("."):
            # Aliases are checked when they are read; whatever else is in the queue must not lead elsewhere.
            return [Outcome.failed(f"{next_hop!r} is no public folder", "5.1.1")] * len(recipients)
        about = f"the public folder {next_hop}"
        fault = await self._delivery.put(os.path.join(self._directory, next_hop), about, message, recipients[:1])
        return [fault or Outcome(Result.DELIVERED, f"delivered to {about}", "2.0.0")] * len(recipients)
