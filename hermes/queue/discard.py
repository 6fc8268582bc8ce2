"""
The agent for ``discard:RULE``: mail that was accepted and that a rule lets nobody have.

It goes through the queue like all mail, so that the trace tells what became of it, and by which rule.
"""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent

#: The agent's name in destinations.
DISCARD = "discard"


@implementer(IDeliveryAgent)
class Discard:
    """Delivers to nobody."""

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Done, for all; the next hop is the rule."""
        return [Outcome(Result.DISCARDED, f"discarded by {next_hop}", "2.0.0")] * len(recipients)
