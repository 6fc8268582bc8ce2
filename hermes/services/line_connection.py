"""
A connection of one of the small servers (passwords, finger, phone book): how it begins, what limits it, how it ends.

Historically these were the servers with the holes. Here each has an engine that reads bounded lines, strict turns, the gate that
all servers share, an end to silence and an end to every session, however busy.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from hermes.core.event import Event, Kind
from hermes.core.outcome import Verdict
from hermes.interfaces import IGate, IJournal, IServerTLS
from hermes.net import tls
from hermes.net.peer import peer_of
from hermes.net.turns import Engine, Turns
from hermes.services.turned_away import TurnedAway

#: A peer that does not take the last words, or does not close, is not waited for longer than this.
LINGER_SECONDS = 10.0

#: The longest session of any of these protocols: a dialogue of a few lines.
SESSION_SECONDS = 600.0


@attrs.frozen
class LineServer:
    """
    What the sessions of one listener of a small server share.

    ``service`` is its name in log and trace, ``listener`` its place; with ``implicit_tls`` TLS comes first.
    """

    service: str
    listener: str
    clock: IReactorTime
    gate: IGate
    journal: IJournal
    tls: IServerTLS | None
    implicit_tls: bool
    idle_seconds: float
    sessions: set[LineConnection] = attrs.field(factory=set)
    turned_away: TurnedAway = attrs.field(factory=TurnedAway)


#: Stands behind the last event of a client that has said all, and may still be listening.
_SAID_ALL = object()


class _Script:
    """An engine, and whether there will be more for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.complete = False

    def receive(self, data: bytes) -> None:
        """Take octets from the client."""
        self._engine.receive(data)

    def next_event(self) -> Any | None:
        """The next thing that the client said."""
        event = self._engine.next_event()
        return _SAID_ALL if event is None and self.complete else event


@implementer(IHalfCloseableProtocol)
class LineConnection(Protocol):
    """
    One connection; what is said on it is for subclasses to say.

    A client may close its side when it has said all, as programs do that are fed from a file: it hears the answers, and then that
    is the end.
    """

    _log = Logger()
    # A stream transport, with or without TLS: no one interface of Twisted says so.
    transport: Any

    def __init__(self, server: LineServer) -> None:
        self.peer = ""
        self._server = server
        self._turns: Turns | None = None
        self._script: _Script | None = None
        self._timer: IDelayedCall | None = None
        self._lingers = False
        self._since = 0.0
        self._commands = 0
        self._leaving = False

    @abstractmethod
    def _begin(self) -> Engine:
        """The engine of a session that has been let in."""

    @abstractmethod
    def _greet(self) -> None:
        """Say the first words, where the protocol has some."""

    @abstractmethod
    async def _answer(self, event: Any) -> None:
        """Answer one event of the engine."""

    @abstractmethod
    def _no(self, verdict: Verdict) -> bytes:
        """A refusal in the words of the protocol."""

    @property
    def account(self) -> str:
        """Who has logged in; empty where nobody has."""
        return ""

    # How it begins.

    @override
    def connectionMade(self) -> None:
        server = self._server
        self.peer = peer_of(self.transport)
        self._since = server.clock.seconds()
        if server.implicit_tls and server.tls is not None:
            self.transport.startTLS(server.tls.context_factory())
        verdict = server.gate.admit(self.peer)
        if verdict.reply is not None:
            self._turn_away(verdict)
            return
        server.sessions.add(self)
        script = self._script = _Script(self._begin())
        turns = self._turns = Turns(
            self.transport,
            script,
            server.clock,
            respond=self._respond,
            failed=self._failed,
            timed_out=self._end,
            idle_seconds=server.idle_seconds,
        )
        turns.start()
        self._timer = server.clock.callLater(SESSION_SECONDS, self._end)
        self._greet()

    def _turn_away(self, verdict: Verdict) -> None:
        server = self._server
        self.record_refusal(verdict, "connect")
        if server.implicit_tls:
            # Before TLS a word would only look like broken TLS.
            self._lingers = server.turned_away.may_linger()
            if not self._lingers:
                self.transport.abortConnection()
                return
        self.transport.write(self._no(verdict))
        self._lose_connection()

    # What is said.

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._turns is not None:
            self._turns.received(data)

    def readConnectionLost(self) -> None:  # noqa: N802 - Twisted's name
        """The client has said all."""
        if self._turns is not None and self._script is not None:
            self._script.complete = True
            self._turns.proceed()

    def writeConnectionLost(self) -> None:  # noqa: N802 - Twisted's name
        """It hears nothing any more: the transport says so by :meth:`connectionLost`."""

    async def _respond(self, event: Any) -> None:
        if event is _SAID_ALL:
            self._end()
            return
        self._commands += 1
        await self._answer(event)
        if self._leaving:
            self._end()

    def _say(self, octets: bytes) -> None:
        assert self._turns is not None
        self._turns.write(octets)

    def record(self, kind: Kind, address: str, facts: Mapping[str, str | int | float | bool | None]) -> None:
        """Put a fact of this session into the trace."""
        server = self._server
        known = {"service": server.service, "peer": self.peer, "tls": tls.describe(self.transport), **facts}
        server.journal.record(Event(server.clock.seconds(), kind, address=address, facts=known))

    def record_refusal(self, verdict: Verdict, command: str) -> None:
        """Put a refusal into the trace, unless a flood of them has filled this minute's share: those are counted."""
        server = self._server
        unrecorded = server.turned_away.record(server.clock.seconds())
        if unrecorded is not None:
            told = {"rule": verdict.rule, "reason": verdict.reason or None, "command": command}
            self.record(Kind.REFUSED, "", {**told, "unrecorded": unrecorded or None, "listener": server.listener})

    def describe(self) -> dict[str, object]:
        """What the session is doing, for the administrator; ``since`` is in seconds since the epoch."""
        return {
            "service": self._server.service,
            "peer": self.peer,
            "listener": self._server.listener,
            "account": self.account,
            "tls": tls.describe(self.transport),
            "state": "closing" if self._turns is None or self._turns.stopped else "ready",
            "since": self._since,
            "commands": self._commands,
        }

    # How it ends.

    def shut_down(self) -> None:
        """End the session now, or when the answer that is on its way has been given."""
        self._leaving = True
        if self._turns is not None and self._turns.idle:
            self._end()

    def _end(self) -> None:
        """Send what there is to send, and close."""
        if self._turns is not None and not self._turns.stopped:
            self._turns.finish()
            self._lose_connection()

    def _failed(self, failure: Failure) -> None:
        self._log.failure(
            "The {service} session of {peer} failed", failure, service=self._server.service, peer=self.peer
        )
        self._end()

    def _lose_connection(self) -> None:
        self._stop_timer()
        self._timer = self._server.clock.callLater(LINGER_SECONDS, self.transport.abortConnection)
        # Under TLS the end is a dialogue; a connection that is not read would never come to it.
        self.transport.resumeProducing()
        self.transport.loseConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_timer()
        if tls.is_tls_fault(reason):
            self._server.gate.tls_failed()
        if self._turns is not None:
            self._turns.stop()
            self._server.sessions.discard(self)
            self._server.gate.left(self.peer)
        elif self._lingers:
            self._server.turned_away.gone()
