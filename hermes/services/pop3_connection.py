"""
A POP3 connection as such: how it begins, what limits it, how it ends. What is said on it is in ``pop3_session``.

A front end may stand before it and say by the PROXY protocol whose connection it is (:mod:`hermes.services.front_end`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.mail import pop3
from twisted.python.failure import Failure
from typing_extensions import override

from hermes.core.event import Kind
from hermes.core.outcome import Verdict
from hermes.net import tls
from hermes.net.peer import within
from hermes.net.prompt import lose_now
from hermes.net.shielded import shielded
from hermes.net.turns import Turns
from hermes.protocols.pop3 import events
from hermes.protocols.pop3.events import refused
from hermes.protocols.pop3.server import POP3Server
from hermes.services.front_end import Fronted
from hermes.services.logins import Logins
from hermes.services.pop3_maildrop import Maildrop
from hermes.services.pop3_submission import Submission
from hermes.services.pop3_trace import SessionTrace
from hermes.services.pop3_transaction import Transaction
from hermes.services.transcripts import Scribe

if TYPE_CHECKING:
    from hermes.services.pop3_server import POP3ServerFactory

#: A client that does not take the last words, or does not close, is not waited for longer than this.
LINGER_SECONDS = 30.0

#: How long a wrong password waits for its answer at least. Reading is paused meanwhile, so guessing in a pipeline is as slow; and
#: it is the same for names that do not exist.
WRONG_PASSWORD_SECONDS = 1.0

_T = TypeVar("_T")


class POP3Connection(Fronted, pop3.POP3):
    """One connection, from its first octet to its last; ``factory`` holds what all sessions share."""

    _log = Logger()
    _engine: POP3Server
    _turns: Turns
    # A stream transport, with or without TLS: no one interface of Twisted says so.
    transport: Any

    def __init__(self, factory: POP3ServerFactory) -> None:
        super().__init__()
        # Twisted's class has these two as None and says no more of them.
        self.factory = factory  # type: ignore[assignment]
        self.portal = factory.portal  # type: ignore[assignment]
        self._server = factory
        self._clock = factory.clock
        self._admitted = False
        self._lingers = False
        self._maildrop: Maildrop | None = None
        self._transaction: Transaction | None = None
        self._submission: Submission | None = None
        self._since = 0.0
        self._commands = 0
        self._errors = 0
        self._leaving = False
        self._connected = True
        self._unfinished = 0
        self._ending: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None

    @abstractmethod
    async def _respond(self, event: events.Event) -> None:
        """Answer one event of the engine."""

    # The connection.

    @override
    def connectionMade(self) -> None:
        server, settings = self._server, self._server.settings
        self._since = self._clock.seconds()
        front_ends = settings.front_ends if settings.proxy_protocol else ()
        self._arrive(self._clock, server.gate, server.sessions, lambda peer: within(peer, front_ends))

    @override
    def _not_introduced(self, verdict: Verdict) -> None:
        assert verdict.reply is not None
        self._trace = SessionTrace(self._server.journal, self._clock, self.peer)
        self._turn_away(verdict, refused(verdict.reply.text, "SYS/TEMP").encode(), tls_begun=False)

    @override
    def _begin(self) -> None:
        factory = self._server
        settings = factory.settings
        self._trace = SessionTrace(factory.journal, self._clock, self.peer, self.via)
        if factory.implicit_tls and factory.tls is not None and tls.describe(self.transport) is None:
            # The listener has not put it there: nothing is ever said in the clear where TLS comes first (RFC 8314 3).
            self.transport.startTLS(factory.tls.context_factory())
        verdict = factory.gate.admit(self.peer)
        if verdict.reply is not None:
            # RFC 3206 4: whether it is worth trying again.
            code = "SYS/PERM" if verdict.reply.is_permanent else "SYS/TEMP"
            self._turn_away(verdict, refused(verdict.reply.text, code).encode())
            return
        self._admitted = True
        factory.sessions.add(self)
        self._logins = Logins(
            "pop3",
            factory.gate,
            factory.journal,
            self._clock,
            self.peer,
            self.via,
            factory.scram,
            lambda failures: WRONG_PASSWORD_SECONDS,
        )
        in_clear = factory.login_in_clear(self.peer)
        self._engine = POP3Server(factory.parameters(login_in_clear=in_clear), tls=factory.implicit_tls)
        self._turns = Turns(
            self.transport,
            self._engine,
            self._clock,
            respond=self._respond,
            failed=self._failed,
            timed_out=self.timeoutConnection,
            idle_seconds=settings.timeout,
        )
        self._scribe = Scribe(factory.transcripts, "pop3", factory.listener, self, self._engine, self._turns)
        self._scribe.begin()
        self._turns.start()
        # RFC 1939 3 speaks of silence. Who talks that long without logging in is not going to.
        self._timer = self._clock.callLater(settings.timeout, self.timeoutConnection)
        self._turns.write(self._engine.greeting())

    def _turn_away(self, verdict: Verdict, last_words: bytes, *, tls_begun: bool = True) -> None:
        unrecorded = self._server.turned_away.record(self._clock.seconds())
        if unrecorded is not None:
            self._trace.record(
                Kind.REFUSED,
                rule=verdict.rule,
                reason=verdict.reason or None,
                reply=last_words.decode("ascii").strip(),
                command="connect",
                listener=self._server.listener,
                unrecorded=unrecorded or None,
            )
        if self._server.implicit_tls:
            # Before TLS a word would only look like broken TLS.
            self._lingers = tls_begun and self._server.turned_away.may_linger()
            if not self._lingers:
                self.transport.abortConnection()
                return
        self.transport.write(last_words)
        self._lose_connection()

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._admitted:
            self._turns.received(data)
        elif self._introduction is not None:
            self._introduction.received(data)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._connected = False
        self._stop_timer()
        if tls.is_tls_fault(reason):
            self._server.gate.tls_failed()
        self._leave_waiting_room()
        if self._admitted:
            self._scribe.close(reason.getErrorMessage())
            self._turns.stop()
            self._release()
            self._server.gate.left(self.peer)
        elif self._lingers:
            self._server.turned_away.gone()

    @override
    def timeoutConnection(self) -> None:
        """Close without an answer and without deleting anything (RFC 1939 3)."""
        self._turns.stop()
        self._lose_connection()

    def shut_down(self) -> None:
        """
        End the session now, or when the answer that is on its way has been given; nothing is deleted.

        There are no words for it: a client takes whatever comes for the answer to its next command.
        """
        self._leaving = True
        if self._introduction is not None:
            self.transport.abortConnection()
        elif self._turns.idle and not self._turns.stopped and not self._receiving:
            self._close()

    def describe(self) -> dict[str, object]:
        """What the session is doing, for the administrator; ``since`` is in seconds since the epoch."""
        return {
            "service": "pop3",
            "peer": self.peer,
            "via": self.via or None,
            "listener": self._server.listener,
            "account": self._maildrop.account if self._maildrop is not None else "",
            "tls": tls.describe(self.transport),
            "state": self._state(),
            "since": self._since,
            "commands": self._commands,
        }

    @property
    def _receiving(self) -> bool:
        """True while a message comes in."""
        return self._submission is not None and self._submission.receiving

    def _state(self) -> str:
        if self._introduction is not None:
            return "header"
        if self._receiving and not self._turns.stopped:
            return "message"
        return "closing" if self._turns.stopped else self._engine.state.value

    def _close(self) -> None:
        """Send what there is to send and close."""
        self._turns.finish()
        self._lose_connection()

    def _lose_connection(self) -> None:
        self._stop_timer()
        self._release()
        self._timer = self._clock.callLater(LINGER_SECONDS, self.transport.abortConnection)
        lose_now(self.transport)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    # The mailbox is given back, whatever happens.

    def _release(self) -> None:
        maildrop, self._maildrop = self._maildrop, None
        if self._submission is not None:
            self._submission.lost()
        if maildrop is not None:
            self._ending = shielded(self._counted(self._give_back(maildrop)), "giving a mailbox back")
        self._forget()

    @abstractmethod
    async def _give_back(self, maildrop: Maildrop) -> None:
        """Release a mailbox whose session was not ended by QUIT."""

    async def _counted(self, work: Coroutine[Deferred[Any], Any, _T]) -> _T:
        """Keep the session among those of the factory, which are waited for when the server stops, until work is done."""
        self._unfinished += 1
        try:
            return await work
        finally:
            self._unfinished -= 1
            self._forget()

    def _forget(self) -> None:
        if not self._connected and not self._unfinished:
            self._server.sessions.discard(self)

    # Faults.

    def _failed(self, failure: Failure) -> None:
        self._log.failure("The session of {peer} failed", failure, peer=self.peer)
        self._turns.finish()
        self.transport.abortConnection()
