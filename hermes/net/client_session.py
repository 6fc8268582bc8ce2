"""
An SMTP client's session over a transport: the engine's commands go out, its events are waited for, nothing takes for ever.

Every wait has the limit of RFC 5321 4.5.3.2; a limit is not moved by octets, only by whole replies, so a server that drips
gains nothing. Content is sent no faster than the server reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IPushProducer, IReactorTime, IUNIXTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from hermes.core.reply import Reply
from hermes.net.client_handshake import ClientHandshake
from hermes.net.client_tls import TLSAttempt
from hermes.net.prompt import write_now
from hermes.net.quick_socket import make_quick
from hermes.protocols.sasl_login import Derivation, Derive, Exchange
from hermes.protocols.smtp.capabilities import Capabilities
from hermes.protocols.smtp.client import ClientEngine
from hermes.protocols.smtp.client_events import (
    ContentWanted,
    Ended,
    Event,
    Peer,
    Refused,
    Stage,
    Told,
    TransactionDone,
)
from hermes.protocols.smtp.lmtp_client import LMTPClientEngine
from hermes.protocols.smtp.transaction import Parcel

#: Seconds to wait for the reply in each stage (RFC 5321 4.5.3.2). The standard names none for EHLO, STARTTLS, AUTH and RSET:
#: they take what MAIL takes.
TIMEOUTS_SECONDS = {
    Stage.GREETING: 300.0,
    Stage.HELLO: 300.0,
    Stage.STARTTLS: 300.0,
    Stage.LOGIN: 300.0,
    Stage.RESET: 300.0,
    Stage.ETRN: 300.0,
    Stage.MAIL: 300.0,
    Stage.RECIPIENT: 300.0,
    Stage.DATA: 120.0,
    Stage.CONTENT: 180.0,
    Stage.FINAL: 600.0,
    Stage.QUIT: 5.0,
}

#: All replies to one envelope together: a server with a hundred slow answers may not hold a connection for a day.
ENVELOPE_SECONDS = 1800.0

#: A message may take this long, plus a second for each kibibyte: slower than a modem, yet it comes to an end.
CONTENT_SECONDS = 1800.0
SLOWEST_OCTETS_PER_SECOND = 1024

#: How long a closing connection may take, before it is cut.
CLOSE_SECONDS = 5.0

#: What ended too early: the reason, and what it means for a message.
Setback = Refused | Ended


@implementer(IPushProducer, IHandshakeListener)
class ClientSession(Protocol):
    """One connection to one server. Its coroutines are called one at a time; :meth:`abort` may be called at any time."""

    def __init__(self, clock: IReactorTime, hostname: str, peer: Peer, *, lmtp: bool = False) -> None:
        self._clock = clock
        self._engine = LMTPClientEngine(hostname, peer) if lmtp else ClientEngine(hostname, peer)
        self._events: deque[Event] = deque()
        self._waiting: Deferred[None] | None = None
        self._drained: Deferred[None] | None = None
        self._handshake = ClientHandshake(clock)
        self._closed: Deferred[None] = Deferred()
        self._wire: Any = None
        self._timer: IDelayedCall | None = None
        self._timer_seconds = 0.0
        self._closing: IDelayedCall | None = None
        self._leaving = False
        self._deadline: float | None = None
        self._replies = 0
        self._flowing = True
        self._connected = False
        self._lost_because = ""
        #: TLS as it was agreed upon; None in the clear.
        self.tls: TLSAttempt | None = None
        #: Called once when the session ends while nothing was asked of it.
        self.when_left: Callable[[], None] | None = None
        self.opened_at = clock.seconds()

    # What can be seen from outside.

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        return self._engine.peer

    @property
    def capabilities(self) -> Capabilities:
        """What the server offers."""
        return self._engine.capabilities

    @property
    def usable(self) -> bool:
        """True while another transaction can be begun."""
        most = self.capabilities.max_messages
        return self._connected and not self._engine.ended and (most is None or self.messages < most)

    @property
    def ended(self) -> bool:
        """True when nothing can be sent any more."""
        return self._engine.ended or not self._connected

    @property
    def replies(self) -> int:
        """How much the server has said."""
        return self._engine.replies

    @property
    def stage(self) -> Stage:
        """What is being waited for."""
        return self._engine.stage

    @property
    def age_seconds(self) -> float:
        """How long it has been open."""
        return self._clock.seconds() - self.opened_at

    @property
    def messages(self) -> int:
        """Transactions begun so far."""
        return self._engine.transactions

    # What can be asked for.

    async def greet(self) -> Setback | None:
        """Wait for the greeting and say EHLO; None when all is well."""
        return self._setback(await self._event())

    async def start_tls(self, attempt: TLSAttempt, *, implicit: bool = False) -> Setback | None:
        """
        Start TLS: by STARTTLS, or at once when ``implicit``, before the greeting.

        A refused STARTTLS leaves the session usable; a failed handshake does not.
        """
        if not implicit:
            self._engine.start_tls()
            setback = self._setback(await self._event())
            if setback is not None:
                return setback
        failure = await self._shake_hands(attempt)
        if failure is not None:
            self.abort()
            return failure
        self.tls = attempt
        self._engine.tls_started(attempt.description, implicit=implicit, verified=attempt.verified)
        return None if implicit else self._setback(await self._event())

    async def log_in(self, exchange: Exchange, derive: Derive) -> Setback | None:
        """Log in; None when all is well. ``derive`` does what takes long, beside the session."""
        self._engine.log_in(exchange)
        event = await self._event()
        if isinstance(event, Derivation):
            # No more than once in an exchange, and the server is not waited for meanwhile: what it says now is out of turn.
            self._engine.derived(event, await derive(event))
            event = await self._event()
        return self._setback(event)

    async def etrn(self, node: str) -> Reply | Setback:
        """Ask for the mail that waits for a domain (RFC 1985 5); what the server says to it, or what ended the session."""
        if self.ended:
            raise RuntimeError("the session is over")
        self._engine.etrn(node)
        event = await self._event()
        if isinstance(event, Told):
            return event.reply
        assert isinstance(event, Ended)
        return event

    async def deliver(self, parcel: Parcel, chunks: AsyncIterator[bytes]) -> TransactionDone:
        """Run one transaction; the chunks are taken only when the server wants the message."""
        if self.ended:
            raise RuntimeError("the session is over")
        self._deadline = self._clock.seconds() + ENVELOPE_SECONDS
        try:
            self._engine.begin(parcel)
            event = await self._event()
            self._deadline = None
            if isinstance(event, ContentWanted):
                await self._send_content(parcel, chunks)
                event = await self._event()
        except Exception:
            # A fault of ours in the middle of a message: it must not be ended as if it were whole.
            self.abort()
            raise
        finally:
            self._deadline = None
        if not isinstance(event, TransactionDone):
            raise TypeError(f"unexpected {event!r}")
        return event

    async def quit(self) -> None:
        """Say goodbye, not waiting for long, and return when the connection is closed."""
        if self.ended:
            self.abort()
        else:
            self.when_left = None
            self._leaving = True
            self._engine.quit()
            try:
                await self._event()
            except BaseException:
                # Nobody else would close it.
                self.abort()
                raise
        if not self._closed.called:
            await self._closed

    def abort(self) -> None:
        """Cut the connection."""
        self.when_left = None
        if self._connected:
            self._wire.abortConnection()

    # How it is done.

    @staticmethod
    def _setback(event: Event) -> Setback | None:
        return event if isinstance(event, Refused | Ended) else None

    async def _event(self) -> Event:
        self._advance()
        if not self._events:
            self._waiting = Deferred()
            self._arm()
            try:
                await self._waiting
            finally:
                self._waiting = None
                self._disarm()
        return self._events.popleft()

    async def _shake_hands(self, attempt: TLSAttempt) -> Ended | None:
        await self._handshake.run(self._wire, attempt, self._cut)
        host = self.peer.host
        if self._connected and attempt.check_name():
            return None
        if attempt.problem is not None:
            reason, status = f"the certificate for {host} is not trusted: {attempt.problem}", "4.7.5"
        else:
            reason, status = f"TLS with {host} failed: {self._lost_because}", "4.7.0"
        self._events.clear()
        return Ended(Stage.STARTTLS, self.peer.deferred(reason, status))

    def _cut(self, why: str) -> None:
        self._lost_because = why
        self.abort()

    async def _send_content(self, parcel: Parcel, chunks: AsyncIterator[bytes]) -> None:
        seconds = CONTENT_SECONDS + parcel.octets / SLOWEST_OCTETS_PER_SECOND
        end = self._clock.seconds() + seconds
        # One piece is held ready, so that the last leaves with the end of the message: a small message is sent by one call.
        last = b""
        async with aclosing(chunks):  # type: ignore[type-var]
            async for chunk in chunks:
                if self._events:
                    return  # the server has given up on it, or is gone, while the chunk was read
                if last:
                    write_now(self._wire, last)
                last = self._engine.content(chunk)
                if not self._flowing:
                    await self._wait_for_reading()
                    if self._clock.seconds() > end and not self._events:
                        self._engine.timed_out(seconds)
                        self._advance()
                    if self._events:
                        return
        if not self._events:
            self._engine.end_content()
            self._advance(last)

    async def _wait_for_reading(self) -> None:
        self._drained = Deferred()
        self._arm()
        try:
            await self._drained
        finally:
            self._drained = None
            self._disarm()

    def _advance(self, before: bytes = b"") -> None:
        """Take what the engine has, send what it wants sent behind what was to go before, and wake whoever waits."""
        while (event := self._engine.next_event()) is not None:
            self._events.append(event)
        data = before + self._engine.data_to_send()
        if data and self._connected:
            write_now(self._wire, data)
        if self._engine.ended:
            self._hang_up()
        if self._events:
            self._wake()
        elif self._waiting is not None and self._replies != self._engine.replies:
            self._arm()
        self._replies = self._engine.replies

    def _wake(self) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)
        elif self._drained is not None:
            drained, self._drained = self._drained, None
            drained.callback(None)
        elif self.when_left is not None and self.ended:
            left, self.when_left = self.when_left, None
            left()

    def _hang_up(self) -> None:
        if not self._connected:
            return
        if not self._leaving:
            self._wire.abortConnection()
        elif self._closing is None:
            self._wire.loseConnection()
            self._closing = self._clock.callLater(CLOSE_SECONDS, self._wire.abortConnection)

    def _arm(self) -> None:
        seconds = TIMEOUTS_SECONDS[self._engine.stage]
        if self._deadline is not None:
            seconds = max(0.0, min(seconds, self._deadline - self._clock.seconds()))
        self._timer_seconds = seconds
        if self._timer is not None and self._timer.active():
            self._timer.reset(seconds)
        else:
            self._timer = self._clock.callLater(seconds, self._timed_out)

    def _disarm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _timed_out(self) -> None:
        self._engine.timed_out(self._timer_seconds)
        self._advance()

    # What the transport calls.

    @override
    def connectionMade(self) -> None:
        self._wire = self.transport
        make_quick(self._wire)
        self._connected = True
        # Without it the message's last octets wait for the acknowledgment of those before.
        if not IUNIXTransport.providedBy(self._wire):
            self._wire.setTcpNoDelay(True)
        self._wire.registerProducer(self, True)

    @override
    def dataReceived(self, data: bytes) -> None:
        self._engine.receive(data)
        self._advance()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._connected = False
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self._lost_because = self._lost_because or why_lost(reason)
        self._engine.connection_lost(self._lost_because)
        self._advance()
        self._handshake.end()
        self._closed.callback(None)

    def handshakeCompleted(self) -> None:
        """TLS has begun."""
        self._handshake.end()

    def pauseProducing(self) -> None:
        """The transport's buffer is full: the server is not reading."""
        self._flowing = False

    def resumeProducing(self) -> None:
        """The server has read what there was."""
        self._flowing = True
        if self._drained is not None:
            drained, self._drained = self._drained, None
            drained.callback(None)

    def stopProducing(self) -> None:
        """The connection is gone; ``connectionLost`` follows."""


def why_lost(reason: Failure) -> str:
    """Why a connection was lost, in words."""
    error = reason.value
    if isinstance(error, ConnectionDone):
        return "it was closed by the other side"
    if isinstance(error, SSL.Error):
        details = error.args[0] if error.args else ()
        words = [str(part[-1]) for part in details if part] if isinstance(details, list | tuple) else []
        return "; ".join(words) or "TLS error"
    return str(error).strip().rstrip(".") or type(error).__name__
