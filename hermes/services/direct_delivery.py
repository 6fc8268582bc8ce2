"""
Direct delivery (Mercury's module E): mail goes straight to the recipients' own servers.

RFC 5321 5.1 says which servers and in what order, :mod:`hermes.services.mail_exchangers` finds them. TLS is opportunistic
(RFC 7435): used where it is offered, with any certificate, unless the settings require it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import attrs
from OpenSSL import SSL
from twisted.internet.defer import DeferredSemaphore
from zope.interface import implementer

from hermes.config.schema import DirectSettings
from hermes.core.envelope import Envelope
from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome, Result
from hermes.core.pause import outcome_of, unpaused
from hermes.core.tls_report import Result as TLSResult
from hermes.core.tls_security import Level, Security
from hermes.interfaces import IContentReader, IDeliveryAgent, ISigner, ITLSResults
from hermes.net.client_session import ClientSession, Setback
from hermes.net.client_tls import TLSAttempt, opportunistic_context, verifying_context
from hermes.net.outgoing import Approach, Target, TLSMode, open_session
from hermes.net.resolver import Resolver
from hermes.protocols.smtp.client_events import Ended, Refused, Stage
from hermes.services.connection_cache import ConnectionCache
from hermes.services.host_memory import HostMemory
from hermes.services.mail_exchangers import MailExchangers
from hermes.services.patience import Patience
from hermes.services.protection import Guarded, Protection
from hermes.services.transfer import Consignment, Transfer

#: Addresses tried in one attempt. RFC 5321 5.1 asks for two at least; with five and every time limit used to its end an
#: attempt still ends within the hour, and the queue comes again anyway.
MAX_ADDRESSES = 5

#: Of these so many of one host, as long as there are others: one of IPv4 and one of IPv6.
ADDRESSES_OF_A_HOST = 2

#: How TLS is begun for each level; from ENCRYPTED on nothing is sent without it.
_MODES = {
    Level.NONE: TLSMode.NONE,
    Level.OPPORTUNISTIC: TLSMode.OPPORTUNISTIC,
    Level.ENCRYPTED: TLSMode.STARTTLS,
    Level.VERIFIED: TLSMode.STARTTLS,
    Level.DANE: TLSMode.STARTTLS,
}


@implementer(IDeliveryAgent)
class DirectAgent:
    """
    Delivers to ``direct:DOMAIN``, and as a backup to ``backup:DOMAIN``.

    ``own_names`` and ``own_addresses`` are those of this server, besides ``hostname``: mail that would come back to them is in
    a loop. ``named`` has host and port for domains whose MX records are not asked for. ``dice`` decides among hosts of equal
    preference; ``paused`` says what keeps a host from being used, if something does.
    """

    def __init__(
        self,
        reactor: Any,
        settings: DirectSettings,
        hostname: str,
        reader: IContentReader,
        resolver: Resolver,
        own_names: Collection[str] = (),
        own_addresses: Collection[str] = (),
        dice: random.Random | None = None,
        named: Mapping[str, tuple[str, int]] | None = None,
        signer: ISigner | None = None,
        protection: Protection | None = None,
        results: ITLSResults | None = None,
        paused: Callable[[str], str] = unpaused,
    ) -> None:
        self._reactor = reactor
        self._port = settings.port
        self._hostname = hostname
        self._results = results
        self._paused = paused
        self._protection = protection or Protection(settings, {}, resolver)
        self._any_certificate = opportunistic_context()
        self._verifying: SSL.Context | None = None
        self._exchangers = MailExchangers(
            resolver,
            dice or random.Random(),  # noqa: S311 - it shares load, it keeps no secrets
            own_names=[hostname, *own_names],
            own_addresses=own_addresses,
            loopback=settings.loopback,
            named={domain: host for domain, (host, _) in (named or {}).items()},
        )
        self._ports = {domain: port for domain, (_, port) in (named or {}).items()}
        self._slots = DeferredSemaphore(settings.connections + settings.waiting)
        self._connections = ConnectionCache(reactor)
        #: Addresses that could not be talked to, and hosts whose TLS does not work.
        self._unwell = HostMemory(reactor.seconds)
        self._without_tls = HostMemory(reactor.seconds)
        self._transfer = Transfer(
            reader,
            self._connections,
            self.open,
            signer,
            broke=lambda target: self._unwell.remember(target.address),
            patience=Patience(reactor, settings.waiting),
        )

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Try the servers of the domain ``next_hop``; see :class:`hermes.interfaces.IDeliveryAgent`."""
        targets = await self.targets(next_hop, message.envelope, drained=recipients[0].drained)
        if isinstance(targets, Outcome):
            return [targets] * len(recipients)
        consignment = Consignment(message, recipients)
        await self._slots.acquire()
        try:
            await self._transfer.run(targets, consignment)
        finally:
            self._slots.release()
        return consignment.result()

    def describe(self) -> list[dict[str, Any]]:
        """The open connections."""
        return self._connections.describe()

    async def stop(self) -> None:
        """End the kept connections with QUIT."""
        await self._connections.stop()

    async def targets(self, domain: str, envelope: Envelope, *, drained: bool = False) -> list[Target] | Outcome:
        """
        Where to try for a domain, best first, or why there is nothing to try; servers that are paused are tried for mail that is
        ``drained``.

        Those that did not answer lately come last: that is a clear reason to favor the others (RFC 5321 5.1).
        """
        stops = await self._exchangers.locate(domain)
        if isinstance(stops, Outcome):
            return stops
        guarded = await self._protection.guard(domain, stops, envelope)
        if isinstance(guarded, Outcome):
            return guarded
        if not drained:
            pauses = [self._paused(each.stop.host) for each in guarded]
            if all(pauses):
                return outcome_of(*pauses)
            guarded = [each for each, pause in zip(guarded, pauses, strict=True) if not pause]
        port = self._ports.get(domain.lower(), self._port)
        ordered = sorted(guarded, key=lambda each: each.stop.address in self._unwell)
        return [Target(each.stop.host, each.stop.address, port, each.security, each.way) for each in _first(ordered)]

    async def open(self, target: Target) -> ClientSession | Setback:
        """Open a session with one of them; the setback when that is not possible."""
        security = target.security or Security()
        attempts: list[TLSAttempt] = []
        approach = self._approach(security, attempts.append)
        opportunistic = approach.tls is TLSMode.OPPORTUNISTIC
        if opportunistic and target.address in self._without_tls:
            approach = attrs.evolve(approach, tls=TLSMode.NONE)
        session = await open_session(self._reactor, target, approach)
        self._record(target, session, attempts)
        if opportunistic and isinstance(session, Ended) and session.stage is Stage.STARTTLS:
            # RFC 7435 4.3: TLS that does not work is no worse than none. The handshake has cost the connection.
            self._without_tls.remember(target.address)
            session = await open_session(self._reactor, target, attrs.evolve(approach, tls=TLSMode.NONE))
        if not isinstance(session, ClientSession):
            self._unwell.remember(target.address)
            return _final(session) if security.requires_tls else session
        self._unwell.forget(target.address)
        setback = _without_promise(session, security)
        if setback is not None:
            await session.quit()
            return setback
        name = session.capabilities.name
        if self._exchangers.is_us(name):
            await session.quit()
            outcome = session.peer.failed(
                f"{target.host} is this server itself ({name}): the mail is in a loop", "5.4.6"
            )
            return Refused(Stage.HELLO, outcome)
        return session

    def _record(self, target: Target, session: ClientSession | Setback, attempts: list[TLSAttempt]) -> None:
        security = target.security
        if self._results is None or security is None or not security.domain or security.level is Level.NONE:
            return
        kind = _failure_type(session, attempts[-1].failure_type if attempts else "")
        if kind is not None:
            policy = {"dane": "tlsa", "sts": "sts"}.get(security.by, "sts" if security.watched else "no-policy-found")
            address = target.address if kind else ""
            self._results.record(TLSResult(security.domain, policy, target.host, kind, address, security.lines))

    def _approach(self, security: Security, observe: Callable[[TLSAttempt], None]) -> Approach:
        mode = _MODES[security.level]
        verify = security.level is Level.VERIFIED or (security.level is Level.DANE and not security.records)
        if (verify or security.watched) and self._verifying is None:
            # The system's authorities take time to read, and megabytes to keep.
            self._verifying = verifying_context()
        context = self._verifying if verify or security.watched else self._any_certificate
        return Approach(
            self._hostname, mode, None if mode is TLSMode.NONE else context, verify, security=security, observe=observe
        )


