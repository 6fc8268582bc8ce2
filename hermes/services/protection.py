"""
How mail for a domain is to be protected on its way, host by host: from the table of destinations, the domain's own policies, and
what the message asks for.

DANE comes before MTA-STS where a domain has both (RFC 8461 2). What the table says comes before either, for more or for less.
What REQUIRETLS asks for is asked in any case (RFC 8689 4.2.1); ``TLS-Required: No`` asks for nothing (4.2.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from hermes.config.schema import DirectSettings
from hermes.config.sections.destination import DestinationSettings, proxy_place
from hermes.core import mta_sts
from hermes.core.dns_answer import Status
from hermes.core.envelope import Envelope, TLSNeed
from hermes.core.mta_sts import Mode
from hermes.core.outcome import Outcome
from hermes.core.tls_report import Result
from hermes.core.tls_security import TLSA, Level, Proxy, Security, Way
from hermes.interfaces import ITLSResults
from hermes.net.resolver import Resolver
from hermes.net.together import together
from hermes.services.mail_exchangers import Stop
from hermes.services.mta_sts import Finding, STSPolicies

_LEVELS = {
    "none": Level.NONE,
    "opportunistic": Level.OPPORTUNISTIC,
    "required": Level.ENCRYPTED,
    "verified": Level.VERIFIED,
    "dane": Level.DANE,
}

#: When mail to a domain is looked at again whose policy could not be asked for because of others: these are done by then.
UNASKED_SECONDS = 60.0

#: TLSA records of one host that count; an honest one has a handful.
MAX_RECORDS = 20


@attrs.frozen
class Rule:
    """A line of the table: None for the level means what the domain's policies say."""

    level: Level | None = None
    hosts: tuple[str, ...] = ()
    way: Way | None = None
    connections: int = 0


class Table:
    """Finds the rule for a domain."""

    def __init__(self, destinations: Mapping[str, DestinationSettings]) -> None:
        self._rules = {domain.lower(): _rule(each) for each in destinations.values() for domain in each.domains}

    def rule(self, domain: str) -> Rule:
        """The domain's own, or that of the nearest domain above it, or that for all others."""
        name = domain.lower().rstrip(".")
        found = self._rules.get(name)
        while found is None and "." in name:
            name = name.partition(".")[2]
            found = self._rules.get(f"*.{name}")
        return found or self._rules.get("*") or Rule()

    def connections(self, domain: str) -> int:
        """How many connections at once a domain may have; 0 when nothing is said about it."""
        return self.rule(domain).connections


def _rule(settings: DestinationSettings) -> Rule:
    four = next((each for each in settings.source_address if ":" not in each), "")
    six = next((each for each in settings.source_address if ":" in each), "")
    proxy = None
    if settings.socks5:
        proxy = Proxy(*proxy_place(settings.socks5), settings.socks5_username, settings.socks5_password)
    way = Way(four, six, proxy) if four or six or proxy else None
    hosts = tuple(host.lower().rstrip(".") for host in settings.hosts)
    return Rule(_LEVELS.get(settings.tls), hosts, way, settings.connections)


@attrs.frozen
class Guarded:
    """A place to try, and what it must show."""

    stop: Stop
    security: Security
    way: Way | None = None


@attrs.frozen
class _Demand:
    """What holds for one message to one domain."""

    domain: str
    floor: Level
    rule: Rule
    policies: bool
    finding: Finding
    requires_tls: bool


