"""
An SMTP connection as such: how it begins, what limits it, how it ends. What is said on it is in ``smtp_session``.

Twisted's ``smtp.ESMTP`` is the contract: portal, deliveries and the class a Twisted programmer knows. The wire is not its
own: octets go to the sans-IO engine, whose events are answered one at a time, in strict turns (:mod:`hermes.net.turns`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import attrs
from twisted.cred.portal import Portal
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.mail import smtp
from twisted.python.failure import Failure
from typing_extensions import override

from hermes.core.envelope import Recipient
from hermes.core.event import Event, Kind
from hermes.core.outcome import Then, Verdict
from hermes.core.reply import Reply
from hermes.net.peer import UNKNOWN_PEER, normal
from hermes.net.prompt import lose_now
from hermes.net.tls import is_tls_fault
from hermes.net.turns import Turns
from hermes.protocols.smtp import events
from hermes.protocols.smtp.barred import Barred
from hermes.protocols.smtp.parameters import ServerParameters
from hermes.protocols.smtp.server import SMTPServer
from hermes.services.front_end import Fronted
from hermes.services.session_checks import SessionChecks
from hermes.services.smtp_context import SessionContext, TLSStream
from hermes.services.smtp_intake import Intake
from hermes.services.smtp_login import Login
from hermes.services.transcripts import Scribe

#: A peer that does not take its last reply is not waited for longer than this.
LINGER_SECONDS = 30

#: A peer that is refused for good has this long to say QUIT (RFC 5321 3.1): what a slow one needs for it, and no more.
BARRED_SECONDS = 60

#: How often a session that has lasted too long looks whether it is its peer's turn.
EXPIRED_SECONDS = 1

#: Recipients of one refused message that have an event each. People write to fewer; thousands, refused again and again, would
#: fill the trace with thirty times the octets that they cost the client.
MAX_RECORDED_RECIPIENTS = 20

#: What a session ends with in which too much was refused.
TOO_MANY_ERRORS = Reply.of(421, "4.7.0", "Too many errors: goodbye")
_TOO_LONG = Verdict(Reply.of(421, "4.7.0", "The session has lasted too long: goodbye"), "session.session_time")
_TOO_SLOW = Verdict(Reply.of(421, "4.4.2", "Nothing was heard for too long: goodbye"), "session.timeout")
_SHUTTING_DOWN = Reply.of(421, "4.3.2", "The server is shutting down: come again later")
_BROKEN = Verdict(Reply.of(421, "4.3.0", "Something went wrong here: come again later"), "fault.session")
_LOST = Verdict(None, "session.lost", "the connection was lost before the message was whole")


class SMTPConnection(Fronted, smtp.ESMTP):
    """One connection, from its first octet to its last."""

    _log = Logger()

    transport: TLSStream  # type: ignore[assignment]
    portal: Portal | None  # type: ignore[assignment]

    def __init__(self, context: SessionContext) -> None:
        Fronted.__init__(self)
        smtp.ESMTP.__init__(self)
        self.host = context.hostname
        self.portal = context.portal
        self._context = context
        self._clock = context.clock
        self._intake = Intake()
        self._commands = 0
        self._errors = 0
        self._since = 0.0
        self._tls: str | None = None
        self._front_end = False
        self._counted = False
        self._closing = False
        self._lingers = False
        self._goodbye: Reply | None = None
        # The last refusal, while what follows from it has not been done, and the one that is said until QUIT.
        self._refused_by: Verdict | None = None
        self._shunned: Reply | None = None
        self._last_word = False
        self._timer: IDelayedCall | None = None
        # Set once the gate has let the peer in; what is received without it is not looked at.
        self._turns: Turns | None = None
        # Set while one who was not let in is waited for until QUIT.
        self._barred: Barred | None = None

    @abstractmethod
    async def _respond(self, event: events.Event) -> None:
        """Answer one event of the engine."""

    # How it begins.

    @override
    def connectionMade(self) -> None:
        context = self._context
        self._since = self._clock.seconds()
        wanted = context.settings.proxy_protocol
        self._arrive(self._clock, context.gate, context.sessions, lambda peer: wanted and context.believes(peer))

    @override
    def _not_introduced(self, verdict: Verdict) -> None:
        self._turn_away(verdict, tls_begun=False)

    @override
    def _begin(self) -> None:
        context = self._context
        if context.implicit_tls and context.server_tls is not None:
            self.transport.startTLS(context.server_tls.context_factory())
        verdict = self._admit()
        if verdict.reply is not None:
            self._turn_away(verdict)
            return
        context.sessions.add(self)
        self._front_end = context.believes(self.peer)
        self._login = self._new_login()
        self._engine = SMTPServer(self._parameters())
        if context.implicit_tls:
            self._engine.tls_started()
        self._turns = Turns(
            self.transport,
            self._engine,
            self._clock,
            respond=self._respond,
            failed=self._failed,
            timed_out=self.timeoutConnection,
            idle_seconds=context.settings.timeout,
        )
        self._scribe = Scribe(context.transcripts, "smtp", context.listener, self, self._engine, self._turns)
        self._scribe.begin()
        self._turns.start()
        self._timer = self._clock.callLater(context.settings.session_time, self._expired)
        self._turns.write(self._engine.greeting(context.greeting))

    def _admit(self) -> Verdict:
        """Ask the gate, and then the checks; who passes is counted, and its visit begins."""
        context = self._context
        verdict = context.gate.admit(self.peer)
        if verdict.accepted:
            visit = context.visit_of(self.peer)
            visit.via, visit.listener = self.via, context.listener
            visit.submission = context.flavor is events.Flavor.SUBMISSION
            self._checks = SessionChecks(context.policy, visit)
            verdict = self._checks.connect()
            self._counted = verdict.accepted
            if not verdict.accepted:
                context.gate.left(self.peer)
        return verdict

    def _new_login(self) -> Login:
        context = self._context
        return Login(self.portal, context.gate, context.journal, self._clock, self, self.peer, self.via, context.scram)

    def _parameters(self) -> ServerParameters:
        parameters = self._context.parameters(self.peer)
        return attrs.evolve(parameters, xclient=True) if self._front_end else parameters

    def _become(self, address: str) -> Verdict:
        """The front end says who its client is: from here on that is the peer, if the gate lets it in. Nobody is logged in."""
        gate = self._context.gate
        gate.left(self.peer)
        self._counted = False
        self.via = self.via or self.peer
        self.peer = normal(address) if address else UNKNOWN_PEER
        self._login = self._new_login()
        # What others did wrong through the same connection was not this client's doing.
        self._errors = 0
        verdict = self._admit()
        self._scribe.begin()
        return verdict

    def _turn_away(self, verdict: Verdict, *, tls_begun: bool = True) -> None:
        """Say why nothing is done for the peer; under implicit TLS that can be said only once TLS has begun."""
        reply = verdict.reply
        assert reply is not None
        turned_away, implicit_tls = self._context.turned_away, self._context.implicit_tls
        vanish = verdict.then is Then.VANISH
        unrecorded = turned_away.record(self._clock.seconds())
        if unrecorded is not None:
            self._record(verdict, None if vanish else reply, "connect", unrecorded=unrecorded)
        if vanish:
            self.transport.abortConnection()
            return
        if implicit_tls or reply.is_permanent:
            # Before TLS a word would only look like broken TLS.
            self._lingers = tls_begun and turned_away.may_linger()
            if implicit_tls and not self._lingers:
                self.transport.abortConnection()
                return
        self.transport.write(reply.encode())
        # After 421 the server closes (RFC 5321 3.8), after 554 the client does (3.1).
        if reply.is_permanent and self._lingers:
            self._barred = Barred()
            self._timer = self._clock.callLater(BARRED_SECONDS, self._lose_connection)
        else:
            self._lose_connection()

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._turns is not None:
            self._turns.received(data)
        elif self._barred is not None:
            self._hear_barred(self._barred, data)
        elif self._introduction is not None:
            self._introduction.received(data)

    def _hear_barred(self, barred: Barred, data: bytes) -> None:
        was_over = barred.over
        self.transport.write(barred.receive(data))
        if barred.over and not was_over:
            self._lose_connection()

    # What is said about it.

    def describe(self) -> dict[str, object]:
        """What the session is doing, for the administrator."""
        return {
            "service": "smtp",
            "peer": self.peer,
            "via": self.via or None,
            "listener": self._context.listener,
            "hello": self._engine.hello_name if self._turns is not None else "",
            "account": self._login.name if self._turns is not None else "",
            "tls": self._tls,
            "state": self._state(),
            "since": self._since,
            "commands": self._commands,
            "queue_id": self._intake.queue_id,
        }

    def _state(self) -> str:
        if self._introduction is not None:
            return "header"
        if self._closing or self._turns is None:
            return "closing"
        if self._intake.receiving:
            return "message"
        return "transaction" if self._intake.transaction is not None else "ready"

    def _refuse(
        self,
        verdict: Verdict,
        command: str,
        addresses: Sequence[str] = (),
        reverse_path: str | None = None,
        own: Mapping[str, Verdict] | None = None,
    ) -> Reply:
        """Record a refusal and count it; the reply, which is the last one when there have been too many."""
        self._errors += 1
        self._checks.visit.errors = self._errors
        recipient = Recipient(addresses[0]) if command == "RCPT" and addresses else None
        verdict = self._checks.refused(verdict, self._engine.command, self._intake.transaction, recipient)
        self._refused_by = verdict
        reply = verdict.reply or _BROKEN.reply
        if self._errors >= self._context.settings.max_errors:
            reply = TOO_MANY_ERRORS
        assert reply is not None
        self._record(verdict, reply, command, addresses, reverse_path, own=own)
        return reply

    def _record(
        self,
        verdict: Verdict,
        reply: Reply | None,
        command: str,
        addresses: Sequence[str] = (),
        reverse_path: str | None = None,
        unrecorded: int = 0,
        own: Mapping[str, Verdict] | None = None,
    ) -> None:
        """
        Put a refusal into the trace: of a reverse-path that did not become a transaction, or of anything.

        Of recipients, or of a message that was for them, each has an event: that is how people look for it. Of very many
        only the first have one, and ``recipients`` tells how many there were. ``own`` has verdicts on single ones, where the
        reply is that for another.
        """
        facts: dict[str, str | int | float | bool | None] = {
            "rule": verdict.rule,
            "reason": verdict.reason or None,
            "reply": str(reply) if reply is not None else None,
            "command": command or None,
            "peer": self.peer,
            "listener": self._context.listener,
        }
        if self.via:
            facts["via"] = self.via
        if self._turns is not None:
            facts |= {"hello": self._engine.hello_name, "account": self._login.name or None, "tls": self._tls}
        if unrecorded:
            facts["unrecorded"] = unrecorded
        transaction = self._intake.transaction
        if transaction is not None:
            reverse_path = transaction.reverse_path
        if self._turns is not None:
            found = transaction.findings if transaction is not None else self._checks.visit.findings
            summary = found.summary()
            if summary:
                facts["checks"] = summary
        if verdict.place:
            facts["place"] = verdict.place
        now, queue_id = self._clock.seconds(), self._intake.queue_id
        if len(addresses) > MAX_RECORDED_RECIPIENTS:
            facts["recipients"] = len(addresses)
        for address in addresses[:MAX_RECORDED_RECIPIENTS] or ("",):
            judged = own.get(address) if own else None
            told = facts if judged is None else {**facts, "rule": judged.rule, "reason": judged.reason or None}
            self._context.journal.record(Event(now, Kind.REFUSED, queue_id, address, reverse_path, facts=told))

    # How it ends.

    @override
    def timeoutConnection(self) -> None:
        """The peer was silent, or did not read, for too long."""
        self._end(_TOO_SLOW)

    def shut_down(self) -> None:
        """The server stops: say so as soon as no command and no message is under way, and close."""
        if self._introduction is not None:
            self.transport.abortConnection()
        if self._turns is None or self._closing:
            return
        self._goodbye = _SHUTTING_DOWN
        if self._turns.idle and not self._intake.receiving:
            self._close(_SHUTTING_DOWN)

    def _expired(self) -> None:
        """The session has lasted too long: it ends with the command of the moment, or now when it is the peer's turn."""
        if self._turns is not None and self._turns.idle:
            self._end(_TOO_LONG)
        else:
            self._goodbye = _TOO_LONG.reply
            self._timer = self._clock.callLater(EXPIRED_SECONDS, self._expired)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("The session of {peer} failed", failure, peer=self.peer)
        self._end(_BROKEN)

    def _end(self, verdict: Verdict) -> None:
        """End the session by a rule."""
        assert verdict.reply is not None
        if self._intake.receiving:
            self._record(verdict, verdict.reply, "message", self._intake.addresses)
        else:
            self._record(verdict, verdict.reply, "session")
        self._close(verdict.reply)

    def _close(self, reply: Reply) -> None:
        """Say the last word and close."""
        if not self._closing and self._turns is not None:
            self._turns.write(self._engine.reply(reply))
            self._leave()

    def _vanish(self) -> None:
        """End the connection without a word."""
        if not self._closing and self._turns is not None:
            self._closing = True
            self._turns.finish()
            self._intake.drop()
            self.transport.abortConnection()

    def _leave(self) -> None:
        """Close; the last word has been said."""
        if self._closing or self._turns is None:
            return
        self._closing = True
        self._turns.finish()
        self._intake.drop()
        self._lose_connection()

    def _lose_connection(self) -> None:
        if self._barred is not None:
            self._barred.over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(LINGER_SECONDS, self.transport.abortConnection)
        lose_now(self.transport)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._leave_waiting_room()
        if self._turns is None:
            if self._lingers:
                self._context.turned_away.gone()
            return
        if not reason.check(ConnectionDone, ConnectionLost):
            # A TLS handshake that fails comes here too.
            if is_tls_fault(reason):
                self._context.gate.tls_failed()
            self._log.info("The connection of {peer} broke: {reason}", peer=self.peer, reason=reason.getErrorMessage())
        try:
            if self._intake.receiving:
                self._record(_LOST, None, "message", self._intake.addresses)
            self._scribe.close(reason.getErrorMessage())
            self._turns.stop()
            self._intake.drop()
            self._login.detach()
        finally:
            # Whatever went wrong, a connection that is gone is not counted any more.
            self._context.sessions.discard(self)
            if self._counted:
                self._context.gate.left(self.peer)
