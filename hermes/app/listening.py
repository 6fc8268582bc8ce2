"""A protocol's listening sockets and their sessions, from the first connection to an orderly end."""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import Any, Protocol

import attrs
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from typing_extensions import override

from hermes.app.staged import Module
from hermes.net.listen import accept

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

    sessions: Collection[Session]


@attrs.frozen
class Door:
    """One bound socket and who answers there; ``place`` is the listener's text in the configuration."""

    place: str
    opened: socket.socket
    factory: Any


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
        self._factories: list[SessionFactory] = []

    @override
    async def start(self) -> None:
        waiting, self._waiting = self._waiting, []
        for door in waiting:
            self._accept(door)

    @override
    async def stop(self) -> None:
        for place in list(self._ports):
            await self.close(place)
        for session in self.sessions():
            session.shut_down()
        deadline = self._reactor.seconds() + SESSION_GRACE_SECONDS
        while self.sessions() and self._reactor.seconds() < deadline:
            await deferLater(self._reactor, _POLL_SECONDS)
        for session in self.sessions():
            session.transport.abortConnection()

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
        self._ports[place][1].target = factory
        # Of the old ones only those are kept that somebody is still connected to.
        self._factories = [old for old in self._factories if old.sessions] + [factory]

    async def close(self, place: str) -> None:
        """Stop accepting at one place; its sessions go on to their end."""
        port, _ = self._ports.pop(place)
        await maybeDeferred(port.stopListening)
        self._log.info("{name} no longer listens at {place}", name=self.name, place=place)

    def sessions(self) -> list[Session]:
        """Everybody who is connected."""
        return [session for factory in self._factories for session in factory.sessions]

    def _accept(self, door: Door) -> None:
        switch = _Switch(door.factory)
        self._ports[door.place] = accept(self._reactor, door.opened, switch), switch
        self._factories.append(door.factory)
        self._log.info("{name} listens at {place}", name=self.name, place=door.place)
