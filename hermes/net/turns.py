"""
Strict turns: the one pattern by which every server session of Hermes runs.

An engine turns bytes into events; the session answers one event at a time. While an answer has to wait, or the peer does
not read its answers, no more is read from that peer than the piece that may be coming in. That single rule gives ordered
replies to pipelined commands, bounded memory, and sessions that cannot harm one another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.net.prompt import write_now
from hermes.net.together import cause_of

#: A pipelined flood of commands that can be answered at once lets the other sessions run after this many.
EVENTS_BEFORE_YIELDING = 32


class Engine(Protocol):
    """What a sans-IO engine must offer to be driven."""

    def receive(self, data: bytes) -> None:
        """Take octets from the peer."""

    def next_event(self) -> Any | None:
        """The next thing the peer said, or None when more octets are needed."""


class Listener(Protocol):
    """Who is told what is written, for a transcript."""

    def sent(self, data: bytes) -> None:
        """Whole lines of the protocol."""

    def sent_body(self, data: bytes) -> None:
        """Octets of a message."""


class Stream(Protocol):
    """What a transport must offer: every stream transport of Twisted does."""

    def write(self, data: bytes) -> None: ...  # noqa: D102
    def pauseProducing(self) -> None: ...  # noqa: D102
    def resumeProducing(self) -> None: ...  # noqa: D102
    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None: ...  # noqa: D102, N802
    def unregisterProducer(self) -> None: ...  # noqa: D102, N802
    def loseConnection(self) -> None: ...  # noqa: D102, N802
    def abortConnection(self) -> None: ...  # noqa: D102, N802


@implementer(IPushProducer)
class Turns:
    """
    Drives one session.

    ``respond`` answers one event and may wait; ``failed`` is called with the failure when it raised; ``timed_out`` when the
    peer has not said anything (or has not read anything) for ``idle_seconds`` while it was its turn.
    """

    def __init__(
        self,
        transport: Stream,
        engine: Engine,
        clock: IReactorTime,
        *,
        respond: Callable[[Any], Awaitable[None]],
        failed: Callable[[Failure], None],
        timed_out: Callable[[], None],
        idle_seconds: float,
    ) -> None:
        self._transport = transport
        self._engine = engine
        self._clock = clock
        self._respond = respond
        self._failed = failed
        self._timed_out = timed_out
        self._idle_seconds = idle_seconds
        self._busy = False
        self._paused = False
        self._stopped = False
        self._registered = False
        self._peer_reads = True
        self._drained: Deferred[None] | None = None
        self._task: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._out: list[bytes] = []
        #: Who listens, for a transcript; None when nobody does.
        self.listener: Listener | None = None

    def start(self) -> None:
        """Begin: from now on the peer's silence is timed and its reading watched."""
        self._transport.registerProducer(self, True)
        self._registered = True
        self._timer = self._clock.callLater(self._idle_seconds, self._check_idle)

    def stop(self) -> None:
        """End: nothing more is answered, and an answer that is being awaited is cancelled."""
        if self._stopped:
            return
        self._stopped = True
        self._out.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._registered:
            self._registered = False
            self._transport.unregisterProducer()
        if self._task is not None:
            self._task.cancel()

    def finish(self) -> None:
        """Send what is queued and end; for an answer that is the last one, which must not cancel itself."""
        self._flush()
        self._task = None
        self.stop()

    @property
    def stopped(self) -> bool:
        """True once the session is over."""
        return self._stopped

    @property
    def idle(self) -> bool:
        """True while it is the peer's turn."""
        return not self._busy

    def write(self, data: bytes) -> None:
        """Queue whole lines for the peer; they leave when the turn ends or waits."""
        if self.listener is not None:
            self.listener.sent(data)
        self._out.append(data)
        if not self._busy:
            self._flush()

    def write_body(self, data: bytes) -> None:
        """Queue octets of a message for the peer."""
        if self.listener is not None:
            self.listener.sent_body(data)
        self._out.append(data)
        if not self._busy:
            self._flush()

    async def written(self) -> None:
        """Send what is queued and return when the peer is reading: call it between the pieces of a long answer."""
        self._flush()
        if not self._peer_reads and not self._stopped:
            self._touch()
            self._drained = Deferred()
            try:
                await self._drained
            finally:
                self._drained = None

    def received(self, data: bytes) -> None:
        """Take octets from the peer: the session's ``dataReceived``."""
        if self._stopped:
            return
        self._engine.receive(data)
        if self._busy:
            # Not before: most peers wait for their answer, and a pause costs two calls of the system.
            self._pause()
        else:
            self.proceed()

    def proceed(self) -> None:
        """Look for events; also called when the engine may have some without new octets."""
        if self._stopped or self._busy:
            return
        # Set before the coroutine starts: it may finish inside the call.
        self._busy = True
        turns = self._take_turns()
        try:
            # Most answers need not wait, and then no Deferred has to be made.
            awaited = turns.send(None)
        except StopIteration:
            return
        task = Deferred.fromCoroutine(_rest_of(turns, awaited))
        if self._busy and not self._stopped:
            self._task = task
            self._flush()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pauseProducing()

    async def _take_turns(self) -> None:
        try:
            count = 0
            while not self._stopped and (event := self._engine.next_event()) is not None:
                await self._respond(event)
                if not self._peer_reads:
                    await self.written()
                count += 1
                if count % EVENTS_BEFORE_YIELDING == 0:
                    self._flush()
                    await deferLater(self._clock, 0)
        except Exception:
            # stop() cancels what is awaited; anything else, also what cancelled itself, leaves the peer without an answer.
            if not self._stopped:
                self._failed(Failure())
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        self._busy = False
        self._task = None
        if self._stopped:
            return
        self._flush()
        self._touch()
        if self._paused:
            self._paused = False
            self._transport.resumeProducing()

    def _flush(self) -> None:
        if self._out:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            write_now(self._transport, data)

    def _touch(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.reset(self._idle_seconds)

    def _check_idle(self) -> None:
        waiting_for_us = self._busy and self._drained is None
        if waiting_for_us:
            self._timer = self._clock.callLater(self._idle_seconds, self._check_idle)
        else:
            self._timed_out()

    def pauseProducing(self) -> None:
        """The transport's buffer is full: the peer is not reading."""
        self._peer_reads = False

    def resumeProducing(self) -> None:
        """The peer has read what there was."""
        self._peer_reads = True
        if self._drained is not None:
            self._drained.callback(None)

    def stopProducing(self) -> None:
        """The connection is gone; ``connectionLost`` follows and stops the session."""
        self._peer_reads = True
        # A transport under TLS that has lost its connection cannot be asked for anything any more.
        self._registered = False


@coroutine
def _rest_of(begun: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """The rest of a coroutine that has been begun by hand and waits for ``awaited``."""
    while True:
        try:
            result = yield awaited
        except Exception as error:
            proceed = partial(begun.throw, cause_of(error))
        else:
            proceed = partial(begun.send, result)
        try:
            awaited = proceed()
        except StopIteration:
            return
