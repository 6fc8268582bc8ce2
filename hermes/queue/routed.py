"""The agents for ``hold:ROUTE`` and ``refuse:ROUTE``: mail that a route keeps in the queue, and mail that it lets nobody send."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from zope.interface import implementer

from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome, Result
from hermes.core.route import RouteTable
from hermes.interfaces import IDeliveryAgent

#: The agents' names in destinations.
HOLD = "hold"
REFUSE = "refuse"


@implementer(IDeliveryAgent)
class Hold:
    """Delivers to nobody until somebody says so."""

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Held, all of them; the next hop is the route."""
        # RFC 3463 3.8: X.7.0, other security status: it waits for a decision.
        held = Outcome(Result.HELD, f"held by [route:{next_hop}] until it is released", "4.7.0")
        return [held] * len(recipients)


@implementer(IDeliveryAgent)
@attrs.frozen
class Refuse:
    """For what was accepted before the route said so, or was sent on by an address here."""

    routes: RouteTable

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Failed, all of them, in the words of the route."""
        route = self.routes.named(next_hop)
        if route is None:
            # RFC 3463 3.4: 4.3.5, system incorrectly configured. At the next attempt it is routed anew.
            return [Outcome.deferred("the route is not in the configuration any more", "4.3.5")] * len(recipients)
        return [Outcome.failed(route.argument, "5.7.1")] * len(recipients)
