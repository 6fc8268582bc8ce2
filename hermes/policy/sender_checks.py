"""
What the DNS says about strangers who send: ``[sender_checks]``.

Reverse DNS that is confirmed forward, the name in HELO, and whether the sender's domain takes mail (RFC 5321 5.1, RFC 7505). All
is asked at once, at MAIL at the latest, and judged at the first recipient. Each test leaves a finding; what follows from it is
the configuration's to say. That DNS does not answer is nobody's fault, and refuses nobody for good.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterator
from ipaddress import ip_address
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from zope.interface import implementer

from hermes.config.sections.sender_checks import SenderChecksSettings
from hermes.core.address import domain_of
from hermes.core.dns_answer import Answer, Budget, MailExchanger, Status
from hermes.core.dns_list import is_ours
from hermes.core.findings import Findings
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.core.sender_test import Consequence, parse_consequence
from hermes.core.transaction import Transaction
from hermes.core.visit import Visit
from hermes.interfaces import ICheck, IResolver
from hermes.policy.once import begun, decided
from hermes.policy.strangers import is_for_postmaster, is_stranger

#: Names of one address that are looked at: RFC 7208 4.6.4 has ten for SPF; honest machines have one or two.
MAX_NAMES = 5

#: The finding of reverse DNS, and its word for a name that leads back to the address.
RDNS = "rdns"
CONFIRMED = "confirmed"

#: The tests for which the DNS is asked.
_ASKING = (
    "no_reverse_name",
    "unconfirmed_reverse_name",
    "unknown_hello",
    "unknown_sender",
    "null_mx_sender",
)

#: What findings say when DNS has not answered.
UNAVAILABLE = "unavailable"

_NAME = "sender_checks"

#: The test that each result of each finding fails, and what is said when it refuses. RFC 7372 3.3 has 5.7.25 for reverse DNS,
#: RFC 7505 4.2 has 5.7.27 for null MX, RFC 3463 3.2 has 5.1.8 for the sender's domain.
_FAILURES = {
    (RDNS, "none"): (
        "no_reverse_name",
        Reply.of(550, "5.7.25", "Your address has no name in reverse DNS"),
    ),
    (RDNS, "unconfirmed"): (
        "unconfirmed_reverse_name",
        Reply.of(550, "5.7.25", "The name of your address in reverse DNS does not lead back to it"),
    ),
    ("helo", "own"): ("own_hello", Reply.of(550, "5.7.1", "You gave our own name in HELO")),
    ("helo", "address"): ("address_hello", Reply.of(550, "5.7.1", "You gave an address without brackets in HELO")),
    ("helo", "unqualified"): ("unqualified_hello", Reply.of(550, "5.7.1", "You gave a name without a domain in HELO")),
    ("helo", "unknown"): ("unknown_hello", Reply.of(550, "5.7.1", "The name that you gave in HELO is not in the DNS")),
    ("sender", "unknown"): ("unknown_sender", Reply.of(550, "5.1.8", "The domain of your address cannot receive mail")),
    ("sender", "null-mx"): (
        "null_mx_sender",
        Reply.of(550, "5.7.27", "The domain of your address takes no mail, so nobody can write from it"),
    ),
}

_LATER = Verdict(Reply.of(451, "4.4.3", "DNS gives no answer about you now: try again later"), f"{_NAME}.dns_failure")


@attrs.frozen
class _Found:
    """One finding: its name, its word, and the detail for people."""

    name: str
    result: str
    detail: str = ""


@implementer(ICheck)
class SenderChecks:
    """All tests of one set of settings; ``own_names`` and ``own_addresses`` are those of this server."""

    name = _NAME
    stages = (Stage.CONNECT, Stage.SENDER, Stage.RECIPIENT)
    momentary = True
    _log = Logger()

    def __init__(
        self,
        settings: SenderChecksSettings,
        resolver: IResolver,
        hostname: str,
        own_names: Collection[str] = (),
        own_addresses: Collection[str] = (),
    ) -> None:
        self._consequences = {test: parse_consequence(getattr(settings, test)) for test, _ in _FAILURES.values()}
        self._later = settings.dns_failure == "later"
        self._asks = self._is_tested(*_ASKING)
        self._resolver = resolver
        self._hostname = hostname
        self._own_names = frozenset(name.lower().rstrip(".") for name in (hostname, *own_names))
        self._own_addresses = frozenset(own_addresses)

    @property
    def tests(self) -> list[str]:
        """The tests that are made."""
        return [test for test, consequence in self._consequences.items() if consequence.tested]

    def judge(self, case: Case) -> Verdict | Awaitable[Verdict]:
        """Ask early, and judge at a recipient."""
        visit, transaction = case.visit, case.transaction
        if not is_stranger(visit):
            return PASS
        if transaction is None:
            self._foresee(visit)
            return PASS
        if case.stage is Stage.SENDER:
            if self._asks:
                begun(transaction, _NAME, lambda: self._decide(visit, transaction))
            return PASS
        if is_for_postmaster(case):
            return PASS
        if not self._asks and _NAME not in transaction.memory and not _address_in(visit.hello):
            # Most sites of the small kind look at the name alone: then there is nothing to wait for.
            transaction.memory[_NAME] = self._judged([self._plain_name(visit.hello)], transaction)
        return decided(transaction, _NAME, lambda: self._decide(visit, transaction))

    def _foresee(self, visit: Visit) -> None:
        """The address is known already: its names will be wanted."""
        if self._is_tested("no_reverse_name", "unconfirmed_reverse_name") and not is_ours(visit.peer):
            asked = Deferred.fromCoroutine(self._resolver.names(visit.peer, visit.budget))
            _ = asked.addErrback(lambda failure: self._log.failure("Reverse DNS could not be asked", failure))

    async def _decide(self, visit: Visit, transaction: Transaction) -> Verdict:
        """Make all tests at once, note what they found, and say what follows."""
        budget = transaction.budget
        tests = []
        if self._is_tested("no_reverse_name", "unconfirmed_reverse_name"):
            tests.append(self._reverse(visit.peer, budget))
        tests.append(self._hello(visit.hello, budget))
        if self._is_tested("unknown_sender", "null_mx_sender"):
            tests.append(self._sender(domain_of(transaction.reverse_path), budget))
        if len(tests) == 1:
            found = [await tests[0]]
        else:
            found = await gatherResults([Deferred.fromCoroutine(test) for test in tests], consumeErrors=True)
        return self._judged(found, transaction)

    def _judged(self, found: Collection[_Found | None], transaction: Transaction) -> Verdict:
        refusals = [*self._consider(found, transaction.findings)]
        # What is certain comes before what is to be tried again.
        return next(
            (verdict for verdict in refusals if verdict.reply is not _LATER.reply), refusals[0] if refusals else PASS
        )

    def _consider(self, found: Collection[_Found | None], findings: Findings) -> Iterator[Verdict]:
        for each in found:
            if each is None:
                continue
            test, reply = _FAILURES.get((each.name, each.result), ("", None))
            consequence = self._consequences.get(test, Consequence())
            if not consequence.tested:
                continue
            findings.note(each.name, each.result, each.detail, float(consequence.points))
            if consequence.refuses:
                yield Verdict(reply, f"{_NAME}.{test}", each.detail)
            elif each.result == UNAVAILABLE and self._later and self._could_refuse(each.name):
                yield attrs.evolve(_LATER, reason=each.detail) if each.detail else _LATER

    def _could_refuse(self, name: str) -> bool:
        return any(self._consequences[test].refuses for (about, _), (test, _) in _FAILURES.items() if about == name)

    def _is_tested(self, *tests: str) -> bool:
        return any(self._consequences[test].tested for test in tests)

    # The tests.

    async def _reverse(self, peer: str, budget: Budget) -> _Found | None:
        """The address has a name, and the name has the address."""
        if is_ours(peer):
            return None
        answer = await self._resolver.names(peer, budget)
        if answer.status is Status.UNAVAILABLE:
            return _Found(RDNS, UNAVAILABLE, answer.reason)
        if not answer.values:
            return _Found(RDNS, "none", answer.reason)
        ask = self._resolver.ipv6_addresses if ":" in peer else self._resolver.ipv4_addresses
        names = answer.values[:MAX_NAMES]
        forward = await gatherResults([Deferred.fromCoroutine(ask(name, budget)) for name in names], consumeErrors=True)
        for name, addresses in zip(names, forward, strict=True):
            if peer in addresses.values:
                return _Found(RDNS, CONFIRMED, name)
        for addresses in forward:
            if addresses.status is Status.UNAVAILABLE:
                return _Found(RDNS, UNAVAILABLE, addresses.reason)
        return _Found(RDNS, "unconfirmed", ", ".join(names))

    async def _hello(self, hello: str, budget: Budget) -> _Found | None:
        """RFC 5321 4.1.4 and 4.1.3: a name that is the client's own, or its address in brackets."""
        if address := _address_in(hello):
            if await self._is_own(address, budget):
                return _Found("helo", "own", hello)
            return None if _in_brackets(hello) else _Found("helo", "address", hello)
        found = self._plain_name(hello)
        if found is not None or _in_brackets(hello) or not self._is_tested("unknown_hello"):
            return found
        return await self._known("helo", _plain(hello), budget)

    def _plain_name(self, hello: str) -> _Found | None:
        """What can be seen of a name."""
        name = _plain(hello)
        if name in self._own_names:
            return _Found("helo", "own", hello)
        return _Found("helo", "unqualified", hello) if "." not in name and not _in_brackets(hello) else None

    async def _is_own(self, address: str, budget: Budget) -> bool:
        if address in self._own_addresses:
            return True
        # Where we listen at every address, the DNS knows which of them is the one that others see.
        return address in (await self._resolver.addresses(self._hostname, budget)).values

    async def _sender(self, domain: str, budget: Budget) -> _Found | None:
        """RFC 5321 5.1: a domain to which an answer could be sent."""
        if not domain or domain.startswith("["):
            return None
        return await self._known("sender", domain, budget)

    async def _known(self, about: str, domain: str, budget: Budget) -> _Found | None:
        """Whether a name has MX or address; a null MX is one only for who sends."""
        exchangers, addresses = await gatherResults(
            [
                Deferred.fromCoroutine(_any(self._resolver.mail_exchangers(domain, budget))),
                Deferred.fromCoroutine(_any(self._resolver.addresses(domain, budget))),
            ],
            consumeErrors=True,
        )
        if exchangers.values:
            is_null = all(isinstance(each, MailExchanger) and not each.host for each in exchangers.values)
            return _Found(about, "null-mx", domain) if is_null and about == "sender" else None
        if addresses.values:
            return None
        for answer in (exchangers, addresses):
            if answer.status is Status.UNAVAILABLE:
                return _Found(about, UNAVAILABLE, answer.reason)
        return _Found(about, "unknown", addresses.reason)


async def _any(answer: Awaitable[Answer[Any]]) -> Answer[Any]:
    return await answer


def _plain(hello: str) -> str:
    return hello.lower().rstrip(".")


def _in_brackets(hello: str) -> str:
    """What stands in brackets; empty where nothing does."""
    name = _plain(hello)
    return name[1:-1].removeprefix("ipv6:") if name.startswith("[") and name.endswith("]") else ""


def _address_in(hello: str) -> str:
    """The address that stands there instead of a name, in brackets or without; empty where there is none."""
    return _address(_in_brackets(hello) or _plain(hello))


def _address(text: str) -> str:
    # Nearly all are names, and an exception costs more than all the rest of the test.
    if ":" not in text and not text[-1:].isdigit():
        return ""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
