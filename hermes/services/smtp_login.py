"""
Logging in to the SMTP server: from a SASL exchange to an avatar of ``twisted.cred`` (RFC 4954).

Before AUTH, and without it, a session has the avatar of ``Anonymous``. Both kinds of avatar are used by
:class:`hermes.interfaces.IReception`; an avatar that is only Twisted's ``IMessageDelivery`` is adapted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.credentials import Anonymous, ICredentials
from twisted.cred.error import LoginDenied, LoginFailed, UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.mail import smtp

from hermes.core.outcome import PASS, Verdict
from hermes.core.reply import Reply
from hermes.interfaces import (
    IGate,
    IJournal,
    IReception,
    IScramKeys,
    TokenDeniedError,
    TooBusyError,
    UnavailableError,
)
from hermes.protocols.sasl import Digest, KeysWanted, Proof, ServerPart, TokenShown
from hermes.services.login_credentials import PasswordShown, credentials_of
from hermes.services.login_trace import Attempt, Shown, asks_for_another, login_event
from hermes.services.scram_login import ScramLogin
from hermes.services.twisted_delivery import TwistedDelivery

#: A wrong password costs this much time for each that came before it in the session, and not more than the greatest.
#: Reading is paused meanwhile, so guessing in a pipeline costs as much.
SECONDS_PER_FAILURE = 1
MAX_FAILURE_SECONDS = 5

# RFC 4954 6.
_WRONG = Reply.of(535, "5.7.8", "Name or password is wrong")
_BUSY = Verdict(Reply.of(454, "4.7.0", "Too many are logging in: try again later"), "login.busy")
_FAULT = Verdict(Reply.of(454, "4.7.0", "Logging in does not work now: try again later"), "login.fault")
_NO_BINDING = Verdict(Reply.of(501, "5.5.4", "This connection has no such channel binding"), "auth.channel_binding")
_LEFT = Verdict(_WRONG, "login.left", "the client left before its answer")
# That such an account exists is not said.
_FOR_ANOTHER = Verdict(_WRONG, "login.authorization", "asked to act as somebody else")
_ANONYMOUS_REFUSED = Verdict(Reply.of(530, "5.7.0", "Log in first"), "login.required")


class Login:
    """The logins of one session: ``reception`` is the avatar of the moment, ``name`` the account's or empty."""

    _log = Logger()

    def __init__(
        self,
        portal: Portal | None,
        gate: IGate,
        journal: IJournal,
        clock: IReactorTime,
        session: smtp.SMTP,
        peer: str,
        via: str = "",
        scram: IScramKeys | None = None,
    ) -> None:
        self._portal = portal
        self._gate = gate
        self._journal = journal
        self._clock = clock
        self._session = session
        self._peer = peer
        self._via = via
        self._scram = ScramLogin(scram)
        self._failures = 0
        #: What was wrong with the last token that was refused (RFC 6750 3.1); empty when it was not the token.
        self.token_fault = ""
        self._password: PasswordShown | None = None
        self._logout: Callable[[], object] | None = None
        self.reception: IReception | None = None
        self.name = ""

    def attach(self, avatar: object, logout: Callable[[], object] | None = None) -> IReception:
        """Use an avatar from now on; the one before it is detached."""
        self.detach()
        self._logout = logout
        self.reception = IReception(avatar) if IReception.providedBy(avatar) else TwistedDelivery(avatar, self._session)
        return self.reception

    def detach(self) -> None:
        """Tell the avatar that its client is gone."""
        logout, self._logout = self._logout, None
        self.reception = None
        self.name = ""
        if logout is not None:
            with self._log.failuresHandled("while logging out"):
                logout()

    async def anonymous(self) -> Verdict:
        """Attach the avatar of those who have not logged in; refused where there is none for them."""
        try:
            await self._enter(Anonymous())
        except LoginFailed:
            return _ANONYMOUS_REFUSED
        return PASS

    async def server_part(self, wanted: KeysWanted, tls: str | None, binding: bytes | None) -> ServerPart | Verdict:
        """
        What a SCRAM exchange goes on with, or a refusal; ``binding`` is the channel binding that it wants, None for one that
        the connection does not have.
        """
        verdict = self._gate.login_verdict(self._peer, wanted.name)
        if verdict.accepted:
            if binding is None:
                verdict = _NO_BINDING
            elif asks_for_another(wanted):
                verdict = _FOR_ANOTHER
            else:
                part = await self._scram.part(wanted, binding)
                if part is not None:
                    return part
                verdict = _FAULT
        await self._settle(wanted, tls, verdict)
        return verdict

    async def log_in(self, attempt: Shown, tls: str | None) -> Verdict:
        """Judge name and password, proof, digest or token, make the peer wait when they are wrong, and record what happened."""
        try:
            verdict = await self._judge(attempt)
        except CancelledError:
            # The check was made all the same, or was under way: were it not counted, hashing would be free for who leaves.
            self._gate.login_failed(self._peer, attempt.name)
            self._record(attempt, tls, _LEFT)
            raise
        await self._settle(attempt, tls, verdict)
        return verdict

    async def _settle(self, attempt: Attempt, tls: str | None, verdict: Verdict) -> None:
        """Record a login, and let a wrong one count and wait."""
        self._record(attempt, tls, verdict)
        if verdict.reply is _WRONG:
            seconds = self._gate.login_failed(self._peer, attempt.name)
            self._failures += 1
            # Who is free of the gate's limits has those of the session all the same.
            seconds = max(seconds, min(self._failures * SECONDS_PER_FAILURE, MAX_FAILURE_SECONDS))
            await deferLater(self._clock, seconds)
        elif verdict.accepted:
            self._gate.login_succeeded(self._peer, attempt.name, self.name)

    def _record(self, attempt: Attempt, tls: str | None, verdict: Verdict) -> None:
        account = self.name if verdict.accepted else None
        now, app_password = self._clock.seconds(), ""
        if account is not None and self._password is not None:
            app_password = self._password.app_password
        self._journal.record(
            login_event(now, "smtp", self._peer, tls, attempt, verdict, account, self._via, app_password)
        )

    async def _judge(self, attempt: Shown) -> Verdict:
        self.token_fault, self._password = "", None
        allowed: Verdict = self._gate.login_verdict(self._peer, attempt.name)
        if not allowed.accepted:
            return allowed
        credentials: ICredentials | None
        if isinstance(attempt, Proof):
            credentials = self._scram.proved(attempt)
            if credentials is None:
                return Verdict(_WRONG, "login.wrong", attempt.reason)
        elif isinstance(attempt, TokenShown | Digest):
            credentials = credentials_of(attempt, "smtp")
        elif asks_for_another(attempt):
            return _FOR_ANOTHER
        else:
            name, password = attempt.name.encode("utf-8"), attempt.password.encode("utf-8")
            credentials = self._password = PasswordShown(name, password, "smtp", self._peer)
        try:
            reception = await self._enter(credentials)
        except CancelledError:
            raise
        except (UnauthorizedLogin, LoginDenied) as error:
            return self._wrong(attempt, error)
        except TooBusyError:
            return _BUSY
        except UnavailableError as error:
            return Verdict(_FAULT.reply, "login.unavailable", str(error))
        except Exception:
            self._log.failure("A login from {peer} could not be judged", peer=self._peer)
            return _FAULT
        self.name = reception.account.name if reception.account is not None else attempt.name
        return PASS

    def _wrong(self, attempt: Shown, error: Exception) -> Verdict:
        if not isinstance(attempt, TokenShown):
            return Verdict(_WRONG, "login.wrong", self._password.reason if self._password is not None else "")
        denied = error if isinstance(error, TokenDeniedError) else TokenDeniedError("")
        self.token_fault = denied.status
        return Verdict(_WRONG, "login.token", denied.reason)

    async def _enter(self, credentials: ICredentials) -> IReception:
        if self._portal is None:
            raise LoginFailed("there is no portal")
        # The interfaces are those that Twisted's own smtp.SMTP asks for.
        avatar: Any
        _, avatar, logout = await self._portal.login(
            credentials, None, smtp.IMessageDeliveryFactory, smtp.IMessageDelivery
        )
        return self.attach(avatar, logout)
