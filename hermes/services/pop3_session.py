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
from twisted.cred.credentials import ICredentials
from twisted.cred.error import LoginDenied, UnauthorizedLogin
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.mail import pop3

from hermes.core.login_constraint import ConstraintError, Constraints, split_name
from hermes.core.outcome import Then, Verdict
from hermes.core.reading_profile import expiry_text
from hermes.interfaces import MailboxDepartedError, MailboxInUseError, TooBusyError, UnavailableError
from hermes.net import tls
from hermes.net.shielded import shielded
from hermes.protocols.pop3 import events
from hermes.protocols.pop3.events import Response, accepted, refused
from hermes.protocols.sasl import Credentials, Digest, KeysWanted, Proof, ServerPart, TokenShown
from hermes.protocols.smtp.events import MessageData, MessageEnded, MessageFailed
from hermes.services.login_credentials import PasswordShown
from hermes.services.login_trace import Attempt, Shown
from hermes.services.logins import is_wrong
from hermes.services.pop3_connection import POP3Connection
from hermes.services.pop3_maildrop import Maildrop, open_maildrop
from hermes.services.pop3_submission import Sender, Submission
from hermes.services.pop3_transaction import Transaction
from hermes.services.pop3_view import view_of

_FAULT = refused("something went wrong here, try again later", "SYS/TEMP")
_NOT_DELETED = "the marked messages could not be removed"

#: How refused logins are said in POP3, by their rules (RFC 2449 8.1, RFC 3206); others as their verdicts say it.
_SAID = {
    "login.busy": refused("too many are logging in, try again later", "SYS/TEMP"),
    "login.fault": _FAULT,
    "login.unavailable": _FAULT,
    "login.in_use": refused("another session has the mailbox open", "IN-USE"),
    "auth.channel_binding": refused("this connection has no such channel binding"),
}
#: The codes of those whose reason is said.
_CODES = {"login.delay": "LOGIN-DELAY", "login.constraint": "", "login.departed": "SYS/TEMP"}

_A = TypeVar("_A", bound=Attempt)


