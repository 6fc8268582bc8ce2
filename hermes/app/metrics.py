"""
The figures of one process, gathered when somebody asks: ``hermes metrics``, the manhole, or HTTP (``[metrics]``).

What happens is counted where it is known, as integers; this only fetches them. What has to be looked up on the disk is looked up
in a thread.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

import attrs

import twisted
from hermes import __version__
from hermes.app.listening import Listening
from hermes.app.stores import Stores
from hermes.core.metric import GAUGE, Family, Sample, by_label, counter, gauge, joined
from hermes.core.shape import Counted, sum_of
from hermes.net.certificates import Certificates
from hermes.net.gate import Gate
from hermes.queue.relay import RelayManager
from hermes.spool.errors import SpoolError
from hermes.spool.figures import families_of
from hermes.spool.reader import SpoolReader
from hermes.spool.store import Spool

#: The states in which a recipient may wait, each with a value even when nobody is in it.
STATES = ("queued", "deferred", "held", "paused")


@attrs.frozen
class Parts:
    """What the figures are about; what a reload or an adoption changes is asked for each time. ``more`` tells of the rest."""

    stores: Stores
    gate: Gate
    listening: Mapping[str, Listening]
    certificates: Callable[[], Certificates | None]
    spools: Callable[[], list[Spool]]
    relays: Callable[[], list[RelayManager]]
    more: Iterable[Callable[[], list[Family]]]


@attrs.frozen
class Kept:
    """What was found on the disk: the queue by state, when the oldest message was accepted, and the room that is left."""

    states: Mapping[str, Counted]
    messages: int
    free_octets: int


class Figures:
    """Gathers all of them; ``now`` is the time of day."""

    def __init__(self, parts: Parts, now: Callable[[], float]) -> None:
        self._parts = parts
        self._now = now
        self._started_at = now()

    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]]:
        """What can be asked."""

        async def metrics(arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
            return [each.as_json() for each in await self.families()]

        return {"metrics": metrics}

    async def families(self) -> list[Family]:
        """Everything, as it is now."""
        parts = self._parts
        found = [self._process(), self._sessions(), self._certificates(), parts.stores.events.families()]
        found.append(families_of([spool.figures() for spool in parts.spools()]))
        found += [await self._queue(), self._dns(), parts.stores.tokens.families()]
        found += [tell() for tell in parts.more]
        return joined(found)

    def _process(self) -> list[Family]:
        versions = {
            "version": __version__,
            "python": ".".join(map(str, sys.version_info[:3])),
            "twisted": twisted.__version__,
        }
        times = os.times()
        return [
            Family("hermes_build_info", GAUGE, "What runs here.", [Sample(1, versions)]),
            gauge("hermes_start_time_seconds", "When the process began, as seconds since the epoch.", self._started_at),
            counter("hermes_cpu_seconds_total", "Processor time of the process.", times.user + times.system),
        ]

    def _sessions(self) -> list[Family]:
        gate = self._parts.gate
        open_now = {name: float(len(each.sessions())) for name, each in self._parts.listening.items()}
        return [
            by_label(GAUGE, "hermes_sessions", "Sessions that are open, by server.", "service", open_now),
            gauge("hermes_connections", "Connections that the gate counts.", gate.connections),
            gate.broken_tls.family(
                "hermes_tls_failures_total", "Connections that ended with an error of TLS, mostly in its handshake."
            ),
        ]

    def _certificates(self) -> list[Family]:
        certificates = self._parts.certificates()
        expire = {} if certificates is None else certificates.expire()
        text = "When a certificate expires, as seconds since the epoch."
        return [by_label(GAUGE, "hermes_certificate_expires_timestamp_seconds", text, "file", expire)]

    def _dns(self) -> list[Family]:
        stores = self._parts.stores
        resolver = stores.resolvers.describe()
        return [
            counter("hermes_dns_questions_total", "Questions to name servers.", resolver.get("questions", 0)),
            counter(
                "hermes_dns_unanswered_total", "Questions that no name server answered.", resolver.get("unanswered", 0)
            ),
            stores.lists.family(),
        ]

    async def _queue(self) -> list[Family]:
        relays = self._parts.relays()
        running = sum(relay.deliveries for relay in relays)
        found = [gauge("hermes_deliveries", "Attempts to deliver that are under way.", running)]
        directories = [spool.directory for spool in self._parts.spools()]
        # The thread of mailboxes, and not that of the spool: nobody's commit waits for it.
        kept: Kept | None = await self._parts.stores.mailbox_worker.submit(partial(look, directories))
        return found if kept is None else [*found, *self._waiting(kept)]

    def _waiting(self, kept: Kept) -> list[Family]:
        states = {state: kept.states.get(state, Counted()) for state in STATES}
        now = self._now()
        ages = {
            state: 0.0 if each.oldest_at is None else max(0.0, now - each.oldest_at) for state, each in states.items()
        }
        messages = {state: each.messages for state, each in states.items()}
        recipients = {state: each.recipients for state, each in states.items()}
        return [
            gauge("hermes_queue_messages", "Messages in the queue.", kept.messages),
            by_label(
                GAUGE,
                "hermes_queue_state_messages",
                "Messages with recipients in a state; one with recipients in several counts in each.",
                "state",
                messages,
            ),
            by_label(GAUGE, "hermes_queue_recipients", "Recipients that wait, by state.", "state", recipients),
            by_label(
                GAUGE,
                "hermes_queue_oldest_age_seconds",
                "Age of the oldest message with recipients in a state; 0 when there is none.",
                "state",
                ages,
            ),
            gauge("hermes_disk_free_bytes", "Room that is left where the queue is.", kept.free_octets),
        ]


def look(directories: Iterable[str]) -> Kept | None:
    """Look at spools, in a thread; None when one cannot be read now, for half of a queue would be taken for all of it."""
    states: dict[str, list[Counted]] = {}
    messages, free = 0, []
    try:
        for directory in directories:
            with SpoolReader(directory) as reader:
                messages += reader.count()
                for state, counted in reader.states().items():
                    states.setdefault(state, []).append(counted)
            room = os.statvfs(directory)
            free.append(room.f_bavail * room.f_frsize)
    except (SpoolError, OSError):
        return None
    return Kept({state: sum_of(some) for state, some in states.items()}, messages, min(free, default=0))