class Protection:
    """Works out what is to be asked; ``sts`` is None where MTA-STS is off."""

    def __init__(
        self,
        settings: DirectSettings,
        destinations: Mapping[str, DestinationSettings],
        resolver: Resolver,
        sts: STSPolicies | None = None,
        results: ITLSResults | None = None,
    ) -> None:
        self._floor = _LEVELS[settings.tls]
        self._dane = settings.dane
        self._port = settings.port
        self._table = Table(destinations)
        self._resolver = resolver
        self._sts = sts if settings.mta_sts else None
        self._results = results

    async def guard(self, domain: str, stops: Sequence[Stop], envelope: Envelope) -> list[Guarded] | Outcome:
        """The places that may be tried, with what they must show; or why there are none."""
        demand = await self._demand(domain, envelope)
        if demand.finding.unasked:
            return attrs.evolve(_deferred(demand.finding.reason, ""), host=None, wait_seconds=UNASKED_SECONDS)
        hosts = list(dict.fromkeys((stop.host, stop.certain, stop.secure) for stop in stops))
        found = await together(self._of_host(demand, *host) for host in hosts)
        by_host = dict(zip(hosts, found, strict=True))
        guarded: list[Guarded] = []
        refusals: list[Outcome] = []
        for stop in stops:
            security = by_host[stop.host, stop.certain, stop.secure]
            if isinstance(security, Security):
                guarded.append(Guarded(stop, security, demand.rule.way))
            else:
                refusals.append(security)
        # A host that could not be asked about may be the right one.
        return guarded or min(refusals, key=lambda refusal: refusal.status)

    async def finding(self, domain: str) -> Finding:
        """What MTA-STS says about a domain."""
        if self._sts is None or domain.startswith("["):
            return Finding()
        return await self._sts.policy(domain)

    async def _demand(self, domain: str, envelope: Envelope) -> _Demand:
        rule = self._table.rule(domain)
        # A report goes as well as it can (RFC 8689 5).
        requires_tls = envelope.tls is TLSNeed.REQUIRED and bool(envelope.reverse_path)
        if envelope.tls is TLSNeed.OPTIONAL:
            floor = Level.NONE if rule.level is Level.NONE else Level.OPPORTUNISTIC
            return _Demand(domain, floor, attrs.evolve(rule, level=None, hosts=()), False, Finding(), False)
        floor = self._floor if rule.level is None else rule.level
        # "none" and "opportunistic" in the table ask for less than the domain's policies; in [direct] they do not.
        policies = requires_tls or (
            rule.level not in (Level.NONE, Level.OPPORTUNISTIC) and self._floor is not Level.NONE
        )
        finding = await self.finding(domain) if policies else Finding()
        if finding.problem:
            self._record(domain, "sts", kind=finding.problem)
        return _Demand(domain, floor, rule, policies, finding, requires_tls)

    async def _of_host(self, demand: _Demand, host: str, certain: bool, secure: bool) -> Security | Outcome:
        rule, floor = demand.rule, demand.floor
        if rule.hosts and not mta_sts.names(rule.hosts, host):
            return _deferred(f"{host} is not one of the servers that the settings allow for {demand.domain}", host)
        policy = demand.finding.policy
        named = policy is not None and policy.names(host)
        security: Security | None = None
        if demand.policies and self._dane and secure:
            records = await self._records(host)
            if isinstance(records, Outcome):
                self._record(demand.domain, "tlsa", host, "dnssec-invalid")
                return records
            if records is not None:
                usable = tuple(record for record in records if record.usable)[:MAX_RECORDS]
                # RFC 7672 2.2: records of which none can be used still say that there is TLS.
                security = (
                    Security(Level.DANE, "dane", (demand.domain,), usable) if usable else Security(Level.ENCRYPTED)
                )
        if floor is Level.DANE and (security is None or security.level is not Level.DANE):
            return _deferred(f"{host} has no TLSA records that count, and the settings ask for DANE", host)
        if security is None:
            if policy is not None and policy.mode is Mode.ENFORCE:
                if not named:
                    self._record(demand.domain, "sts", host, "validation-failure", policy.lines)
                    return _deferred(
                        f"{host} is not one of the servers in the policy (MTA-STS) of {demand.domain}", host
                    )
                security = Security(Level.VERIFIED, "sts")
            else:
                security = Security(floor, watched=policy is not None and floor <= Level.ENCRYPTED)
        if security.level < floor:
            security = attrs.evolve(security, level=floor)
        lines = policy.lines if policy is not None and (security.by == "sts" or security.watched) else ()
        if security.records:
            lines = tuple(map(_presented, security.records))
        security = attrs.evolve(security, domain=demand.domain.lower(), lines=lines)
        if not demand.requires_tls:
            return security
        if not (certain or named or rule.hosts or host == demand.domain.lower().rstrip(".")):
            # RFC 8689 4.2.1
            reason = f"the message requires TLS, and nothing vouches for {host} being a server of {demand.domain}"
            return Outcome.failed(reason, "5.7.10", host=host)
        return attrs.evolve(security, level=max(security.level, Level.VERIFIED), requires_tls=True)

    def _record(self, domain: str, policy: str, host: str = "", kind: str = "", lines: tuple[str, ...] = ()) -> None:
        if self._results is not None:
            self._results.record(Result(domain.lower(), policy, host, kind, "", lines))

    async def _records(self, host: str) -> tuple[TLSA, ...] | Outcome | None:
        """The TLSA records; None when there are certainly none, or when they are not secured."""
        answer = await self._resolver.tlsa(host, self._port)
        if answer.status is Status.UNAVAILABLE:
            # RFC 7672 2.1.2: somebody may be keeping them from us.
            return _deferred(f"whether {host} has TLSA records cannot be found out: {answer.reason}", host, "4.4.3")
        return answer.values if answer.status is Status.FOUND and answer.secure else None


def _presented(record: TLSA) -> str:
    """As zone files have it (RFC 6698 2.2)."""
    return f"{record.usage} {record.selector} {record.matching} {record.data.hex()}"


def _deferred(reason: str, host: str, status: str = "4.7.5") -> Outcome:
    return Outcome.deferred(reason, status, host=host)
