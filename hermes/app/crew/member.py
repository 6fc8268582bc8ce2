"""The parent's end of one worker: what it is told, what it answers, and how it is."""

from __future__ import annotations

import enum
import itertools
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from hermes.app.crew.link import Adopt, Answer, Ask, Change, Link, Prepare, connect
from hermes.app.crew.lives import Lives
from hermes.app.crew.nursery import Died

_NUMBERS = itertools.count(1)


class State(enum.Enum):
    """Where a worker is in its life."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    #: It has died, and a successor will be there in a moment.
    DEAD = "being replaced"
    #: It has died too often.
    GIVEN_UP = "given up"


class UnavailableError(ValueError):
    """A worker that should have been asked is not there."""


class Member:
    """
    A worker, through all its lives.

    ``received`` is called with it and with what it says of its own accord, and ``silenced`` when its end of the link is closed:
    it is dead, or will be in a moment.
    """

    def __init__(
        self, number: int, received: Callable[[Member, object], None], silenced: Callable[[Member], None]
    ) -> None:
        self.number = number
        self.state = State.DEAD
        self.process = 0
        self.lives = Lives()
        #: When the present life became one: it accepts connections since.
        self.ready_at = 0.0
        #: Ticks of the parent in which nothing was heard from it.
        self.silent = 0
        #: Why it said that it cannot start.
        self.refusal = ""
        #: Shards of workers that were given up, and since when they are here.
        self.adopted: dict[int, float] = {}
        #: How it died, until its last words have been heard.
        self.death: Died | None = None
        self._received = received
        self._silenced = silenced
        self._link: Link | None = None
        self._waiting: dict[int, Deferred[Any]] = {}

    def connect(self, reactor: Any) -> socket.socket:
        """Begin a life: the worker's end of a new link."""
        ours, theirs = socket.socketpair()
        link = Link(lambda value, _: self._heard(value), lambda: self._lost(link))
        connect(reactor, ours, link)
        self._link = link
        self.state, self.process, self.silent, self.refusal = State.STARTING, 0, 0, ""
        return theirs

    @property
    def linked(self) -> bool:
        """True until everything has been heard that it said."""
        return self._link is not None

    def tell(self, order: object, sockets: Sequence[socket.socket] = ()) -> None:
        """Send an order that is not answered."""
        if self._link is not None:
            self._link.send(order, sockets)

    async def ask(self, command: str, arguments: dict[str, Any]) -> Any:
        """Have a command carried out; raise what the worker would raise, or UnavailableError when it is not there."""
        return await self._answered(Ask(next(_NUMBERS), command, arguments))

    async def prepare(self, settings: Any) -> None:
        """Have it get ready for other settings."""
        await self._answered(Prepare(next(_NUMBERS), settings))

    async def change(self, places: Sequence[str], sockets: Sequence[socket.socket]) -> None:
        """Have it go by them."""
        await self._answered(Change(next(_NUMBERS), tuple(places)), sockets)

    async def adopt(self, shard: int, now: float) -> None:
        """Have it take care of a shard."""
        self.adopted[shard] = now
        try:
            await self._answered(Adopt(next(_NUMBERS), shard))
        except BaseException:
            self.adopted.pop(shard, None)
            raise

    def kill(self) -> None:
        """End it at once."""
        # Until its death has been reported the process is there, if only as one that nobody has waited for.
        if self.process:
            os.kill(self.process, signal.SIGKILL)

    def gone(self, state: State) -> None:
        """It has died: whoever waits for an answer gets none."""
        link, self._link = self._link, None
        if link is not None and link.transport is not None:
            link.transport.loseConnection()
        self.state, self.process = state, 0
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            answer.errback(UnavailableError(f"worker {self.number} died meanwhile"))

    def describe(self) -> dict[str, Any]:
        """How it is, ready for JSON."""
        return {"number": self.number, "process": self.process, "state": self.state.value}

    async def _answered(self, order: Ask | Prepare | Change | Adopt, sockets: Sequence[socket.socket] = ()) -> Any:
        if self.state is not State.READY or self._link is None:
            raise UnavailableError(f"worker {self.number} is {self.state.value}: try again in a moment")
        answer: Deferred[Any] = Deferred()
        self._waiting[order.number] = answer
        self._link.send(order, sockets)
        return await answer

    def _lost(self, link: Link) -> None:
        # Not that of an earlier life.
        if link is self._link:
            self._link = None
            self._silenced(self)

    def _heard(self, value: object) -> None:
        self.silent = 0
        if not isinstance(value, Answer):
            self._received(self, value)
            return
        answer = self._waiting.pop(value.number, None)
        if answer is None or answer.called:
            return
        if not value.error:
            answer.callback(value.result)
            return
        errors: dict[str, type[Exception]] = {"lookup": LookupError, "value": ValueError}
        answer.errback(errors.get(value.error, RuntimeError)(value.text))
