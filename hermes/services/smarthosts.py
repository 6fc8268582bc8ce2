"""All smart hosts: each has its own mail, and where one is not to be reached its fall-backs are tried in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from zope.interface import implementer

from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent
from hermes.services.smarthost import SmarthostAgent
from hermes.services.transfer import Consignment


@implementer(IDeliveryAgent)
class Smarthosts:
    """Delivers to ``smarthost:NAME``; ``fallbacks`` holds for each name those that may take its place."""

    def __init__(self, hosts: Mapping[str, SmarthostAgent], fallbacks: Mapping[str, Sequence[str]]) -> None:
        self._hosts = hosts
        self._fallbacks = fallbacks

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Hand the message to the smart host of that name, or to a fall-back."""
        if next_hop not in self._hosts:
            reason = f"there is no smart host {next_hop} in the configuration any more"
            return [Outcome.deferred(reason, "4.3.5")] * len(recipients)
        consignment = Consignment(message, recipients)
        said: list[list[str]] = [[] for _ in recipients]
        for name in (next_hop, *self._fallbacks.get(next_hop, ())):
            # A refusal of one host alone is final; what another one may take has only been put off.
            consignment.shut = False
            before = list(consignment.outcomes)
            await self._hosts[name].carry(consignment)
            for position, outcome in enumerate(consignment.outcomes):
                if outcome is not None and outcome is not before[position]:
                    said[position].append(outcome.reason)
            if not consignment.waiting:
                break
        return [
            attrs.evolve(outcome, reason="; then ".join(dict.fromkeys(reasons)))
            if outcome.result in {Result.DEFERRED, Result.PAUSED} and len(reasons) > 1
            else outcome
            for outcome, reasons in zip(consignment.result(), said, strict=True)
        ]

    def describe(self) -> list[dict[str, Any]]:
        """The open connections."""
        return [connection for host in self._hosts.values() for connection in host.describe()]

    async def stop(self) -> None:
        """End the kept connections with QUIT."""
        for host in self._hosts.values():
            await host.stop()
