"""
One POP3 connection, from the greeting to the last octet (RFC 1939).

The class is Twisted's ``pop3.POP3`` by contract: a cred portal gives it an ``IMailbox``, and ``authenticateUserPASS`` may be
overridden. The wire is not its own: octets go to the engine of :mod:`hermes.protocols.pop3.server`, whose events are answered
here and in :mod:`hermes.services.pop3_transaction`, one at a time, in strict turns.

What a client has marked is deleted when it says QUIT and never else (RFC 1939 6). A connection that drops, is silent for too
long or is ended from here leaves the mailbox as it was.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import attrs
from twisted.cred.error import LoginDenied, UnauthorizedLogin
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.mail import pop3

from hermes.core.login_constraint import ConstraintError, Constraints, split_name
from hermes.core.outcome import PASS, Verdict
from hermes.core.reading_profile import expiry_text
from hermes.interfaces import MailboxInUseError, TokenDeniedError, TooBusyError, UnavailableError
from hermes.net import tls
from hermes.net.shielded import shielded
from hermes.protocols.pop3 import events
from hermes.protocols.pop3.events import Response, accepted, refused
from hermes.protocols.sasl import Credentials, Digest, KeysWanted, Proof, ServerPart, TokenShown
from hermes.services.login_credentials import PasswordShown, credentials_of
from hermes.services.login_trace import Attempt, Shown, asks_for_another, login_event
from hermes.services.pop3_connection import POP3Connection
from hermes.services.pop3_maildrop import Maildrop, open_maildrop
from hermes.services.pop3_transaction import Transaction
from hermes.services.pop3_view import view_of

#: How long a wrong password waits for its answer. Reading is paused meanwhile, so guessing in a pipeline is as slow; and it is
#: the same for names that do not exist.
WRONG_PASSWORD_SECONDS = 1.0

_WRONG = refused("wrong name or password", "AUTH")
_IN_USE = refused("another session has the mailbox open", "IN-USE")
_BUSY = refused("too many are logging in, try again later", "SYS/TEMP")
_FAULT = refused("something went wrong here, try again later", "SYS/TEMP")
_NO_BINDING = refused("this connection has no such channel binding")
_FOR_ANOTHER = _WRONG, Verdict(None, "login.authorization", "asked to act as somebody else")
_LEFT = Verdict(None, "login.left", "the client left before its answer")
_NO_LOGIN = _FAULT, Verdict(None, "login.fault")
_NOT_DELETED = "the marked messages could not be removed"

_A = TypeVar("_A", bound=Attempt)


def _without_constraints(attempt: _A) -> tuple[_A, Constraints | None]:
    """The same login by the name alone, and what stood behind it; raise ConstraintError."""
    name, constraints = split_name(attempt.name)
    if constraints is None:
        return attempt, None
    if isinstance(attempt, Credentials | KeysWanted) and attempt.authorization == attempt.name:
        return attrs.evolve(attempt, name=name, authorization=name), constraints
    return attrs.evolve(attempt, name=name), constraints


class POP3Session(POP3Connection):
    """A client's session."""

    _log = Logger()
    #: What the login wants to see, where its name says so.
    _constraints: Constraints | None = None
    #: The password that was shown last, and what was found of it.
    _password: PasswordShown | None = None

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
            case KeysWanted() | Credentials() | Digest() | Proof() | TokenShown():
                await self._login_event(event)
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

    async def _start_tls(self) -> None:
        assert self._server.tls is not None
        context_factory = self._server.tls.context_factory()
        self._reply(accepted("go ahead with TLS"))
        # That is the last thing said in the clear. From here on nothing may wait, or what arrives meanwhile would count.
        await self._turns.written()
        self._engine.tls_started()
        self.transport.startTLS(context_factory)

    # Logging in.

    async def _login_event(self, event: Attempt) -> None:
        """Take the constraints off the name, then judge; counts and limits know the name alone."""
        try:
            event, self._constraints = _without_constraints(event)
        except ConstraintError as error:
            await self._settle(event, refused(str(error)), Verdict(None, "login.constraint", str(error)))
            return
        if isinstance(event, KeysWanted):
            await self._challenge(event)
        else:
            await self._log_in(event)

    async def _challenge(self, wanted: KeysWanted) -> None:
        """Go on with an exchange that proves a password, or end it."""
        part = await self._server_part(wanted)
        if isinstance(part, ServerPart):
            self._turns.write(self._engine.challenge(part))
        else:
            await self._settle(wanted, *part)

    async def _server_part(self, wanted: KeysWanted) -> ServerPart | tuple[Response, Verdict]:
        allowed = self._server.gate.login_verdict(self.peer, wanted.name)
        if allowed.reply is not None:
            return refused(allowed.reply.text, "SYS/TEMP"), allowed
        binding = tls.channel_binding(self.transport, wanted.binding) if wanted.binding else b""
        if binding is None:
            return _NO_BINDING, Verdict(None, "auth.channel_binding")
        if asks_for_another(wanted):
            return _FOR_ANOTHER
        return await self._scram.part(wanted, binding) or _NO_LOGIN

    async def _log_in(self, attempt: Shown) -> None:
        try:
            response, verdict = await self._judge(attempt)
        except CancelledError:
            # The check was made all the same, or is under way: were it not counted, hashing would be free for who leaves.
            self._server.gate.login_failed(self.peer, attempt.name)
            self._record_login(attempt, _WRONG, _LEFT)
            raise
        await self._settle(attempt, response, verdict)

    async def _settle(self, attempt: Attempt, response: Response, verdict: Verdict) -> None:
        """Record a login and answer it; a wrong one counts and waits."""
        self._record_login(attempt, response, verdict)
        if response is _WRONG:
            seconds = self._server.gate.login_failed(self.peer, attempt.name)
            await deferLater(self._clock, max(seconds, WRONG_PASSWORD_SECONDS))
        if response.positive:
            account = self._maildrop.account if self._maildrop is not None else attempt.name
            self._server.gate.login_succeeded(self.peer, attempt.name, account)
            self._stop_timer()
            assert self._maildrop is not None
            self._scribe.logged_in(self._maildrop.account)
            self._reply(response)
        elif verdict.rule == "login.token" and self._server.tokens is not None:
            # What the client answers ends the exchange with the refusal.
            self._turns.write(self._engine.challenge(attrs.evolve(self._server.tokens, status=self._token_fault)))
        else:
            self._refuse(response)

    def _record_login(self, attempt: Attempt, response: Response, verdict: Verdict) -> None:
        account = self._maildrop.account if response.positive and self._maildrop is not None else None
        now, used, app_password = self._clock.seconds(), tls.describe(self.transport), ""
        if account is not None and self._password is not None:
            app_password = self._password.app_password
        self._server.journal.record(
            login_event(now, "pop3", self.peer, used, attempt, verdict, account, self.via, app_password)
        )

    def authenticateUserPASS(self, user: bytes, password: bytes) -> Any:  # noqa: N802 - as Twisted calls it
        """As Twisted's; the portal is told besides what app passwords are judged by."""
        self._password = PasswordShown(user, password, "pop3", self.peer)
        return self._server.portal.login(self._password, None, pop3.IMailbox)

    async def _judge(self, attempt: Shown) -> tuple[Response, Verdict]:
        self._password = None
        allowed = self._server.gate.login_verdict(self.peer, attempt.name)
        if allowed.reply is not None:
            return refused(allowed.reply.text, "SYS/TEMP"), allowed
        if isinstance(attempt, Proof):
            proved = self._scram.proved(attempt)
            if proved is None:
                return _WRONG, Verdict(None, "login.wrong", attempt.reason)
            login = maybeDeferred(self._server.portal.login, proved, None, pop3.IMailbox)
        elif isinstance(attempt, TokenShown | Digest):
            login = maybeDeferred(self._server.portal.login, credentials_of(attempt, "pop3"), None, pop3.IMailbox)
        elif asks_for_another(attempt):
            return _FOR_ANOTHER
        else:
            name, password = attempt.name.encode("utf-8"), attempt.password.encode("utf-8")
            login = maybeDeferred(self.authenticateUserPASS, name, password)
        try:
            await shielded(self._counted(self._take_maildrop(login, attempt.name)), "opening a mailbox")
        except CancelledError:
            raise
        except (UnauthorizedLogin, LoginDenied) as error:
            return _WRONG, self._wrong(attempt, error)
        except MailboxInUseError:
            return _IN_USE, Verdict(None, "login.in_use")
        except TooBusyError:
            return _BUSY, Verdict(None, "login.busy")
        except UnavailableError as error:
            return _FAULT, Verdict(None, "login.unavailable", str(error))
        except Exception:
            self._log.failure("A login from {peer} could not be judged", peer=self.peer)
            return _NO_LOGIN
        assert self._maildrop is not None
        wait = self._server.login_times.seconds_to_wait(
            self._maildrop.account, self._clock.seconds(), self._server.settings.login_delay
        )
        if wait:
            # RFC 2449 8.1.1: not before the password was right, or it would tell who has a mailbox.
            maildrop, self._maildrop = self._maildrop, None
            await maildrop.release()
            return refused(f"log in again in {math.ceil(wait)} s", "LOGIN-DELAY"), Verdict(None, "login.delay")
        self._engine.expire = expiry_text(self._maildrop.mailbox.reading.expire_seconds or 0)
        return accepted("mailbox open"), PASS

    def _wrong(self, attempt: Shown, error: Exception) -> Verdict:
        if not isinstance(attempt, TokenShown):
            return Verdict(None, "login.wrong", self._password.reason if self._password is not None else "")
        denied = error if isinstance(error, TokenDeniedError) else TokenDeniedError("")
        self._token_fault = denied.status
        return Verdict(None, "login.token", denied.reason)

    async def _take_maildrop(self, login: Deferred[Any], name: str) -> None:
        try:
            maildrop = await open_maildrop(login, name, self._server.reader)
        except (UnauthorizedLogin, LoginDenied, MailboxInUseError, TooBusyError, UnavailableError):
            if self._turns.stopped:
                # The client has left, and a refusal that nobody hears is no fault.
                return
            raise
        try:
            maildrop.mailbox = await view_of(
                maildrop.mailbox, maildrop.reader, self._constraints, lambda: not self._turns.stopped
            )
        except BaseException:
            await maildrop.release()
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

    async def _give_back(self, maildrop: Maildrop) -> None:
        if maildrop.mailbox.reading.delete_is_final and maildrop.deleted:
            # Against RFC 1939 6, and only because the account, or the administrator for all, wants it so.
            try:
                await self._update(maildrop)
            except Exception:
                self._log.failure("The mailbox of {account} could not be updated", account=maildrop.account)
        else:
            await maildrop.release()

    async def _update(self, maildrop: Maildrop) -> int:
        """Carry out the deletions and give the mailbox back; how many messages could not be deleted."""
        try:
            failed = await maildrop.mailbox.update()
            await self._trace.deleted(maildrop, maildrop.deleted.difference(failed))
        finally:
            # Before the answer: a client that comes back at once finds the mailbox free.
            await maildrop.release()
        return len(failed)