def _response(verdict: Verdict) -> Response:
    """What a client hears whose login was refused."""
    if is_wrong(verdict):
        return refused("wrong name or password", "AUTH")
    if verdict.rule in _CODES:
        return refused(verdict.reason, _CODES[verdict.rule])
    assert verdict.reply is not None
    return _SAID.get(verdict.rule) or refused(verdict.reply.text, "SYS/TEMP")


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
        if self._leaving and not self._turns.stopped and not self._receiving:
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
            case events.Transmit():
                await self._transmit()
            case MessageData():
                assert self._submission is not None
                await self._submission.data(event.data)
            case MessageEnded():
                await self._message_ended()
            case MessageFailed():
                self._stop_timer()
                await self._refuse_message(Verdict(event.reply, event.rule))
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
            verdict = Verdict(None, "login.constraint", str(error))
            await self._logins.refuse(event, tls.describe(self.transport), verdict)
            self._refuse(_response(verdict))
            return
        if isinstance(event, KeysWanted):
            await self._challenge(event)
        else:
            await self._log_in(event)

    async def _challenge(self, wanted: KeysWanted) -> None:
        """Go on with an exchange that proves a password, or end it."""
        binding = tls.channel_binding(self.transport, wanted.binding) if wanted.binding else b""
        part = await self._logins.server_part(wanted, tls.describe(self.transport), binding)
        if isinstance(part, ServerPart):
            self._turns.write(self._engine.challenge(part))
        else:
            self._refuse(_response(part))

    async def _log_in(self, attempt: Shown) -> None:
        verdict = await self._logins.judge(
            attempt, tls.describe(self.transport), lambda credentials: self._enter(credentials, attempt.name)
        )
        if verdict.accepted:
            self._stop_timer()
            self._scribe.logged_in(self._logins.name)
            self._reply(accepted("mailbox open"))
        elif verdict.rule == "login.token" and self._server.tokens is not None:
            # What the client answers ends the exchange with the refusal.
            self._turns.write(
                self._engine.challenge(attrs.evolve(self._server.tokens, status=self._logins.token_fault))
            )
        else:
            self._refuse(_response(verdict))

    def authenticateUserPASS(self, user: bytes, password: bytes) -> Any:  # noqa: N802 - as Twisted calls it
        """As Twisted's; the portal is told besides what app passwords are judged by."""
        self._logins.password = PasswordShown(user, password, "pop3", self.peer)
        return self._server.portal.login(self._logins.password, None, pop3.IMailbox)

    async def _enter(self, credentials: ICredentials, name: str) -> str | Verdict:
        """Take the mailbox that the credentials are worth; the name of its account."""
        if isinstance(credentials, PasswordShown):
            login = maybeDeferred(self.authenticateUserPASS, credentials.username, credentials.password)
        else:
            login = maybeDeferred(self._server.portal.login, credentials, None, pop3.IMailbox)
        try:
            await shielded(self._counted(self._take_maildrop(login, name)), "opening a mailbox")
        except MailboxInUseError:
            return Verdict(None, "login.in_use")
        except MailboxDepartedError as error:
            return Verdict(None, "login.departed", f"{error}: log in again in {error.seconds} s")
        maildrop = self._maildrop
        assert maildrop is not None
        wait = self._server.login_times.seconds_to_wait(
            maildrop.account, self._clock.seconds(), self._server.settings.login_delay
        )
        if wait:
            # RFC 2449 8.1.1: not before the password was right, or it would tell who has a mailbox.
            self._maildrop = None
            await maildrop.release()
            return Verdict(None, "login.delay", f"log in again in {math.ceil(wait)} s")
        self._engine.expire = expiry_text(maildrop.mailbox.reading.expire_seconds or 0)
        return maildrop.account

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

    # Sending.

    async def _transmit(self) -> None:
        """XTND XMIT: take a message if it may come."""
        submissions, maildrop = self._server.submissions, self._maildrop
        # Without them the engine knows no such command, and without a mailbox nobody has logged in.
        assert submissions is not None
        assert maildrop is not None
        if self._submission is None:
            used = tls.describe(self.transport)
            password = self._logins.password
            only_reads = password is not None and bool(password.services) and "smtp" not in password.services
            app_password = password.app_password if password is not None and only_reads else ""
            sender = Sender(maildrop.account, self.peer, self.via, used, self._server.listener, app_password)
            self._submission = Submission(submissions, sender, self._clock, self._trace)
        verdict = await self._submission.begin()
        if not verdict.accepted:
            await self._refuse_message(verdict)
            return
        # Who sends a few octets now and then is not silent, and would never end.
        self._timer = self._clock.callLater(submissions.settings.session_time, self.timeoutConnection)
        self._reply(accepted("send the message, and end it with a dot on a line of its own"))

    async def _message_ended(self) -> None:
        assert self._submission is not None
        self._stop_timer()
        verdict, queue_id = await self._submission.end()
        if verdict.accepted:
            self._errors = 0
            self._reply(accepted(f"accepted as {queue_id}"))
        else:
            await self._refuse_message(verdict)

    async def _refuse_message(self, verdict: Verdict) -> None:
        """Refuse a message, or that one comes; what follows from it for the session is as in SMTP."""
        assert self._submission is not None
        said, text = self._submission.refused(verdict, self._errors + 1)
        if said.delay_seconds:
            await deferLater(self._clock, said.delay_seconds)
        if said.then is Then.VANISH:
            self._turns.finish()
            self.transport.abortConnection()
            return
        temporary = said.reply is not None and said.reply.is_temporary
        self._refuse(refused(text, "SYS/TEMP" if temporary else ""))
        if said.then is not Then.GO_ON and not self._turns.stopped:
            self._close()

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
