"""A protocol's listening sockets and their sessions, from the first connection to an orderly end."""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import Any, Protocol

import attrs
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger
from typing_extensions import override

from hermes.app.staged import Module
from hermes.interfaces import IServerTLS
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
    implicit_tls: IServerTLS | None = None


class Listening(Module):
    """The doors of one protocol."""

    _log = Logger()
    stop_seconds = SESSION_GRACE_SECONDS + 5

    def __init__(self, name: str, reactor: Any, doors: list[Door]) -> None:
        self.name = name
        self._reactor = reactor
        self._waiting = doors
        self._ports: dict[str, IListeningPort] = {}
        self._factories: list[SessionFactory] = []

    @override
    async def start(self) -> None:
        for door in self._waiting:
            self.open(door)
        self._waiting = []

    @override
    async def stop(self) -> None:
        for place in list(self._ports):
            await self.close(place)
        for session in list(self.sessions()):
            session.shut_down()
        deadline = self._reactor.seconds() + SESSION_GRACE_SECONDS
        while self.sessions() and self._reactor.seconds() < deadline:
            await deferLater(self._reactor, _POLL_SECONDS)
        for session in self.sessions():
            session.transport.abortConnection()

    @property
    def places(self) -> set[str]:
        """Where it listens."""
        return {*self._ports, *(door.place for door in self._waiting)}

    def open(self, door: Door) -> None:
        """Begin to accept."""
        self._ports[door.place] = accept(self._reactor, door.opened, door.factory, door.implicit_tls)
        if door.factory not in self._factories:
            self._factories.append(door.factory)
        self._log.info("{name} listens at {place}", name=self.name, place=door.place)

    async def close(self, place: str) -> None:
        """Stop accepting at one place; its sessions go on to their end."""
        await maybeDeferred(self._ports.pop(place).stopListening)

    def sessions(self) -> list[Session]:
        """Everybody who is connected."""
        return [session for factory in self._factories for session in factory.sessions]
