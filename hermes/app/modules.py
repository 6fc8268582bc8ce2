"""The small modules: delivery, passages for administrators, signals."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from typing_extensions import override

from hermes.app.staged import Module
from hermes.config.listener import parse_listener
from hermes.net.listen import ListenError, accept, bind, discard
from hermes.net.notify import Notifier
from hermes.queue.relay import RelayManager


class Delivery(Module):
    """The relay managers, of adopted shards too, and the connections that their agents keep."""

    name = "delivery"
    #: A relay manager gives deliveries 20 s and those it cancels 5 s; leave is taken of servers after that.
    stop_seconds = 40.0

    def __init__(self, relays: Callable[[], Sequence[RelayManager]], leave: Callable[[], Awaitable[None]]) -> None:
        self._relays = relays
        self._leave = leave

    @override
    async def start(self) -> None:
        for relay in self._relays():
            relay.start()

    @override
    async def stop(self) -> None:
        await gatherResults([Deferred.fromCoroutine(relay.stop()) for relay in self._relays()], consumeErrors=True)
        await self._leave()


class Passage(Module):
    """A door for administrators: the control socket, or the manhole. ``taken`` is what to say when somebody listens there."""

    stop_seconds = 5.0
    _log = Logger()

    def __init__(self, name: str, reactor: Any, place: str, factory: Any, taken: str = "") -> None:
        self.name = f"{name} {place}"
        self._taken = taken
        self._reactor = reactor
        self._listener = parse_listener(place)
        self._factory = factory
        self._opened: socket.socket | None = None
        self._port: IListeningPort | None = None

    def bind(self, inherited: Callable[[str], int]) -> None:
        """Take the place; raise ListenError."""
        try:
            self._opened = bind(self._listener, inherited)
        except ListenError as error:
            if error.in_use and self._taken:
                raise ListenError(self._taken, in_use=True) from error
            raise
        if self._listener.kind == "unix":
            # Whoever comes in may do anything: nobody but the server's own user.
            os.chmod(self._listener.path, 0o600)

    @override
    async def start(self) -> None:
        if self._opened is not None:
            opened, self._opened = self._opened, None
            self._port = accept(self._reactor, opened, self._factory)
            self._log.info("{name} is open", name=self.name)

    @override
    async def stop(self) -> None:
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)

    @override
    def abandon(self) -> None:
        if self._opened is not None:
            opened, self._opened = self._opened, None
            discard(self._listener, opened)


class Signals(Module):
    """
    What systemd is told: when everything listens, and when the stop begins. ``ready`` is called at the end of the start.

    It starts last and stops first.
    """

    name = "signals"
    _log = Logger()

    def __init__(self, ready: Callable[[], None], notifier: Notifier) -> None:
        self._ready = ready
        self._notifier = notifier

    @override
    async def start(self) -> None:
        spare_the_collector()
        self._notifier.ready()
        self._log.info("Hermes is ready")
        self._ready()

    @override
    async def stop(self) -> None:
        self._notifier.stopping()
        self._log.info("Hermes stops: sessions and deliveries are given time to finish")


class Admission(Module):
    """A worker waits here, with everything open but its doors, until its parent lets it accept connections."""

    name = "admission"

    def __init__(self, prepared: Callable[[], Awaitable[None]]) -> None:
        self._prepared = prepared

    @override
    async def start(self) -> None:
        spare_the_collector()
        await self._prepared()


def spare_the_collector() -> None:
    """
    Let the garbage collector look at less, and less often.

    All that has been made for the start lives as long as the process and need not be looked at again. Cycles are rare in
    a session, so what counts is not to look for them after every few commands: the default thresholds cost a fifth of all
    processor time, and a full collection of what a start makes takes 33 ms, in which no session is answered
    (``docs/decisions.md``).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
