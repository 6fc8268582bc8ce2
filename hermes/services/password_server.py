"""
Mercury W: the password server. A mail program or a web mailer changes somebody's password (poppassd, port 106).

Whoever asks is told nothing about who has an account: a name is always taken, and a wrong password is wrong for every name alike.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater
from typing_extensions import override

from hermes.config.sections.password_server import PasswordServerSettings
from hermes.core.account import Account
from hermes.core.event import Kind
from hermes.core.outcome import Verdict
from hermes.interfaces import IDirectory, IPasswordChange, TooBusyError, UnavailableError
from hermes.net.peer import is_loopback, within
from hermes.net.shielded import shielded
from hermes.net.turns import Engine
from hermes.protocols import poppass
from hermes.protocols.sasl import Credentials
from hermes.services.line_connection import LineConnection, LineServer
from hermes.services.login_trace import login_event

#: A wrong password costs this much time for each that came before it in the session; reading is paused meanwhile.
SECONDS_PER_FAILURE = 1.0

#: Lines that cannot be, after which a session is ended: the dialogue has four lines.
MAX_ERRORS = 10

_WRONG = b"500 Name or password is wrong\r\n"
_BUSY = b"500 Too many are logging in: try again later\r\n"
_FAULT = b"500 Something went wrong here: try again later\r\n"
_TOO_MANY = b"500 Too many errors: goodbye\r\n"

_WRONG_RULE = Verdict(None, "login.wrong")


@attrs.frozen
class Offices:
    """Who does the work: looks accounts up, changes passwords, and ends the other sessions of an account."""

    directory: IDirectory
    changing: IPasswordChange
    end_sessions: Callable[[str], int]


class PasswordSession(LineConnection):
    """One client."""

    _engine: poppass.PasswordServer

    def __init__(self, server: LineServer, settings: PasswordServerSettings, offices: Offices, hostname: str) -> None:
        super().__init__(server)
        self._settings = settings
        self._offices = offices
        self._hostname = hostname
        self._account: Account | None = None
        self._old = ""
        self._failures = 0
        self._errors = 0

    @property
    def account(self) -> str:
        """Who has logged in."""
        return self._account.name if self._account is not None else ""

    @override
    def _begin(self) -> Engine:
        server = self._server
        self._engine = poppass.PasswordServer(
            stls=server.tls is not None,
            clear=is_loopback(self.peer) or within(self.peer, self._settings.clear_networks),
            tls=server.implicit_tls,
        )
        return self._engine

    @override
    def _greet(self) -> None:
        self._say(f"{poppass.GREETING.format(self._hostname)}\r\n".encode("ascii", "replace"))

    @override
    def _no(self, verdict: Verdict) -> bytes:
        text = verdict.reply.text if verdict.reply is not None else "No"
        return f"500 {text}\r\n".encode("ascii", "replace")

    @override
    async def _answer(self, event: poppass.Event) -> None:
        try:
            await self._do(event)
        except CancelledError:
            raise
        except TooBusyError:
            self._say(_BUSY)
        except UnavailableError as error:
            self._log.warn("A password command of {peer} has to wait: {error}", peer=self.peer, error=error)
            self._say(_FAULT)
        except Exception:
            self._log.failure("A password command of {peer} could not be answered", peer=self.peer)
            self._say(_FAULT)

    async def _do(self, event: poppass.Event) -> None:
        match event:
            case poppass.User():
                self._forget()
                self._say(poppass.USER_OK)
            case poppass.OldPassword():
                await self._log_in(event)
            case poppass.NewPassword():
                await self._change(event.password)
            case poppass.StartTLS():
                await self._start_tls()
            case poppass.Help(stls):
                self._say(poppass.HELP_WITH_TLS if stls else poppass.HELP)
            case poppass.Quit():
                self._say(poppass.GOODBYE)
                self._end()
            case poppass.Refused():
                self.record_refusal(Verdict(None, event.rule), "command")
                self._errors += 1
                if self._errors < MAX_ERRORS:
                    self._say(event.reply)
                else:
                    self._say(_TOO_MANY)
                    self._end()

    def _forget(self) -> None:
        self._account, self._old = None, ""

    async def _log_in(self, event: poppass.OldPassword) -> None:
        gate = self._server.gate
        allowed = gate.login_verdict(self.peer, event.name)
        if allowed.reply is not None:
            self._record_login(event, allowed, None)
            self._say(self._no(allowed))
            self._end()
            return
        try:
            account = await self._offices.directory.verify(event.name, event.password)
        except CancelledError:
            # The check was under way all the same: were it not counted, hashing would be free for who leaves.
            gate.login_failed(self.peer, event.name)
            raise
        if account is not None:
            gate.login_succeeded(self.peer, event.name, account.name)
            self._record_login(event, _WRONG_RULE, account.name)
            self._account, self._old = account, event.password
            self._engine.logged_in()
            self._say(poppass.PASSWORD_OK)
            return
        self._record_login(event, _WRONG_RULE, None)
        seconds = gate.login_failed(self.peer, event.name)
        self._failures += 1
        await deferLater(self._server.clock, max(seconds, self._failures * SECONDS_PER_FAILURE))
        self._say(_WRONG)
        if self._failures >= self._settings.max_failures:
            self._end()

    def _record_login(self, event: poppass.OldPassword, verdict: Verdict, account: str | None) -> None:
        server = self._server
        attempt = Credentials("PASS", event.name, "")
        tls = str(self.describe()["tls"]) if self._engine.tls else None
        server.journal.record(
            login_event(server.clock.seconds(), server.service, self.peer, tls, attempt, verdict, account)
        )

    async def _change(self, new: str) -> None:
        account = self._account
        if account is None:
            raise RuntimeError("the engine let a password through of somebody who has not logged in")
        # A client that leaves before its answer must not leave half a change.
        problem = await shielded(self._changed(account, self._old, new), "changing a password")
        if problem:
            self._say(f"500 {problem}\r\n".encode("ascii", "replace"))
            return
        self._old = new
        self._say(poppass.CHANGED)

    async def _changed(self, account: Account, old: str, new: str) -> str:
        """Change a password, with all that belongs to it; why that cannot be, or nothing."""
        problem = await self._offices.changing.change(account, old, new)
        self.record(
            Kind.PASSWORD, account.name, {"result": "refused" if problem else "changed", "reason": problem or None}
        )
        if not problem and self._settings.end_sessions:
            self._offices.end_sessions(account.name)
        return problem

    async def _start_tls(self) -> None:
        tls = self._server.tls
        assert tls is not None
        assert self._turns is not None
        context_factory = tls.context_factory()
        self._say(poppass.GO_AHEAD)
        # That is the last thing said in the clear. From here on nothing may wait, or what arrives meanwhile would count.
        await self._turns.written()
        self._forget()
        self._engine.tls_started()
        self.transport.startTLS(context_factory)


class PasswordServerFactory(ServerFactory):
    """Makes the sessions of one listener."""

    noisy = False

    def __init__(self, server: LineServer, settings: PasswordServerSettings, offices: Offices, hostname: str) -> None:
        self.sessions = server.sessions
        self._server = server
        self._settings = settings
        self._offices = offices
        self._hostname = hostname

    @override
    def buildProtocol(self, addr: IAddress | None) -> PasswordSession:
        session = PasswordSession(self._server, self._settings, self._offices, self._hostname)
        session.factory = self
        return session
