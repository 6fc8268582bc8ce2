"""The seams of delivery: the relay manager, the way of each address, the agents that carry mail on it, and what they remember."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface import Interface

from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.order import Done, Order
from hermes.core.outcome import Outcome


class IRelayManager(Interface):
    """Takes messages that are durable and sees to their delivery."""

    def accepted(message: QueuedMessage) -> None:
        """A message has just become durable: deliver it now if there is room, else when it is its turn."""

    def wake() -> None:
        """Something changed in the spool (a retry, a release): look again."""

    async def hold(queue_id: str) -> bool:
        """Stop a message until it is released; False when there is no such message."""

    async def release(queue_id: str) -> bool:
        """Let a held message go on, now; False when there is no such message."""

    async def retry(queue_id: str | None) -> int:
        """Make one message, or all that wait, due now; how many that were."""

    async def remove(queue_id: str) -> bool:
        """Take a message out of the queue and tell nobody; False when there is no such message."""

    async def return_now(queue_id: str) -> bool:
        """Give a message up and report to its sender; False when there is no such message."""

    async def carry_out(order: Order) -> Done:
        """Do what an administrator wants with the messages that a selection names."""


class IRouter(Interface):
    """Says by which way mail for an address goes."""

    async def route(address: str, sender: str = "", account: str = "", *, released: bool = False) -> str:
        """
        The destination as ``agent:next-hop``: ``local:ACCOUNT``, ``smarthost:NAME``, ``direct:DOMAIN``, ``backup:DOMAIN``,
        ``none:REASON``; ``expand:ADDRESS`` for what stands for others, and is replaced by them before it is delivered.

        ``sender`` is the reverse-path and ``account`` who sent it, or empty: smart hosts and routes may be chosen by
        them. What has been ``released`` is not held by any route again.
        """


class IDeliveryAgent(Interface):
    """Delivers to one kind of destination."""

    async def deliver(next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]) -> list[Outcome]:
        """
        Try to deliver to these recipients, all of one destination; one outcome for each, in their order.

        ``message.content`` has data or path set. A message of many recipients may come in several calls.
        """


class IPolicyStore(Interface):
    """Where the MTA-STS policies of other domains outlive the process (values of :class:`hermes.services.mta_sts.Kept`)."""

    async def policy(domain: str) -> Any:
        """What is kept of a domain, in force or not; None when there is nothing."""

    async def keep(kept: Any) -> None:
        """Keep a policy, durably."""
