"""
One smart host (Mercury's module C): a server that takes mail for others from us.

Whatever is wrong with our own side of it (the password, the certificate's authority, a name that cannot be found) only delays
mail: the configuration can be mended, and then it goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from OpenSSL import SSL
from twisted.internet.defer import DeferredSemaphore
from twisted.internet.task import deferLater
from zope.interface import implementer

from hermes.config.sections.smarthost import SmarthostSettings
from hermes.config.smarthost_rules import DEFAULT_NAME, pin_of
from hermes.core.dns_answer import Status
from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome, Result
from hermes.core.pause import outcome_of, unpaused
from hermes.interfaces import IContentReader, IDeliveryAgent, ISigner
from hermes.net.client_session import ClientSession, Setback
from hermes.net.client_tls import opportunistic_context, verifying_context
from hermes.net.outgoing import Approach, Target, TLSMode, derived_at_once, open_session
from hermes.net.resolver import Resolver
from hermes.protocols.sasl_login import Derive, Login
from hermes.protocols.smtp.client_events import Refused, Stage
from hermes.services.connection_cache import ConnectionCache
from hermes.services.host_memory import HostMemory
from hermes.services.oauth_tokens import NoToken, OAuthTokens
from hermes.services.pop_before_smtp import PopBeforeSMTP
from hermes.services.sender_rewrite import SenderRewrite
from hermes.services.sending_rate import MINUTE, Excess, RateLimits, SendingRate
from hermes.services.transfer import Consignment, Transfer

#: After a wrong password no other login is tried for so long: each one counts towards a lock of the account.
LOGIN_PAUSE_SECONDS = 300.0

#: Refusals that speak of us and not of the message (RFC 4954 6): authentication is required, too weak, or needs encryption.
_ABOUT_US = frozenset({530, 534, 535, 538})


@implementer(IDeliveryAgent)
class SmarthostAgent:
    """
    Delivers to ``smarthost:NAME`` as ``settings`` say; ``rate`` counts what it was given, also before the last reload.

    Raises ValueError, for the administrator, when the file of the authority cannot be used.
    """

    def __init__(
        self,
        reactor: Any,
        settings: SmarthostSettings,
        hostname: str,
        reader: IContentReader,
        resolver: Resolver,
        *,
        name: str = DEFAULT_NAME,
        rate: SendingRate | None = None,
        tokens: OAuthTokens | None = None,
        signer: ISigner | None = None,
        derive: Derive = derived_at_once,
        paused: Callable[[str], str] = unpaused,
    ) -> None:
        self._reactor = reactor
        self._paused = paused
        self._settings = settings
        self._resolver = resolver
        self._name = name
        self._rate = rate or SendingRate(reactor.seconds)
        self._limits = RateLimits(
            settings.messages_per_minute,
            settings.messages_per_hour,
            settings.messages_per_day,
            settings.recipients_per_day,
        )
        mode = TLSMode(settings.tls)
        mechanisms = tuple(name.upper() for name in settings.auth)
        self._login = Login(settings.username, settings.password, mechanisms=mechanisms) if settings.username else None
        self._tokens = tokens if settings.oauth else None
        pins = frozenset(octets for pin in settings.pin if (octets := pin_of(pin)) is not None)
        self._approach = Approach(hostname, mode, self._context(mode), settings.verify, pins=pins, derive=derive)
        self._slots = DeferredSemaphore(settings.connections)
        self._connections = ConnectionCache(reactor)
        self._rewrite = SenderRewrite(reader, settings.envelope_sender, settings.from_address)
        #: Addresses of the host that could not be talked to.
        self._unwell = HostMemory(reactor.seconds)
        self._transfer = Transfer(
            self._rewrite,
            self._connections,
            self._open,
            signer,
            author=settings.from_address,
            broke=lambda target: self._unwell.remember(target.address),
        )
        self._pop = self._pop_login(mode)
        self._login_refused: Setback | None = None
        self._login_refused_until = 0.0
        #: With which token, if it was one: a new one is tried at once.
        self._login_refused_with = ""

    def _pop_login(self, mode: TLSMode) -> PopBeforeSMTP | None:
        settings = self._settings
        if not settings.pop_host:
            return None
        pop_mode = TLSMode(settings.pop_tls)
        context = self._approach.context if mode is not TLSMode.NONE else self._context(pop_mode)
        login = Login(settings.username, settings.password)
        approach = attrs.evolve(self._approach, tls=pop_mode, context=context, login=login)
        return PopBeforeSMTP(
            self._reactor, self._resolver, settings.pop_host, settings.pop_port, approach, settings.pop_valid
        )

    def _context(self, mode: TLSMode) -> SSL.Context | None:
        settings = self._settings
        if mode is TLSMode.NONE or not settings.host:
            return None  # the system's authorities take time to read and megabytes to keep
        if settings.pin or not settings.verify:
            return opportunistic_context()
        try:
            return verifying_context(settings.authority)
        except (OSError, SSL.Error) as error:
            why = error.strerror if isinstance(error, OSError) else "there is no certificate in PEM form in it"
            section = "smarthost" if self._name == DEFAULT_NAME else f"smarthost:{self._name}"
            raise ValueError(f"[{section}] authority: {settings.authority}: {why}") from error

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Hand the message to the smart host; ``next_hop`` is its name in the settings."""
        consignment = Consignment(message, recipients)
        await self.carry(consignment)
        return consignment.result()

    async def carry(self, consignment: Consignment) -> None:
        """Offer those who are waiting to this host; who is waiting afterwards may be offered to another one."""
        paused = self._paused(self._settings.host)
        if paused and not consignment.recipients[0].drained:
            consignment.set_back(outcome_of(paused))
            return
        before = list(consignment.outcomes)
        excess = await self._wait_for_room(len(consignment.waiting))
        if excess is not None:
            reason = f"the smart host {self._name} gets no more than {excess.limit}: the message waits for its turn"
            # RFC 3463 3.5: 4.4.5, mail system congestion.
            later = Outcome.deferred(reason, "4.4.5", host=self._settings.host)
            consignment.set_back(attrs.evolve(later, wait_seconds=excess.wait_seconds))
            consignment.waiting.clear()
        else:
            await self._carry(consignment)
        for position, outcome in enumerate(consignment.outcomes):
            if outcome is not None and outcome is not before[position]:
                consignment.outcomes[position] = attrs.evolve(_only_delayed(outcome), smarthost=self._name)

    async def _wait_for_room(self, recipients: int) -> Excess | None:
        """A minute is waited for here, so that mail flows as fast as it may; longer times are waited for in the queue."""
        waited = 0.0
        while (excess := self._rate.take(self._limits, recipients)) is not None:
            if waited + excess.wait_seconds > MINUTE:
                return excess
            waited += excess.wait_seconds
            await deferLater(self._reactor, excess.wait_seconds)
        return None

    async def _carry(self, consignment: Consignment) -> None:
        host = self._settings.host
        wanted = len(consignment.waiting)
        answer = await self._resolver.host_addresses(host)
        if answer.status is not Status.FOUND:
            reason = f"the smart host {host} cannot be found: {answer.reason}"
            consignment.set_back(Outcome.deferred(reason, "4.4.3", host=host))
        else:
            # One that did not answer would cost each message the time that a connection may take.
            addresses = sorted(answer.values, key=self._unwell.__contains__)
            targets = [Target(host, address, self._settings.port) for address in addresses]
            await self._slots.acquire()
            try:
                await self._transfer_rewritten(targets, consignment)
            finally:
                self._slots.release()
        if len(consignment.waiting) == wanted:
            self._rate.take_back(wanted)

    async def _transfer_rewritten(self, targets: Sequence[Target], consignment: Consignment) -> None:
        original = consignment.message
        rewritten = await self._rewrite.rewritten(original)
        if rewritten is None:
            # RFC 3463 3.7: 5.6.0, a media error.
            reason = "the header of the message has no end, so its From field cannot be replaced for the smart host"
            consignment.set_back(Outcome.failed(reason, "5.6.0", host=self._settings.host))
            consignment.waiting.clear()
            return
        consignment.message = rewritten
        try:
            await self._transfer.run(targets, consignment)
        finally:
            consignment.message = original

    def describe(self) -> list[dict[str, Any]]:
        """The open connections."""
        return self._connections.describe()

    async def stop(self) -> None:
        """End the kept connections with QUIT."""
        await self._connections.stop()

    async def _open(self, target: Target) -> ClientSession | Setback:
        login = await self._current_login()
        if isinstance(login, NoToken):
            # RFC 3463 3.8: 4.7.0, a security status. Without a token there is no need to connect.
            outcome = Outcome.deferred(login.reason, "4.7.0", host=target.host, address=target.location)
            return Refused(Stage.LOGIN, outcome)
        now = self._reactor.seconds()
        token = login.token if login is not None else ""
        if self._login_refused is not None and now < self._login_refused_until and token == self._login_refused_with:
            return self._login_refused
        self._login_refused = None
        session = await self._try(target, login)
        if not isinstance(session, ClientSession) and login is not None and _is_refused_login(session) and token:
            fresh = await self._fresh_token(token, session)
            if fresh is not None:
                token = fresh
                session = await self._try(target, attrs.evolve(login, token=token))
                if not isinstance(session, ClientSession) and _is_refused_login(session):
                    await self._fresh_token(token, session)
        if isinstance(session, ClientSession):
            return session
        if _is_refused_login(session):
            self._login_refused, self._login_refused_until = session, now + LOGIN_PAUSE_SECONDS
            self._login_refused_with = token
        if session.outcome.result is Result.FAILED:
            # A refused connection or EHLO is about us, not about the message.
            session = attrs.evolve(session, outcome=_delayed(session.outcome))
        return session

    async def _try(self, target: Target, login: Login | None) -> ClientSession | Setback:
        if self._pop is not None:
            problem = await self._pop.log_in()
            if problem:
                reason = f"POP before SMTP at {self._settings.pop_host} failed: {problem}"
                return Refused(
                    Stage.LOGIN, Outcome.deferred(reason, "4.7.8", host=target.host, address=target.location)
                )
            login = None
        session = await open_session(self._reactor, target, attrs.evolve(self._approach, login=login))
        if isinstance(session, ClientSession) or session.stage is Stage.LOGIN:
            self._unwell.forget(target.address)
        else:
            self._unwell.remember(target.address)
        return session

    async def _current_login(self) -> Login | NoToken | None:
        if self._tokens is None or self._login is None:
            return self._login
        token = await self._tokens.token(self._settings.oauth)
        return token if isinstance(token, NoToken) else attrs.evolve(self._login, token=token)

    async def _fresh_token(self, token: str, session: Setback) -> str | None:
        """After a refusal: another token, if there is one to be had."""
        if self._tokens is None:
            return None
        return await self._tokens.refused(self._settings.oauth, token, session.outcome.reason)


def _is_refused_login(session: Setback) -> bool:
    reply = session.outcome.reply
    return session.stage is Stage.LOGIN and reply is not None and reply.is_permanent


def _only_delayed(outcome: Outcome) -> Outcome:
    """A refusal that is about our login does not return the message."""
    about_us = outcome.result is Result.FAILED and outcome.reply is not None and outcome.reply.code in _ABOUT_US
    return _delayed(outcome) if about_us else outcome


def _delayed(outcome: Outcome) -> Outcome:
    return attrs.evolve(outcome, result=Result.DEFERRED, status="4" + outcome.status[1:])