def _first(ordered: Sequence[Guarded]) -> list[Guarded]:
    """Those of an attempt, in their order: a host with many addresses, all of them dead, keeps no other from its turn."""
    seen: Counter[str] = Counter()
    turns = []
    for position, each in enumerate(ordered):
        seen[each.stop.host] += 1
        turns.append((seen[each.stop.host] > ADDRESSES_OF_A_HOST, position))
    return [ordered[position] for position in sorted(position for _, position in sorted(turns)[:MAX_ADDRESSES])]


def _failure_type(session: ClientSession | Setback, certificate: str) -> str | None:
    """What RFC 8460 4.3 calls what came of it; empty for success, None where TLS had no part in it."""
    if isinstance(session, ClientSession):
        return certificate if session.tls is not None else "starttls-not-supported"
    if session.stage is not Stage.STARTTLS:
        return None
    return certificate or ("starttls-not-supported" if isinstance(session, Refused) else "validation-failure")


def _without_promise(session: ClientSession, security: Security) -> Setback | None:
    """RFC 8689 4.2.1: a server that does not promise to hold to REQUIRETLS gets nothing that asks for it."""
    if not security.requires_tls or session.capabilities.require_tls:
        return None
    peer = session.peer
    reason = f"{peer.host} does not promise to send on over TLS only (REQUIRETLS), which the message asks for"
    return Refused(Stage.HELLO, peer.failed(reason, "5.7.30"))


def _final(setback: Setback) -> Setback:
    """The same RFC: where there is no TLS that can be trusted, the sender is told at once."""
    outcome = setback.outcome
    if setback.stage is not Stage.STARTTLS or outcome.result is Result.FAILED:
        return setback
    return attrs.evolve(setback, outcome=attrs.evolve(outcome, result=Result.FAILED, status="5.7.10"))
