"""A protocol's listening sockets and their sessions, from the first connection to an orderly end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from typing import Any, Protocol

import attrs
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from typing_extensions import override

from hermes.app.staged import Module
from hermes.config.listener import parse_listener
from hermes.net.listen import accept, discard

#: How long sessions may take to come to an end when the server stops: a message that is being received may still be whole.
SESSION_GRACE_SECONDS = 20.0

_POLL_SECONDS = 0.05


class Session(Protocol):
    """What every server session offers."""

    transport: Any

    def shut_down(self) -> None:
        """Say good-bye, now or after the command that is being answered."""

    def describe(self) -> dict[str, object]:
        """Who is there, and what they are doing."""


class SessionFactory(Protocol):
    """What every server's factory offers."""

    @property
    def sessions(self) -> Collection[Session]:
        """Everybody who is connected."""


@attrs.frozen
class Door:
    """
    One bound socket and who answers there; ``place`` is the listener's text in the configuration.

    One that several workers accept at has ``crowded``, see :func:`hermes.net.listen.accept`, and is their parent's.
    """

    place: str
    opened: socket.socket
    factory: Any
    crowded: Callable[[], bool] | None = None


class _Switch(ServerFactory):
    """Stands between a port and the factory of the moment, so that a reload need not close the port."""

    noisy = False

    def __init__(self, factory: Any) -> None:
        self.target = factory

    @override
    def buildProtocol(self, addr: Any) -> Any:
        return self.target.buildProtocol(addr)


class Listening(Module):
    """The doors of one protocol."""

    _log = Logger()
    stop_seconds = SESSION_GRACE_SECONDS + 5

    def __init__(self, name: str, reactor: Any) -> None:
        self.name = name
        self._reactor = reactor
        self._waiting: list[Door] = []
        self._ports: dict[str, tuple[IListeningPort, _Switch]] = {}
        #: Factories that answer nowhere any more, as long as somebody is still connected to them.
        self._retired: list[SessionFactory] = []
        #: When whoever has not left by then is thrown out; None until all are asked to leave.
        self._deadline: float | None = None

    @override
    async def start(self) -> None:
        waiting, self._waiting = self._waiting, []
        for door in waiting:
            self._accept(door)

    @override
    async def stop(self) -> None:
        await self.leave()
        assert self._deadline is not None
        while self.sessions() and self._reactor.seconds() < self._deadline:
            await deferLater(self._reactor, _POLL_SECONDS)
        for session in self.sessions():
            session.transport.abortConnection()

    @override
    def abandon(self) -> None:
        while self._waiting:
            door = self._waiting.pop()
            discard(parse_listener(door.place), door.opened, shared=door.crowded is not None)

    async def leave(self) -> None:
        """Stop accepting everywhere, and ask all sessions to end: their time begins now."""
        if self._deadline is None:
            self._deadline = self._reactor.seconds() + SESSION_GRACE_SECONDS
        for place in list(self._ports):
            await self.close(place)
        for session in self.sessions():
            session.shut_down()

    @property
    def places(self) -> set[str]:
        """Where it listens, or will."""
        return {*self._ports, *(door.place for door in self._waiting)}

    def open(self, door: Door) -> None:
        """Begin to accept, at once or when the module starts."""
        if self.running:
            self._accept(door)
        else:
            self._waiting.append(door)

    def switch(self, place: str, factory: SessionFactory) -> None:
        """Let new connections at a place be answered by another factory; sessions go on as they began."""
        _, switch = self._ports[place]
        old, switch.target = switch.target, factory
        self._retire(old)

    async def close(self, place: str) -> None:
        """Stop accepting at one place; its sessions go on to their end."""
        port, switch = self._ports.pop(place)
        self._retire(switch.target)
        await maybeDeferred(port.stopListening)
        self._log.info("{name} no longer listens at {place}", name=self.name, place=place)

    def sessions(self) -> list[Session]:
        """Everybody who is connected."""
        factories = [*self._retired, *(switch.target for _, switch in self._ports.values())]
        return [session for factory in factories for session in factory.sessions]

    def _retire(self, factory: SessionFactory) -> None:
        self._retired = [old for old in (*self._retired, factory) if old.sessions]

    def _accept(self, door: Door) -> None:
        switch = _Switch(door.factory)
        self._ports[door.place] = accept(self._reactor, door.opened, switch, crowded=door.crowded), switch
        self._log.info("{name} listens at {place}", name=self.name, place=door.place)


class Closing(Module):
    """
    Closes all doors together: it starts after them and stops before them.

    Otherwise the last protocol would take new sessions for as long as those of the others need to end.
    """

    name = "closing"

    def __init__(self, listening: Collection[Listening]) -> None:
        self._listening = listening

    @override
    async def stop(self) -> None:
        for each in self._listening:
            await each.leave()
