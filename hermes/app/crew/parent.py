"""
The parent of several workers: it opens the sockets and the doors for administrators, and has no session and no message itself.

As with one process, whatever can fail when a server starts fails before anything has begun, or ends the start in order.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from hermes.app.changed_settings import Reload
from hermes.app.crew.control import CrewCommands, CrewOrders
from hermes.app.crew.crew import Crew
from hermes.app.crew.link import Forget
from hermes.app.crew.member import State
from hermes.app.crew.nursery import Nursery
from hermes.app.hang_up import HangUps
from hermes.app.modules import Signals
from hermes.app.passages import passages
from hermes.app.process import halt, make_data_directory
from hermes.app.secret import kept_secret
from hermes.app.server import StartError
from hermes.app.staged import Module, StagedService
from hermes.app.uptime import Uptime
from hermes.config.catalog import SECTIONS
from hermes.config.listener import parse_listener
from hermes.config.places import recoverable_key_file, secret_file, shards, spool_directory
from hermes.config.schema import Settings
from hermes.core.event import Event
from hermes.core.jobs import perform_each
from hermes.core.message import QueuedMessage
from hermes.core.metric import GAUGE, Family, by_label
from hermes.net.counts import SharedTables
from hermes.net.listen import ListenError, bind, discard, inherited_socket
from hermes.net.notify import Notifier
from hermes.net.worker import GroupWorker
from hermes.spool.shards import ShardsReader


class Parent:
    """
    The server, for whoever starts it: like :class:`hermes.app.server.Server`.

    ``broken`` is called with the reason when the server cannot go on.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        settings: Settings,
        reactor: Any,
        failed: Callable[[Failure], None],
        broken: Callable[[str], None],
        nursery: Nursery,
        tables: SharedTables,
    ) -> None:
        self.settings = settings
        self.now = time.time
        self._reactor = reactor
        self._inherited = partial(inherited_socket, reactor)
        self._notifier = Notifier(os.environ)
        self._uptime = Uptime(reactor.seconds)
        self._crew = Crew(reactor, nursery, tables, lambda: (self.settings, self._sockets), broken)
        self.spool = LookUps(settings, GroupWorker(reactor, "hermes-look-ups", 1))
        self.relay = CrewOrders(self._crew)
        self.service = StagedService(reactor, failed)
        self._reload = Reload(path, self.service, self._notifier, self._take)
        self._sockets: dict[str, socket.socket] = {}
        modules: list[Module] = []
        try:
            make_data_directory(settings)
            # Workers would each make one.
            kept_secret(secret_file(settings))
            kept_secret(recoverable_key_file(settings))
            doors = passages(lambda: self.settings, CrewCommands(self, self._crew), reactor)
            hang_ups = HangUps(reactor, self.reload, self._reload.idle)
            modules += [hang_ups, self.spool, self._crew, *doors]
            modules += [SignOfLife(reactor, self._notifier), Signals(hang_ups.ready, self._notifier)]
            for module in modules:
                module.setServiceParent(self.service)
            # The doors first: a server that runs already is better named than its ports.
            for door in doors:
                door.bind(self._inherited)
            self._sockets = self._bind(listeners_of(settings))
        except (ValueError, ListenError, OSError) as error:
            self._discard(self._sockets)
            self.service.abandon()
            raise StartError(str(error)) from error

    def sessions(self) -> list[dict[str, object]]:
        """The parent has none."""
        return []

    def status(self) -> dict[str, object]:
        """What is the parent's own."""
        return {**self._uptime.describe()}

    def families(self) -> list[Family]:
        """Figures of the parent's own."""
        states = Counter(member.state for member in self._crew.members)
        workers = {state.value: states[state] for state in State}
        return [
            by_label(GAUGE, "hermes_workers", "Workers, by the state that they are in.", "state", workers),
            *self._reload.families(),
        ]

    def stop(self) -> None:
        """Stop in order, after the answer has gone out."""
        self._reactor.callLater(0.1, halt, self._reactor)

    def close(self) -> None:
        """Close the listening sockets, and remove the files of those that have one."""
        self._discard(self._sockets)

    async def reload(self) -> str:
        """
        Have all workers take the configuration anew, or none of them.

        Raises ValueError with a text for the administrator, and then nothing has changed.
        """
        return await self._reload.run(self.settings)

    async def _take(self, settings: Settings) -> None:
        members = self._crew.all_ready()
        wanted = dict(listeners_of(settings))
        try:
            for member in members:
                await member.prepare(settings)
            # One that has died meanwhile may have begun anew by the settings as they were.
            self._crew.all_ready()
            opened = self._bind((place, section) for place, section in wanted.items() if place not in self._sockets)
        except BaseException:
            # What they have made ready may be large.
            for member in members:
                member.tell(Forget())
            raise
        # From here on nothing can fail; a worker that dies meanwhile comes back with the new settings.
        self.settings = settings
        self._sockets |= opened
        changes = [
            Deferred.fromCoroutine(member.change(list(opened), list(opened.values()))).addErrback(self._replace, member)
            for member in members
        ]
        await gatherResults(changes)
        self._discard({place: self._sockets.pop(place) for place in self._sockets.keys() - wanted.keys()})

    def _replace(self, failure: Failure, member: Any) -> None:
        """A worker that met a fault would go by half of the settings."""
        self._log.failure("Worker {number} is replaced: it did not take the settings", failure, number=member.number)
        if member.state is State.READY:
            member.kill()

    def _bind(self, wanted: Iterable[tuple[str, str]]) -> dict[str, socket.socket]:
        """Bind all places or none; raise ValueError with a text for the administrator."""
        bound: dict[str, socket.socket] = {}
        for place, section in wanted:
            try:
                bound[place] = bind(parse_listener(place), self._inherited)
            except ListenError as error:
                self._discard(bound)
                raise ValueError(f"{section}: {error}") from error
        return bound

    @staticmethod
    def _discard(sockets: dict[str, socket.socket]) -> None:
        while sockets:
            place, opened = sockets.popitem()
            discard(parse_listener(place), opened)


