"""
A POP3 client's session over a transport: the engine's commands go out, its events are waited for, nothing takes for ever.

Silence has a limit, and so has what is going on as a whole (:attr:`POP3Session.deadline`): a server that drips gains nothing.
While the owner is busy, nothing is read: a server that sends faster than we write waits.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from hermes.net.client_handshake import ClientHandshake
from hermes.net.client_session import CLOSE_SECONDS, why_lost
from hermes.net.client_tls import TLSAttempt
from hermes.protocols.pop3.client import ClientEngine
from hermes.protocols.pop3.client_events import Answer, Ended, Event, Verb
from hermes.protocols.sasl_login import Derivation, Derive, Exchange

#: The answer to QUIT comes when everything deleted is gone (RFC 1939 6), which takes its time.
QUIT_SECONDS = 60.0


@implementer(IHandshakeListener)
class POP3Session(Protocol):
    """One connection to one server. Its coroutines are called one at a time; :meth:`abort` may be called at any time."""

    def __init__(self, clock: IReactorTime, silence_seconds: float) -> None:
        self._clock = clock
        self._silence_seconds = silence_seconds
        self._waiting: Deferred[None] | None = None
        self._handshake = ClientHandshake(clock)
        self._closed: Deferred[None] = Deferred()
        self._timer: IDelayedCall | None = None
        self._wire: Any = None
        self._connected = False
        self._paused = False
        self._lost_because = ""
        self.engine = ClientEngine()
        #: TLS as it was agreed upon; None in the clear.
        self.tls: TLSAttempt | None = None
        #: When what is going on must be over, in the clock's seconds.
        self.deadline = clock.seconds() + silence_seconds

    def allow(self, seconds: float) -> None:
        """What comes now may take so long."""
        self.deadline = self._clock.seconds() + seconds

    async def event(self) -> Event:
        """What the engine says next; whatever happens, something comes."""
        while True:
            event = self.engine.next_event()
            self.flush()
            if event is not None:
                return event
            if self.engine.ended:
                return Ended("the session is over")
            self._resume()
            self._waiting = Deferred()
            self._arm()
            try:
                await self._waiting
            finally:
                self._waiting = None
                self._disarm()

    async def log_in(self, exchange: Exchange, derive: Derive) -> Answer | Ended:
        """Run a SASL exchange; its answer. ``derive`` does what takes long, beside the session."""
        self.engine.authenticate(exchange)
        event = await self.event()
        if isinstance(event, Derivation):
            # No more than once in an exchange.
            self.engine.derived(event, await derive(event))
            event = await self.event()
        return self._answer_in(event)

    async def answer(self) -> Answer | Ended:
        """The answer to a command that has one line."""
        return self._answer_in(await self.event())

    def _answer_in(self, event: Event) -> Answer | Ended:
        """Other events mean that the server has lost its way."""
        if isinstance(event, Answer | Ended):
            return event
        self.abort()
        return Ended("it answers what it was not asked")

    def flush(self) -> None:
        """Send what the engine wants sent."""
        data = self.engine.data_to_send()
        if data and self._connected:
            self._wire.write(data)

    async def start_tls(self, attempt: TLSAttempt) -> str:
        """Do the handshake now; what went wrong, or nothing."""
        self._resume()
        await self._handshake.run(self._wire, attempt, self._cut)
        if self._connected and attempt.check_name():
            self.tls = attempt
            return ""
        self.abort()
        if attempt.problem is not None:
            return f"its certificate is not trusted: {attempt.problem}"
        return f"TLS failed: {self._lost_because}"

    async def quit(self) -> str:
        """Say goodbye: deletions are carried out now. What went wrong, or nothing."""
        self.allow(QUIT_SECONDS)
        self.engine.quit()
        while not isinstance(event := await self.event(), Ended):
            if isinstance(event, Answer) and event.verb is Verb.QUIT:
                await self._close()
                return "" if event.ok else event.text
        return event.reason

    def abort(self) -> None:
        """Cut the connection."""
        if self._connected:
            self._wire.abortConnection()

    async def left(self) -> None:
        """Cut the connection, and return when that is done."""
        self.abort()
        if not self._closed.called:
            await self._closed

    async def _close(self) -> None:
        """Close in order; the server may do so as well."""
        if self._connected:
            self._resume()
            self._wire.loseConnection()
            closing = self._clock.callLater(CLOSE_SECONDS, self._wire.abortConnection)
            try:
                await self._closed
            finally:
                if closing.active():
                    closing.cancel()

    # What the transport calls.

    @override
    def connectionMade(self) -> None:
        self._wire = self.transport
        self._connected = True
        self._wire.setTcpNoDelay(True)

    @override
    def dataReceived(self, data: bytes) -> None:
        self.engine.receive(data)
        self._wake()
        if self._waiting is None and not self._paused and not self._handshake.under_way and self._connected:
            # Whoever takes the events has to wait for something else.
            self._paused = True
            self._wire.pauseProducing()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._connected = False
        self._disarm()
        self._lost_because = self._lost_because or why_lost(reason)
        self.engine.connection_lost(self._lost_because)
        self._handshake.end()
        self._wake()
        self._closed.callback(None)

    def handshakeCompleted(self) -> None:
        """TLS has begun."""
        self._handshake.end()

    # How it is done.

    def _wake(self) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    def _resume(self) -> None:
        if self._paused and self._connected:
            self._paused = False
            self._wire.resumeProducing()

    def _arm(self) -> None:
        seconds = max(0.0, min(self._silence_seconds, self.deadline - self._clock.seconds()))
        self._timer = self._clock.callLater(seconds, self._timed_out, seconds)

    def _disarm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _timed_out(self, seconds: float) -> None:
        late = self._clock.seconds() >= self.deadline
        self._lost_because = "it takes too long" if late else f"no answer within {seconds:g} seconds"
        self.engine.connection_lost(self._lost_because)
        self.abort()
        self._wake()

    def _cut(self, why: str) -> None:
        self._lost_because = why
        self.abort()
