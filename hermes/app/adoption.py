"""
Shards that no worker has any more: their mail is delivered, their trace kept and looked up, and nothing new comes into them.

A site that goes from four workers to two has two such shards; so has one for a while whose worker dies again and again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from typing_extensions import override

from hermes.app.staged import Module
from hermes.core.event import Event
from hermes.core.message import QueuedMessage
from hermes.core.order import Done, Order
from hermes.queue.relay import RelayManager
from hermes.spool.shards import merged_events, merged_queue
from hermes.spool.store import Spool


class Adopted:
    """One such shard since ``adopted_at``, and the relay manager that drains it, which is started and stopped with the others."""

    _log = Logger()

    def __init__(self, shard: int, spool: Spool, relay: RelayManager, adopted_at: float) -> None:
        self.shard = shard
        self.spool = spool
        self.relay = relay
        self.adopted_at = adopted_at

    async def open(self) -> None:
        """Open it; raise SpoolError."""
        await self.spool.open()
        self._log.info(
            "Shard {shard} of the spool has no worker of its own: it is taken care of here", shard=self.shard
        )

    def describe(self) -> dict[str, object]:
        """What is going on, ready for JSON."""
        described = self.relay.describe()
        return {"shard": self.shard, **{key: described[key] for key in ("active", "running", "next_look_at")}}


class AdoptedShards(Module):
    """All of them: opened after the stores, closed after everything that may ask for them."""

    name = "adopted shards"
    #: As for the stores: they are closed together.
    stop_seconds = 60.0

    def __init__(self, adopted: list[Adopted]) -> None:
        self._adopted = adopted

    @override
    async def start(self) -> None:
        opened: list[Adopted] = []
        try:
            for each in self._adopted:
                await each.open()
                opened.append(each)
        except BaseException:
            self._adopted[:] = opened
            await self.stop()
            raise

    @override
    async def stop(self) -> None:
        await gatherResults([Deferred.fromCoroutine(each.spool.close()) for each in self._adopted], consumeErrors=True)


class EverySpool:
    """The spools of one process, for whoever looks something up."""

    def __init__(self, spools: Sequence[Spool]) -> None:
        self._spools = spools

    async def select(self, queue_id: str | None, limit: int | None = None) -> list[QueuedMessage]:
        """One message or all, oldest first."""
        return merged_queue([await spool.select(queue_id, limit) for spool in self._spools])[:limit]

    async def track(self, query: str, limit: int) -> list[Event]:
        """What is known about a queue id, an address or a Message-ID, newest last."""
        return merged_events([await spool.track(query, limit) for spool in self._spools])[-limit:]


class EveryRelay:
    """The relay managers of one process, for an administrator's orders: whoever has the message carries them out."""

    def __init__(self, relays: Sequence[RelayManager]) -> None:
        self._relays = relays

    async def hold(self, queue_id: str) -> bool:
        """Stop a message until it is released; False when there is no such message."""
        return await self._any(lambda relay: relay.hold(queue_id))

    async def release(self, queue_id: str) -> bool:
        """Let a held message go on, now."""
        return await self._any(lambda relay: relay.release(queue_id))

    async def retry(self, queue_id: str | None) -> int:
        """Make one message, or all that wait, due now; how many that were."""
        return sum([await relay.retry(queue_id) for relay in self._relays])

    async def remove(self, queue_id: str) -> bool:
        """Take a message out of the queue and tell nobody."""
        return await self._any(lambda relay: relay.remove(queue_id))

    async def return_now(self, queue_id: str) -> bool:
        """Give a message up and report to its sender."""
        return await self._any(lambda relay: relay.return_now(queue_id))

    async def carry_out(self, order: Order) -> Done:
        """Do what an administrator wants with the messages that a selection names."""
        parts = [await relay.carry_out(order) for relay in self._relays]
        return Done(sum(part.messages for part in parts), sum(part.recipients for part in parts))

    async def _any(self, order: Callable[[RelayManager], Awaitable[bool]]) -> bool:
        for relay in self._relays:
            if await order(relay):
                return True
        return False
