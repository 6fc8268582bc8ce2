"""The queues of one process: its own, and those of the shards that it has adopted, each a spool and who drains it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import SystemRandom
from typing import Any

from hermes.app.adoption import Adopted, EveryRelay, EverySpool
from hermes.app.circle import Circle
from hermes.app.stores import Stores
from hermes.config.schema import Settings
from hermes.interfaces import IDeliveryAgent
from hermes.queue.relay import RelayManager
from hermes.spool.store import Spool


class Queues:
    """``in_force`` gives the settings of the moment and what is made of them; :meth:`make` comes before everything else."""

    #: Who drains the shard of this process.
    own: RelayManager

    def __init__(
        self, stores: Stores, reactor: Any, now: Callable[[], float], in_force: Callable[[], tuple[Settings, Circle]]
    ) -> None:
        self._stores = stores
        self._reactor = reactor
        self._now = now
        self._in_force = in_force
        self.adopted: list[Adopted] = []

    def make(self, orphans: Iterable[int]) -> None:
        """Make its own, and those of shards that no worker has."""
        _, circle = self._in_force()
        self.own = self._new_relay(self._stores.spool, circle.agents)
        self.adopted += map(self._new_adopted, orphans)

    async def adopt(self, shard: int) -> RelayManager:
        """Open a shard whose worker is no more, and return who is to be started to drain it; raise SpoolError."""
        _, circle = self._in_force()
        adopted = self._new_adopted(shard)
        await adopted.open()
        self.adopted.append(adopted)
        if self._in_force()[1] is not circle:
            # A reload meanwhile has not known of it.
            self._reconfigure_adopted(adopted)
        return adopted.relay

    def reconfigure(self) -> None:
        """Go by the settings in force from now on."""
        _, circle = self._in_force()
        self._reconfigure(self.own, self._stores.spool, circle.agents)
        for each in self.adopted:
            self._reconfigure_adopted(each)

    def relays(self) -> list[RelayManager]:
        """Who drains them."""
        return [self.own, *(each.relay for each in self.adopted)]

    def spools(self) -> list[Spool]:
        """Where their messages are."""
        return [self._stores.spool, *(each.spool for each in self.adopted)]

    @property
    def spool(self) -> Spool | EverySpool:
        """What there is to be looked up in."""
        return EverySpool(self.spools()) if self.adopted else self._stores.spool

    @property
    def relay(self) -> RelayManager | EveryRelay:
        """Who carries out orders about messages."""
        return EveryRelay(self.relays()) if self.adopted else self.own

    def describe(self) -> dict[str, object]:
        """What is going on, ready for JSON."""
        own: dict[str, object] = {f"queue_{name}": value for name, value in self.own.describe().items()}
        return own | ({"adopted_shards": [each.describe() for each in self.adopted]} if self.adopted else {})

    def _new_adopted(self, shard: int) -> Adopted:
        _, circle = self._in_force()
        spool, adopted_at = self._stores.shard(shard), self._now()
        return Adopted(shard, spool, self._new_relay(spool, circle.agents_of_adopted(adopted_at)), adopted_at)

    def _new_relay(self, spool: Spool, agents: Mapping[str, IDeliveryAgent]) -> RelayManager:
        settings, circle = self._in_force()
        return RelayManager(
            spool,
            circle.router,
            agents,
            settings.queue,
            self._reactor,
            now=self._now,
            random=SystemRandom(),
            reader=self._stores.reader,
            limits=circle.limits,
            pauses=self._stores.pauses,
            **circle.about_us(spool),
        )

    def _reconfigure_adopted(self, adopted: Adopted) -> None:
        _, circle = self._in_force()
        self._reconfigure(adopted.relay, adopted.spool, circle.agents_of_adopted(adopted.adopted_at))

    def _reconfigure(self, relay: RelayManager, spool: Spool, agents: Mapping[str, IDeliveryAgent]) -> None:
        settings, circle = self._in_force()
        relay.reconfigure(settings.queue, circle.router, agents, circle.limits, **circle.about_us(spool))
