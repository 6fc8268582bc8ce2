"""
Where a process stands among the workers of a server, and what it is given by their parent.

Alone, a process opens everything itself; it then has all shards, those too that workers have left behind.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from hermes.config.places import shards
from hermes.config.schema import Settings
from hermes.config.sections.smarthost import SmarthostSettings
from hermes.net.counts import Counts
from hermes.net.listen import ListenError


@attrs.define
class Station:
    """
    The worker ``number`` of ``count``, who has the shard of that number.

    ``counts`` is what all workers count together, ``crowded`` says whether another one has fewer connections, and ``sockets`` are
    the parent's listening sockets by their places: all None in a process that is alone. ``prepared`` is called
    when it could accept connections, and returns when it may; ``tell`` hands something to the other workers.
    """

    number: int = 0
    count: int = 1
    counts: Counts | None = None
    crowded: Callable[[], bool] | None = None
    sockets: dict[str, socket.socket] | None = None
    prepared: Callable[[], Awaitable[None]] | None = None
    tell: Callable[[str, tuple[Any, ...]], None] | None = None

    @property
    def alone(self) -> bool:
        """True when there is no parent."""
        return self.sockets is None

    def orphans(self, settings: Settings) -> list[int]:
        """The shards to be adopted here: those that no worker has any more are dealt out among all."""
        return [shard for shard in shards(settings) if shard >= self.count and shard % self.count == self.number]

    def socket(self, place: str) -> socket.socket:
        """The parent's socket for a place; raise ListenError when it has none, which would be a fault of ours."""
        assert self.sockets is not None
        try:
            return self.sockets.pop(place)
        except KeyError:
            raise ListenError(f"cannot listen at {place}: the parent has opened no socket there") from None


def share(total: int, number: int, count: int) -> int:
    """How much of a limit one worker may use, so that all together keep to it; but one at least, or it could do nothing."""
    return max(1, total // count + (number < total % count))


def settings_of_worker(settings: Settings, number: int, count: int) -> Settings:
    """The settings by which one worker goes: its share of what is limited for all, and none of what is the parent's."""

    def part(total: int) -> int:
        # 0 is no limit.
        return share(total, number, count) if total else 0

    def sending(smarthost: SmarthostSettings) -> Any:
        return attrs.evolve(
            smarthost,
            connections=part(smarthost.connections),
            messages_per_minute=part(smarthost.messages_per_minute),
            messages_per_hour=part(smarthost.messages_per_hour),
            messages_per_day=part(smarthost.messages_per_day),
            recipients_per_day=part(smarthost.recipients_per_day),
        )

    direct = settings.direct
    return attrs.evolve(
        settings,
        queue=attrs.evolve(settings.queue, active=part(settings.queue.active)),
        direct=attrs.evolve(
            direct,
            connections=part(direct.connections),
            connections_per_destination=part(direct.connections_per_destination),
            waiting=part(direct.waiting),
        ),
        destination={
            name: attrs.evolve(each, connections=part(each.connections)) for name, each in settings.destination.items()
        },
        smarthost=sending(settings.smarthost),
        smarthosts={name: sending(each) for name, each in settings.smarthosts.items()},
        manhole=attrs.evolve(settings.manhole, listen=()),
        metrics=attrs.evolve(settings.metrics, listen=()),
    )
