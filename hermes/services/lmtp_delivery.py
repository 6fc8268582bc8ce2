"""
Delivery by LMTP (RFC 2033): into the mailboxes of another program on this machine or in this house.

The next hop is ``HOST:PORT`` or ``unix:PATH``, as a route in the configuration names it. Each recipient has an answer of his own,
so one whose mailbox is full is tried again alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zope.interface import implementer

from hermes.config.sections.routes import lmtp_place
from hermes.core.dns_answer import Status
from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome
from hermes.core.pause import outcome_of, unpaused
from hermes.interfaces import IContentReader, IDeliveryAgent
from hermes.net.client_session import ClientSession, Setback
from hermes.net.outgoing import Approach, Target, open_session
from hermes.net.resolver import Resolver
from hermes.services.connection_cache import ConnectionCache
from hermes.services.transfer import Consignment, Transfer

#: Connections at once, all together and to one server: each is a process in many of them.
CONNECTIONS = 20
CONNECTIONS_TO_ONE = 5


@implementer(IDeliveryAgent)
class LMTPDelivery:
    """Delivers to ``lmtp:HOST:PORT`` and ``lmtp:unix:PATH``; in the clear, because it stays in the house (RFC 2033 5)."""

    def __init__(
        self,
        reactor: Any,
        hostname: str,
        reader: IContentReader,
        resolver: Resolver,
        paused: Callable[[str], str] = unpaused,
    ) -> None:
        self._reactor = reactor
        self._paused = paused
        self._approach = Approach(hostname, lmtp=True)
        self._resolver = resolver
        self._connections = ConnectionCache(reactor)
        self._transfer = Transfer(reader, self._connections, self._open)

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Hand the message over; see :class:`hermes.interfaces.IDeliveryAgent`."""
        targets = await self._targets(next_hop, drained=recipients[0].drained)
        if isinstance(targets, Outcome):
            return [targets] * len(recipients)
        consignment = Consignment(message, recipients)
        await self._transfer.run(targets, consignment)
        return consignment.result()

    async def _targets(self, next_hop: str, *, drained: bool) -> list[Target] | Outcome:
        try:
            host, port, path = lmtp_place(next_hop)
        except ValueError as error:
            # RFC 3463 3.4: 4.3.5, system incorrectly configured.
            return Outcome.deferred(str(error), "4.3.5")
        if path:
            return [Target("the LMTP server", "", 0, path=path)]
        paused = self._paused(host)
        if paused and not drained:
            return outcome_of(paused)
        answer = await self._resolver.host_addresses(host)
        if answer.status is not Status.FOUND:
            return Outcome.deferred(f"the LMTP server {host} cannot be found: {answer.reason}", "4.4.3", host=host)
        return [Target(host, address, port) for address in answer.values]

    async def _open(self, target: Target) -> ClientSession | Setback:
        return await open_session(self._reactor, target, self._approach)

    def describe(self) -> list[dict[str, Any]]:
        """The open connections."""
        return self._connections.describe()

    async def stop(self) -> None:
        """End the kept connections with QUIT."""
        await self._connections.stop()
