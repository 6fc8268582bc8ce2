"""
One POP3 connection, from the greeting to the last octet (RFC 1939).

The class is Twisted's ``pop3.POP3`` by contract: a cred portal gives it an ``IMailbox``, and ``authenticateUserPASS`` may be
overridden. The wire is not its own: octets go to the engine of :mod:`hermes.protocols.pop3.server`, whose events are answered
here and in :mod:`hermes.services.pop3_transaction`, one at a time, in strict turns.

What a client has marked is deleted when it says QUIT and never else (RFC 1939 6). A connection that drops, is silent for too
long or is ended from here leaves the mailbox as it was.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.cred.error import LoginDenied, UnauthorizedLogin
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.mail import pop3
from twisted.python.failure import Failure
from typing_extensions import override

from hermes.core.event import Kind
from hermes.core.outcome import PASS, Verdict
from hermes.interfaces import MailboxInUseError, TooBusyError
from hermes.net import tls
from hermes.net.peer import is_loopback, peer_of
from hermes.net.shielded import shielded
from hermes.net.turns import Turns
from hermes.protocols.pop3 import events
from hermes.protocols.pop3.events import Response, accepted, refused
from hermes.protocols.pop3.parameters import ServerParameters
from hermes.protocols.pop3.server import POP3Server
from hermes.protocols.sasl import Credentials, KeysWanted, Proof, ServerPart
from hermes.protocols.sasl_mechanisms import WITH_KEYS, WITH_PASSWORD
from hermes.services.login_trace import Attempt, asks_for_another, login_event
from hermes.services.pop3_maildrop import Maildrop, open_maildrop
from hermes.services.pop3_trace import SessionTrace
from hermes.services.pop3_transaction import Transaction
from hermes.services.scram_login import ScramLogin

if TYPE_CHECKING:
    from hermes.services.pop3_server import POP3ServerFactory

#: How long a wrong password waits for its answer. Reading is paused meanwhile, so guessing in a pipeline is as slow; and it is
#: the same for names that do not exist.
WRONG_PASSWORD_SECONDS = 1.0

#: A client that does not take the last words, or does not close, is not waited for longer than this.
LINGER_SECONDS = 30.0

_WRONG = refused("wrong name or password", "AUTH")
_IN_USE = refused("another session has the mailbox open", "IN-USE")
_BUSY = refused("too many are logging in, try again later", "SYS/TEMP")
_FAULT = refused("something went wrong here, try again later", "SYS/TEMP")
_NO_BINDING = refused("this connection has no such channel binding")
_FOR_ANOTHER = _WRONG, Verdict(None, "login.authorization", "asked to act as somebody else")
_LEFT = Verdict(None, "login.left", "the client left before its answer")
_NO_LOGIN = _FAULT, Verdict(None, "login.fault")
_NOT_DELETED = "the marked messages could not be removed"

_T = TypeVar("_T")


class POP3Session(pop3.POP3):
    """A client's session; ``factory`` holds what all sessions share."""

    _log = Logger()
    _engine: POP3Server
    _turns: Turns
    # A stream transport, with or without TLS: no one interface of Twisted says so.
    transport: Any

    def __init__(self, factory: POP3ServerFactory) -> None:
        # Twisted's class has these two as None and says no more of them.
        self.factory = factory  # type: ignore[assignment]
        self.portal = factory.portal  # type: ignore[assignment]
        self._server = factory
        self.peer = ""
        self._clock = factory.clock
        self._admitted = False
        self._lingers = False
        self._scram = ScramLogin(factory.scram)
        self._maildrop: Maildrop | None = None
        self._transaction: Transaction | None = None
        self._since = 0.0
        self._commands = 0
        self._errors = 0
        self._leaving = False
        self._connected = True
        self._unfinished = 0
        self._ending: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None

    # The connection.

    @override
    def connectionMade(self) -> None:
        factory = self._server
        settings = factory.settings
        self.peer = peer_of(self.transport)
        self._since = self._clock.seconds()
        self._trace = SessionTrace(factory.journal, self._clock, self.peer)
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
        parameters = ServerParameters(
            hostname=factory.hostname,
            stls=factory.tls is not None,
            mechanisms=(*(WITH_KEYS if factory.scram is not None else ()), *WITH_PASSWORD),
            login_in_clear=settings.auth_without_tls == "loopback" and is_loopback(self.peer),
        )
        self._engine = POP3Server(parameters, tls=factory.implicit_tls)
        self._turns = Turns(
            self.transport,
            self._engine,
            self._clock,
            respond=self._respond,
            failed=self._failed,
            timed_out=self.timeoutConnection,
            idle_seconds=settings.timeout,
        )
        self._turns.start()
        # RFC 1939 3 speaks of silence. Who talks that long without logging in is not going to.
        self._timer = self._clock.callLater(settings.timeout, self.timeoutConnection)
        self._turns.write(self._engine.greeting())

    def _turn_away(self, verdict: Verdict, last_words: bytes) -> None:
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
            self._lingers = self._server.turned_away.may_linger()
            if not self._lingers:
                self.transport.abortConnection()
                return
        self.transport.write(last_words)
        self._lose_connection()

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._admitted:
            self._turns.received(data)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._connected = False
        self._stop_timer()
        if self._admitted:
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
        if self._turns.idle and not self._turns.stopped:
            self._close()

    def describe(self) -> dict[str, object]:
        """What the session is doing, for the administrator; ``since`` is in seconds since the epoch."""
        return {
            "service": "pop3",
            "peer": self.peer,
            "listener": self._server.listener,
            "account": self._maildrop.account if self._maildrop is not None else "",
            "tls": tls.describe(self.transport),
            "state": "closing" if self._turns.stopped else self._engine.state.value,
            "since": self._since,
            "commands": self._commands,
        }

    def _close(self) -> None:
        """Send what there is to send and close."""
        self._turns.finish()
        self._lose_connection()

    def _lose_connection(self) -> None:
        self._stop_timer()
        self._release()
        self._timer = self._clock.callLater(LINGER_SECONDS, self.transport.abortConnection)
        # Under TLS the end is a dialogue; a connection that is not read would never come to it.
        self.transport.resumeProducing()
        self.transport.loseConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    # The mailbox is given back, whatever happens.

    def _release(self) -> None:
        maildrop, self._maildrop = self._maildrop, None
        if maildrop is not None:
            self._ending = shielded(self._counted(maildrop.release()), "giving a mailbox back")
        self._forget()

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

    # Answers.

    async def _respond(self, event: events.Event) -> None:
        self._commands += 1
        try:
            await self._answer(event)
        except CancelledError:
            raise
        except Exception:
            self._log.failure("A command of {peer} could not be answered: {event}", peer=self.peer, event=type(event))
            self._apologize()
        if self._leaving and not self._turns.stopped:
            self._close()

    async def _answer(self, event: events.Event) -> None:
        match event:
            case events.Answered():
                self._turns.write(event.octets)
            case events.Refused():
                self._refuse(event.response)
            case KeysWanted():
                await self._challenge(event)
            case Credentials() | Proof():
                await self._log_in(event)
            case events.StartTLS():
                await self._start_tls()
            case events.Quit():
                await self._quit()
            case _:
                # The engine lets these pass only after a login.
                assert self._transaction is not None
                await self._transaction.answer(event)

    def _reply(self, response: Response) -> None:
        self._turns.write(self._engine.reply(response))

    def _refuse(self, response: Response) -> None:
        self._errors += 1
        if self._errors < self._server.settings.max_errors:
            self._reply(response)
        else:
            self._reply(refused("too many errors, goodbye"))
            self._close()

    def _apologize(self) -> None:
        """After a fault of ours the client may try again; but when half an answer is out, it must not look whole."""
        if self._engine.awaits_reply:
            self._reply(_FAULT)
        else:
            self._turns.finish()
            self.transport.abortConnection()

    def _failed(self, failure: Failure) -> None:
        self._log.failure("The session of {peer} failed", failure, peer=self.peer)
        self._turns.finish()
        self.transport.abortConnection()

    async def _start_tls(self) -> None:
        assert self._server.tls is not None
        context_factory = self._server.tls.context_factory()
        self._reply(accepted("go ahead with TLS"))
        # That is the last thing said in the clear. From here on nothing may wait, or what arrives meanwhile would count.
        await self._turns.written()
        self._engine.tls_started()
        self.transport.startTLS(context_factory)

    # Logging in.

    async def _challenge(self, wanted: KeysWanted) -> None:
        """Go on with an exchange that proves a password, or end it."""
        part = await self._server_part(wanted)
        if isinstance(part, ServerPart):
            self._turns.write(self._engine.challenge(part))
        else:
            await self._settle(wanted, *part)

    async def _server_part(self, wanted: KeysWanted) -> ServerPart | tuple[Response, Verdict]:
        allowed = self._server.gate.login_verdict(self.peer)
        if allowed.reply is not None:
            return refused(allowed.reply.text, "SYS/TEMP"), allowed
        binding = tls.channel_binding(self.transport, wanted.binding) if wanted.binding else b""
        if binding is None:
            return _NO_BINDING, Verdict(None, "auth.channel_binding")
        if asks_for_another(wanted):
            return _FOR_ANOTHER
        return await self._scram.part(wanted, binding) or _NO_LOGIN

    async def _log_in(self, attempt: Credentials | Proof) -> None:
        try:
            response, verdict = await self._judge(attempt)
        except CancelledError:
            # The check was made all the same, or is under way: were it not counted, hashing would be free for who leaves.
            self._server.gate.login_failed(self.peer)
            self._record_login(attempt, _WRONG, _LEFT)
            raise
        await self._settle(attempt, response, verdict)

    async def _settle(self, attempt: Attempt, response: Response, verdict: Verdict) -> None:
        """Record a login and answer it; a wrong one counts and waits."""
        self._record_login(attempt, response, verdict)
        if response is _WRONG:
            self._server.gate.login_failed(self.peer)
            await deferLater(self._clock, WRONG_PASSWORD_SECONDS)
        if response.positive:
            self._stop_timer()
            self._reply(response)
        else:
            self._refuse(response)

    def _record_login(self, attempt: Attempt, response: Response, verdict: Verdict) -> None:
        account = self._maildrop.account if response.positive and self._maildrop is not None else None
        now, used = self._clock.seconds(), tls.describe(self.transport)
        self._server.journal.record(login_event(now, "pop3", self.peer, used, attempt, verdict, account))

    async def _judge(self, attempt: Credentials | Proof) -> tuple[Response, Verdict]:
        allowed = self._server.gate.login_verdict(self.peer)
        if allowed.reply is not None:
            return refused(allowed.reply.text, "SYS/TEMP"), allowed
        if isinstance(attempt, Proof):
            proved = self._scram.proved(attempt)
            if proved is None:
                return _WRONG, Verdict(None, "login.wrong", attempt.reason)
            login = maybeDeferred(self._server.portal.login, proved, None, pop3.IMailbox)
        elif asks_for_another(attempt):
            return _FOR_ANOTHER
        else:
            name, password = attempt.name.encode("utf-8"), attempt.password.encode("utf-8")
            login = maybeDeferred(self.authenticateUserPASS, name, password)
        try:
            await shielded(self._counted(self._take_maildrop(login, attempt.name)), "opening a mailbox")
        except CancelledError:
            raise
        except (UnauthorizedLogin, LoginDenied):
            return _WRONG, Verdict(None, "login.wrong")
        except MailboxInUseError:
            return _IN_USE, Verdict(None, "login.in_use")
        except TooBusyError:
            return _BUSY, Verdict(None, "login.busy")
        except Exception:
            self._log.failure("A login from {peer} could not be judged", peer=self.peer)
            return _NO_LOGIN
        return accepted("mailbox open"), PASS

    async def _take_maildrop(self, login: Deferred[Any], name: str) -> None:
        try:
            maildrop = await open_maildrop(login, name, self._server.reader)
        except (UnauthorizedLogin, LoginDenied, MailboxInUseError, TooBusyError):
            if self._turns.stopped:
                # The client has left, and a refusal that nobody hears is no fault.
                return
            raise
        self._maildrop = maildrop
        self._transaction = Transaction(maildrop, self._engine, self._turns, self._clock, self._trace.retrieved)
        if self._turns.stopped:
            # The client has left in the meantime.
            self._release()

    # The end.

    async def _quit(self) -> None:
        response = accepted("goodbye")
        maildrop, self._maildrop = self._maildrop, None
        if maildrop is not None:
            try:
                # RFC 1939 6: it is done even if the client does not wait for the answer.
                failed = await shielded(self._counted(self._update(maildrop)), "updating a mailbox")
            except CancelledError:
                raise
            except Exception:
                self._log.failure("The mailbox of {account} could not be updated", account=maildrop.account)
                response = refused(_NOT_DELETED, "SYS/TEMP")
            else:
                if failed:
                    response = refused(f"{failed} of {_NOT_DELETED}", "SYS/TEMP")
        self._reply(response)
        self._close()

    async def _update(self, maildrop: Maildrop) -> int:
        """Carry out the deletions and give the mailbox back; how many messages could not be deleted."""
        try:
            failed = await maildrop.mailbox.update()
            await self._trace.deleted(maildrop, maildrop.deleted.difference(failed))
        finally:
            # Before the answer: a client that comes back at once finds the mailbox free.
            await maildrop.release()
        return len(failed)
