"""Agents that keep to the schedule: while it is closed mail waits, and that is no attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from zope.interface import implementer

from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome
from hermes.interfaces import IDeliveryAgent, ISchedule

#: Mail is looked at again after so long at the latest: a schedule may be changed while the server is down.
MAX_WAIT_SECONDS = 4 * 3600.0

#: Behind the moment of opening, so that it has opened by then.
MARGIN_SECONDS = 1.0

#: What mail is told that waits, by which it is found when the line is open.
CLOSED_REASON = "the schedule keeps the line closed: the message waits until it opens"

# RFC 3463 3.4: 4.3.2, system not accepting network messages; and nothing says "not sending" better.
_CLOSED = Outcome.deferred(CLOSED_REASON, "4.3.2")


@implementer(IDeliveryAgent)
class ScheduledDelivery:
    """``agent``, known to the schedule as ``client`` or as ``client:NEXT-HOP``."""

    def __init__(self, schedule: ISchedule, client: str, agent: IDeliveryAgent, now: Callable[[], float]) -> None:
        self._schedule = schedule
        self._client = client
        self._agent = agent
        self._now = now

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Deliver, or say when there is a chance for it."""
        if self._schedule.is_open(f"{self._client}:{next_hop}"):
            outcomes: list[Outcome] = await self._agent.deliver(next_hop, message, recipients)
            return outcomes
        opening = self._schedule.next_opening()
        wait = MAX_WAIT_SECONDS if opening is None else opening - self._now() + MARGIN_SECONDS
        return [attrs.evolve(_CLOSED, wait_seconds=min(max(wait, MARGIN_SECONDS), MAX_WAIT_SECONDS))] * len(recipients)