def listeners_of(settings: Settings) -> Iterator[tuple[str, str]]:
    """The places where workers listen, and where each stands in the configuration."""
    for section in SECTIONS.values():
        if section.name in ("manhole", "metrics"):
            # They are the parent's own.
            continue
        for setting in section.settings.values():
            if setting.kind == "listeners":
                for place in getattr(getattr(settings, section.name), setting.key):
                    yield place, f"[{section.name}] {setting.key}"


class LookUps(Module):
    """Looks something up in all shards, whether they have a worker or not, in a thread of its own."""

    name = "look-ups"

    def __init__(self, settings: Settings, worker: GroupWorker) -> None:
        self._settings = settings
        self._worker = worker

    @override
    async def start(self) -> None:
        self._worker.start(perform_each)

    @override
    async def stop(self) -> None:
        await self._worker.stop()

    async def select(self, queue_id: str | None, limit: int | None = None) -> list[QueuedMessage]:
        """One message or all, oldest first."""
        found: list[QueuedMessage] = await self._ask(lambda reader: reader.queue(queue_id, limit))
        return found

    async def track(self, query: str, limit: int) -> list[Event]:
        """What is known about a queue id, an address or a Message-ID, newest last."""
        found: list[Event] = await self._ask(lambda reader: reader.track(query, limit))
        return found

    async def _ask(self, question: Callable[[ShardsReader], Any]) -> Any:
        def look() -> Any:
            with ShardsReader([spool_directory(self._settings, shard) for shard in shards(self._settings)]) as reader:
                return question(reader)

        return await self._worker.submit(look)


class SignOfLife(Module):
    """Tells systemd that the parent is well; workers tell the parent."""

    name = "sign of life"
    _log = Logger()

    def __init__(self, reactor: Any, notifier: Notifier) -> None:
        self._notifier = notifier
        self._signs = LoopingCall(notifier.alive)
        self._signs.clock = reactor

    @override
    async def start(self) -> None:
        if self._notifier.watchdog_seconds is not None:
            _ = self._signs.start(self._notifier.watchdog_seconds).addErrback(
                lambda failure: self._log.failure("No sign of life", failure)
            )

    @override
    async def stop(self) -> None:
        if self._signs.running:
            self._signs.stop()
