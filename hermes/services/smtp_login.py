"""
Logging in to the SMTP server: from a SASL exchange to an avatar of ``twisted.cred`` (RFC 4954).

Before AUTH, and without it, a session has the avatar of ``Anonymous``. Both kinds of avatar are used by
:class:`hermes.interfaces.IReception`; an avatar that is only Twisted's ``IMessageDelivery`` is adapted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.credentials import Anonymous, ICredentials
from twisted.cred.error import LoginFailed
from twisted.cred.portal import Portal
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.mail import smtp

from hermes.core.account import Account
from hermes.core.outcome import PASS, Verdict
from hermes.core.reply import Reply
from hermes.interfaces import IGate, IJournal, IReception, IScramKeys
from hermes.services.login_trace import Shown
from hermes.services.logins import Logins
from hermes.services.twisted_delivery import TwistedDelivery

#: A wrong password costs this much time for each that came before it in the session, and not more than the greatest.
#: Reading is paused meanwhile, so guessing in a pipeline costs as much.
SECONDS_PER_FAILURE = 1
MAX_FAILURE_SECONDS = 5

_ANONYMOUS_REFUSED = Verdict(Reply.of(530, "5.7.0", "Log in first"), "login.required")


class Login(Logins):
    """The logins of one session: ``reception`` is the avatar of the moment."""

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
        super().__init__(
            "smtp",
            gate,
            journal,
            clock,
            peer,
            via,
            scram,
            lambda failures: min(failures * SECONDS_PER_FAILURE, MAX_FAILURE_SECONDS),
        )
        self._portal = portal
        self._session = session
        self._logout: Callable[[], object] | None = None
        self.reception: IReception | None = None

    @property
    def account(self) -> Account | None:
        """Who has logged in; None for nobody, and for an avatar that knows no accounts."""
        account: Account | None = self.reception.account if self.reception is not None else None
        return account

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

    async def log_in(self, attempt: Shown, tls: str | None) -> Verdict:
        """Judge what was shown, and attach the avatar that it is worth."""
        return await self.judge(attempt, tls, self._enter)

    async def _enter(self, credentials: ICredentials) -> str:
        if self._portal is None:
            raise LoginFailed("there is no portal")
        # The interfaces are those that Twisted's own smtp.SMTP asks for.
        avatar: Any
        _, avatar, logout = await self._portal.login(
            credentials, None, smtp.IMessageDeliveryFactory, smtp.IMessageDelivery
        )
        self.attach(avatar, logout)
        return "" if self.account is None else self.account.name
