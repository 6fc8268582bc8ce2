"""
Logins, for every server that knows SASL: what the client has shown becomes credentials for the portal, a wrong one counts and
waits, and the trace keeps what came of each.

What the portal's avatar is good for is the server's own business; so is how a verdict is said over the wire.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
from twisted.cred.credentials import ICredentials
from twisted.cred.error import LoginDenied, UnauthorizedLogin
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hermes.core.outcome import PASS, Verdict
from hermes.core.reply import Reply
from hermes.interfaces import IGate, IJournal, IScramKeys, TokenDeniedError, TooBusyError, UnavailableError
from hermes.protocols.sasl import Digest, KeysWanted, Proof, ServerPart, TokenShown
from hermes.services.login_credentials import PasswordShown, credentials_of
from hermes.services.login_trace import Attempt, Shown, asks_for_another, login_event
from hermes.services.scram_login import ScramLogin

# RFC 4954 6.
_WRONG = Reply.of(535, "5.7.8", "Name or password is wrong")
_BUSY = Verdict(Reply.of(454, "4.7.0", "Too many are logging in: try again later"), "login.busy")
_FAULT = Verdict(Reply.of(454, "4.7.0", "Logging in does not work now: try again later"), "login.fault")
_NO_BINDING = Verdict(Reply.of(501, "5.5.4", "This connection has no such channel binding"), "auth.channel_binding")
_LEFT = Verdict(_WRONG, "login.left", "the client left before its answer")
# That such an account exists is not said.
_FOR_ANOTHER = Verdict(_WRONG, "login.authorization", "asked to act as somebody else")

#: In the place of what only the server itself can say.
_REFUSED = Reply.of(454, "4.7.0", "Not now")

#: Shows credentials to the portal, and takes what it gives for them: the name of the account, or empty where the avatar has none;
#: or a verdict without a reply, which is a refusal of the server's own.
Enter = Callable[[ICredentials], Awaitable[str | Verdict]]


def is_wrong(verdict: Verdict) -> bool:
    """True for a login that was refused because what was shown was not right."""
    return verdict.reply is _WRONG


class Logins:
    """
    The logins of one session of ``service``, for whose ``peer`` ``via`` may speak.

    ``seconds_after`` says how long the answer to a wrong one waits at least, after so many in the session. ``name`` is the
    account of the one that was right, and ``token_fault`` what was wrong with the last token (RFC 6750 3.1); both may be empty.
    ``password`` is the one that was shown last, and what was found of it.
    """

    _log = Logger()

    def __init__(
        self,
        service: str,
        gate: IGate,
        journal: IJournal,
        clock: IReactorTime,
        peer: str,
        via: str,
        scram: IScramKeys | None,
        seconds_after: Callable[[int], float],
    ) -> None:
        self._service = service
        self._gate = gate
        self._journal = journal
        self._clock = clock
        self._peer = peer
        self._via = via
        self._scram = ScramLogin(scram)
        self._seconds_after = seconds_after
        self._failures = 0
        self.token_fault = ""
        self.password: PasswordShown | None = None
        self.name = ""

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

    async def refuse(self, attempt: Attempt, tls: str | None, verdict: Verdict) -> None:
        """Record a login that the server itself refuses, whatever it is worth."""
        await self._settle(attempt, tls, attrs.evolve(verdict, reply=_REFUSED))

    async def judge(self, attempt: Shown, tls: str | None, enter: Enter) -> Verdict:
        """Judge name and password, proof, digest or token, make the peer wait when they are wrong, and record what happened."""
        try:
            verdict = await self._judged(attempt, enter)
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
        if is_wrong(verdict):
            seconds = self._gate.login_failed(self._peer, attempt.name)
            self._failures += 1
            # Who is free of the gate's limits has those of the session all the same.
            await deferLater(self._clock, max(seconds, self._seconds_after(self._failures)))
        elif verdict.accepted:
            self._gate.login_succeeded(self._peer, attempt.name, self.name)

    def _record(self, attempt: Attempt, tls: str | None, verdict: Verdict) -> None:
        account = self.name if verdict.accepted else None
        now, app_password = self._clock.seconds(), ""
        if account is not None and self.password is not None:
            app_password = self.password.app_password
        self._journal.record(
            login_event(now, self._service, self._peer, tls, attempt, verdict, account, self._via, app_password)
        )

    async def _judged(self, attempt: Shown, enter: Enter) -> Verdict:
        self.token_fault, self.password = "", None
        allowed: Verdict = self._gate.login_verdict(self._peer, attempt.name)
        if not allowed.accepted:
            return allowed
        credentials: ICredentials | None
        if isinstance(attempt, Proof):
            credentials = self._scram.proved(attempt)
            if credentials is None:
                return Verdict(_WRONG, "login.wrong", attempt.reason)
        elif isinstance(attempt, TokenShown | Digest):
            credentials = credentials_of(attempt, self._service)
        elif asks_for_another(attempt):
            return _FOR_ANOTHER
        else:
            name, password = attempt.name.encode("utf-8"), attempt.password.encode("utf-8")
            credentials = self.password = PasswordShown(name, password, self._service, self._peer)
        try:
            entered = await enter(credentials)
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
        if isinstance(entered, Verdict):
            return attrs.evolve(entered, reply=_REFUSED)
        self.name = entered or attempt.name
        return PASS

    def _wrong(self, attempt: Shown, error: Exception) -> Verdict:
        if not isinstance(attempt, TokenShown):
            return Verdict(_WRONG, "login.wrong", self.password.reason if self.password is not None else "")
        denied = error if isinstance(error, TokenDeniedError) else TokenDeniedError("")
        self.token_fault = denied.status
        return Verdict(_WRONG, "login.token", denied.reason)
