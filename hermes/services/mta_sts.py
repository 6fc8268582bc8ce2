"""
The policies that other domains have published for mail to them (MTA-STS, RFC 8461), found, kept and renewed.

A domain's TXT record says whether it has one; it is fetched by HTTPS, once for everybody who waits, and kept on disk: what a
domain has promised holds for as long as it said, whatever the DNS says meanwhile. A policy that is kept is renewed in the
background, and no mail waits for that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hermes.core.dns_answer import Status
from hermes.core.mta_sts import Mode, Policy, parse_policy, record_id
from hermes.interfaces import IFetcher, IPolicyStore, IResolver, TooBusyError, UnavailableError
from hermes.net.resolver import encode_name

#: After this the record is looked at again, to see whether the policy is still the same (RFC 8461 3.1 leaves it to the sender).
LOOK_SECONDS = 3600.0

#: RFC 8461 3.3: a fetch that failed is not tried again for five minutes at least.
FAILED_SECONDS = 300.0

#: A policy is fetched anew when half of its time is over, and not later than after a day (RFC 8461 10.2 wants it weekly).
RENEW_SECONDS = 86_400.0

#: Domains of which something is remembered in memory; those asked for longest ago go first. The policies themselves are on disk.
MAX_DOMAINS = 10_000


@attrs.frozen
class Kept:
    """A policy as it is on disk: when it was fetched, and under which id."""

    domain: str
    policy: Policy
    policy_id: str
    fetched_at: float

    def holds(self, now: float) -> bool:
        """Whether it is still in force."""
        return now < self.fetched_at + self.policy.max_age_seconds


@attrs.frozen
class Finding:
    """
    What is known of a domain: its policy, if it has one in force; ``problem`` is the type of failure for TLS reports (RFC 8460
    4.3.2.2), ``reason`` says it in words. With ``unasked`` nothing is known, because we had no time to ask.
    """

    policy: Policy | None = None
    problem: str = ""
    reason: str = ""
    unasked: bool = False


class STSPolicies:
    """Asks ``resolver`` and ``fetcher``; ``store`` keeps policies, ``now`` gives seconds since the epoch."""

    _log = Logger()

    def __init__(
        self,
        resolver: Callable[[], IResolver],
        fetcher: IFetcher,
        store: IPolicyStore,
        now: Callable[[], float],
        *,
        scheme_and_port: str = "",
    ) -> None:
        self._resolver = resolver
        self._fetcher = fetcher
        self._store = store
        self._now = now
        self._port = scheme_and_port
        self._looked_at: OrderedDict[str, float] = OrderedDict()
        self._failed: OrderedDict[str, tuple[float, Finding]] = OrderedDict()
        self._running: dict[str, list[Deferred[Finding]]] = {}

    async def policy(self, domain: str) -> Finding:
        """What holds for a domain now; it takes a while only for a domain whose policy is not known yet."""
        try:
            name = encode_name(domain).decode("ascii")
        except ValueError:
            return Finding()
        now = self._now()
        kept: Kept | None = await self._store.policy(name)
        if kept is not None and kept.holds(now):
            if now - self._looked_at.get(name, 0.0) >= LOOK_SECONDS:
                self._remember_look(name, now)
                # Nobody waits for it.
                _ = Deferred.fromCoroutine(self._renew(name, kept)).addErrback(self._fault)
            return Finding(kept.policy) if kept.policy.mode is not Mode.NONE else Finding()
        failed = self._failed.get(name)
        if failed is not None and now < failed[0]:
            return failed[1]
        return await self._found(name)

    async def _found(self, name: str) -> Finding:
        """The end of the look for a policy, which several may wait for."""
        mine: Deferred[Finding] = Deferred()
        if name in self._running:
            self._running[name].append(mine)
        else:
            self._running[name] = [mine]
            _ = Deferred.fromCoroutine(self._look(name)).addErrback(self._fault).addCallback(self._tell, name)
        return await mine

    def _fault(self, failure: Any) -> Finding:
        self._log.failure("The policy of a domain could not be looked for", failure)
        return Finding()

    def _tell(self, finding: Finding, name: str) -> None:
        for waiting in self._running.pop(name):
            if not waiting.called:
                waiting.callback(finding)

    async def _renew(self, name: str, kept: Kept) -> Finding:
        policy_id = await self._record(name)
        if not policy_id or isinstance(policy_id, Finding):
            # RFC 8461 3.1: without a record the policy that is kept goes on to hold.
            return Finding()
        age = self._now() - kept.fetched_at
        if policy_id == kept.policy_id and age < min(RENEW_SECONDS, kept.policy.max_age_seconds / 2):
            return Finding()
        return await self._fetch(name, policy_id)

    async def _look(self, name: str) -> Finding:
        policy_id = await self._record(name)
        if isinstance(policy_id, Finding):
            return policy_id
        if not policy_id:
            return self._no(name, Finding())
        return await self._fetch(name, policy_id)

    async def _record(self, name: str) -> str | Finding:
        answer = await self._resolver().texts(f"_mta-sts.{name}")
        if not answer.asked:
            return _unasked(name, answer.reason)
        return record_id(answer.values) if answer.status is Status.FOUND else ""

    async def _fetch(self, name: str, policy_id: str) -> Finding:
        url = f"https://mta-sts.{name}{self._port}/.well-known/mta-sts.txt"
        try:
            fetched = await self._fetcher.fetch(url, {})
        except TooBusyError as error:
            return _unasked(name, str(error))
        except UnavailableError as error:
            words = str(error)
            problem = (
                "sts-webpki-invalid" if "TLS failed" in words or "certificate" in words else "sts-policy-fetch-error"
            )
            return self._no(name, Finding(problem=problem, reason=f"the policy of {name} cannot be fetched: {words}"))
        if fetched.status != 200:
            # RFC 8461 3.3: anything else, redirects too, is no policy.
            reason = f"the policy of {name} cannot be fetched: the server answers {fetched.status}"
            return self._no(name, Finding(problem="sts-policy-fetch-error", reason=reason))
        policy = parse_policy(fetched.octets)
        if policy is None:
            reason = f"the policy of {name} is not one that RFC 8461 knows"
            return self._no(name, Finding(problem="sts-policy-invalid", reason=reason))
        now = self._now()
        self._remember_look(name, now)
        self._failed.pop(name, None)
        await self._store.keep(Kept(name, policy, policy_id, now))
        return Finding(policy) if policy.mode is not Mode.NONE else Finding()

    def _no(self, name: str, finding: Finding) -> Finding:
        self._failed[name] = self._now() + FAILED_SECONDS, finding
        self._failed.move_to_end(name)
        if len(self._failed) > MAX_DOMAINS:
            self._failed.popitem(last=False)
        return finding

    def _remember_look(self, name: str, now: float) -> None:
        self._looked_at[name] = now
        self._looked_at.move_to_end(name)
        if len(self._looked_at) > MAX_DOMAINS:
            self._looked_at.popitem(last=False)


def _unasked(name: str, why: str) -> Finding:
    """That is no answer of the domain's: others must not be able to make us forget to ask, by keeping us waiting."""
    return Finding(reason=f"the policy (MTA-STS) of {name} could not be asked for: {why}", unasked=True)
