"""
How much mail comes from whom: messages, recipients and octets, by account, address and network, in a minute, an hour and a day.

The counts (:class:`Rates`) outlive a reload; the check (:class:`RateLimits`) has one set of settings. A message is counted at
MAIL and a recipient at RCPT, whether the message is accepted in the end or not; octets count when the message is whole. What is
refused for a rate is not counted, so who waits gets through. Who has logged in is judged by the account, from wherever; all
others by address and network, except this machine and those whom connection control exempts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_network

import attrs
from zope.interface import implementer

from hermes.config.sections.rates import KINDS, SCOPES, RatesSettings
from hermes.core.offender import Network
from hermes.core.outcome import PASS, Verdict
from hermes.core.peer_address import address_of, host_of, network_of
from hermes.core.policy import Case, Stage
from hermes.core.rate import Rate, WindowCount
from hermes.core.reply import Reply
from hermes.core.units import format_size
from hermes.core.visit import Visit
from hermes.interfaces import ICheck

#: Subjects that are remembered, those seen longest ago being forgotten first: an attacker with many addresses must not fill the
#: memory. With all nine limits for all three times 20,000 take some 40 MB, with those of the defaults 10.
MAX_REMEMBERED = 20_000

#: A restart takes longer than a minute matters.
WORTH_KEEPING_SECONDS = 3600

#: Scope, subject and kind of a count, its seconds, the number of its window, and what came in the one before and in this.
Row = tuple[str, str, str, int, int, int, int]

#: Those whose mail is counted together, by scope and name.
_Subjects = tuple[tuple[str, str], ...]

_YOURS = {"account": "Your account", "address": "Your address", "network": "Your network"}

_STAGE_OF = {"messages": Stage.SENDER, "recipients": Stage.RECIPIENT, "octets": Stage.MESSAGE}


@attrs.frozen
class Usage:
    """How much of a limit is used; ``scope`` is ``account``, ``address`` or ``network``."""

    scope: str
    subject: str
    kind: str
    used: int
    rate: Rate

    @property
    def over(self) -> bool:
        """True when no more is let through."""
        return self.used >= self.rate.amount


#: The limits of one set of settings, by scope and kind.
Limits = Mapping[tuple[str, str], tuple[Rate, ...]]


def limits_of(settings: RatesSettings) -> Limits:
    """The limits that the settings have."""
    limits = {(scope, kind): settings.of(scope, kind) for scope in SCOPES for kind in KINDS}
    return {key: some for key, some in limits.items() if some}


class Rates:
    """The counts; ``now`` gives seconds since the epoch."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._subjects: OrderedDict[tuple[str, str], dict[tuple[str, int], WindowCount]] = OrderedDict()
        # Whose counts have changed since they were last kept.
        self._changed: set[tuple[str, str]] = set()

    def exceeded(self, scope: str, subject: str, kind: str, amount: int, limits: Sequence[Rate]) -> Rate | None:
        """Which of the limits so much more would break; None when it breaks none."""
        counts = self._subjects.get((scope, subject), {})
        for rate in limits:
            count = counts.get((kind, rate.seconds))
            if count is None:
                if amount > rate.amount:
                    return rate
            # All that is there is more than what counts now, and nearly always little enough.
            elif count.previous + count.current + amount > rate.amount and count.at(self._now()) + amount > rate.amount:
                return rate
        return None

    def count(self, scope: str, subject: str, kind: str, amount: int, limits: Sequence[Rate]) -> None:
        """So much has come: count it for each of the limits."""
        now, key = self._now(), (scope, subject)
        self._changed.add(key)
        counts = self._subjects.get(key)
        if counts is None:
            counts = self._subjects[key] = {}
            if len(self._subjects) > MAX_REMEMBERED:
                self._changed.discard(self._subjects.popitem(last=False)[0])
        else:
            self._subjects.move_to_end(key)
        for rate in limits:
            count = counts.get((kind, rate.seconds))
            if count is None:
                count = counts[kind, rate.seconds] = WindowCount(rate.seconds)
            if count.index != now // rate.seconds:
                count.at(now)
            count.current += amount

    def usages(self, limits: Limits) -> list[Usage]:
        """What is used of all limits, those first that are nearest to their end."""
        now, found = self._now(), []
        for (scope, subject), counts in self._subjects.items():
            for kind in KINDS:
                for rate in limits.get((scope, kind), ()):
                    count = counts.get((kind, rate.seconds))
                    # Up to the next whole one: that is what would be refused.
                    used = -int(-count.at(now) // 1) if count is not None else 0
                    if used:
                        found.append(Usage(scope, subject, kind, used, rate))
        return sorted(found, key=lambda usage: -usage.used / usage.rate.amount)

    def clear_name(self, name: str) -> list[str]:
        """Begin anew with an account; what was cleared."""
        key = name.strip().casefold()
        return self._clear(lambda scope, subject: scope == "account" and subject.casefold() == key)

    def clear_network(self, network: Network) -> list[str]:
        """Begin anew with an address, or all addresses of a network; what was cleared."""
        return self._clear(lambda scope, subject: scope != "account" and _is_within(subject, network))

    def load(self, rows: Iterable[Row]) -> None:
        """Go on with what was counted before a restart."""
        now = self._now()
        for scope, subject, kind, seconds, at, previous, current in rows:
            count = WindowCount(seconds)
            count.index, count.previous, count.current = at, previous, current
            if count.at(now) > 0 and len(self._subjects) < MAX_REMEMBERED:
                self._subjects.setdefault((scope, subject), {})[kind, seconds] = count

    def changes(self) -> tuple[list[Row], list[tuple[str, str]]]:
        """What is to be kept that was not the last time, and which subjects are gone; minutes are not worth it."""
        rows, gone = [], []
        for key in self._changed:
            counts = self._subjects.get(key)
            if counts is None:
                gone.append(key)
                continue
            for (kind, seconds), count in counts.items():
                if seconds >= WORTH_KEEPING_SECONDS:
                    rows.append((*key, kind, seconds, count.index, count.previous, count.current))
        self._changed.clear()
        return rows, gone

    def _clear(self, meant: Callable[[str, str], bool]) -> list[str]:
        gone = [key for key in self._subjects if meant(*key)]
        for key in gone:
            del self._subjects[key]
            self._changed.add(key)
        return [f"rates of {scope} {subject}" for scope, subject in gone]


@implementer(ICheck)
class RateLimits:
    """Judges and counts by one set of settings."""

    name = "rates"
    momentary = True

    def __init__(self, settings: RatesSettings, rates: Rates) -> None:
        self._limits = limits_of(settings)
        # A stage at which nothing is limited need not be judged.
        stages = {_STAGE_OF[kind] for _, kind in self._limits}
        if Stage.MESSAGE in stages:
            # The size may be declared there.
            stages.add(Stage.SENDER)
        self.stages = frozenset(stages)
        self._rates = rates

    def judge(self, case: Case) -> Verdict:
        """Refuse what breaks a limit, and count what does not."""
        transaction, subjects = case.transaction, _subjects(case.visit)
        if transaction is None or not subjects:
            return PASS
        if case.stage is Stage.SENDER:
            verdict = self._exceeded(subjects, "messages", 1)
            if verdict.accepted and transaction.size_octets:
                verdict = self._exceeded(subjects, "octets", transaction.size_octets)
            if verdict.accepted:
                self._count(subjects, "messages", 1)
            return verdict
        if case.stage is Stage.RECIPIENT:
            kind, amount = "recipients", 1
        else:
            kind, amount = "octets", case.message.size_octets if case.message is not None else 0
        verdict = self._exceeded(subjects, kind, amount)
        if verdict.accepted:
            self._count(subjects, kind, amount)
        return verdict

    def _exceeded(self, subjects: _Subjects, kind: str, amount: int) -> Verdict:
        for scope, subject in subjects:
            limits = self._limits.get((scope, kind))
            rate = self._rates.exceeded(scope, subject, kind, amount, limits) if limits else None
            if rate is not None:
                return _refusal(scope, subject, kind, amount, rate)
        return PASS

    def _count(self, subjects: _Subjects, kind: str, amount: int) -> None:
        for scope, subject in subjects:
            if limits := self._limits.get((scope, kind)):
                self._rates.count(scope, subject, kind, amount, limits)


def _subjects(visit: Visit) -> _Subjects:
    """Who is judged."""
    if visit.account is not None:
        return (("account", visit.account.name),)
    return _of_peer(visit.peer) if visit.entry is None or not visit.entry.exempt else ()


@lru_cache(4096)
def _of_peer(peer: str) -> _Subjects:
    """Address (of IPv6 a /64) and network of a peer; none of this machine, and of what has no address."""
    address = address_of(peer)
    if address is None or address.is_loopback:
        return ()
    return ("address", host_of(peer)), ("network", network_of(peer))


def _refusal(scope: str, subject: str, kind: str, amount: int, rate: Rate) -> Verdict:
    rule = f"rates.{scope}_{kind}"
    most = f"{format_size(rate.amount)} octets" if kind == "octets" else f"{rate.amount} {kind}"
    allowed = f"{_YOURS[scope]} may send {most} a {rate.window}"
    reason = f"{rate} for {scope} {subject}"
    if kind != "octets":
        return Verdict(Reply.of(450, "4.7.1", f"{allowed}: try again later"), rule, reason)
    if amount > rate.amount:
        # It would never get through.
        return Verdict(Reply.of(552, "5.3.4", f"{allowed}: this message alone is more"), rule, reason)
    return Verdict(Reply.of(451, "4.7.1", f"{allowed}: try again later"), rule, reason)


def _is_within(subject: str, network: Network) -> bool:
    own = ip_network(subject)
    return own.version == network.version and own.prefixlen >= network.prefixlen and own.network_address in network
