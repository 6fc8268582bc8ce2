"""
The list of offenders: addresses and networks that may not connect for a while, for all servers together.

A rule reports an offender, or an administrator adds one. The list lives in memory, where a look-up takes microseconds; each
change goes to a store, from which it is read again at the next start, and from which other processes of the same server
learn it (:meth:`Offenders.follow`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from hermes.config.schema import Settings
from hermes.config.sections.offenders import REPORTED, OffendersSettings
from hermes.core.offender import Network, Offender, network_of_peer, network_text
from hermes.core.outcome import Verdict
from hermes.core.peer_address import address_of
from hermes.interfaces import IAccess, IOffenders, IOffenderStore
from hermes.policy.exemptions import Exemptions

#: What rules have listed, and administrators have: an attacker with many addresses must not fill memory and disk. When there
#: is no room, the rules' oldest entry goes; an administrator's never does, and there is an error instead. 20,000 take some 20 MB.
MAX_LISTED = 20_000
MAX_ADDED = 20_000

#: A report about somebody who is listed for nearly as long already is counted in memory, and changes nothing else: a flood of
#: reports must not become a flood of writes.
WORTH_WRITING_SECONDS = 60.0

#: Entries that are forgotten at one go: the reactor shall not stand still for thousands.
MAX_FORGOTTEN = 1000

ADMINISTRATOR = "administrator"


@implementer(IOffenders)
class Offenders:
    """``now`` gives seconds since the epoch. Where :meth:`reconfigure` has not been called, nobody is exempt."""

    _log = Logger()

    def __init__(self, store: IOffenderStore, now: Callable[[], float]) -> None:
        self.settings = OffendersSettings()
        self.exemptions: Exemptions | None = None
        #: Whom a blocked peer is told to ask.
        self.contact = "the postmaster"
        self._store = store
        self._now = now
        # Those of rules in the order in which they will end, as far as all last equally long.
        self._listed: dict[Network, Offender] = {}
        self._added: dict[Network, Offender] = {}
        # By version and number of bits: the leading bits of those who are listed. There are few different numbers of bits.
        self._tables: dict[tuple[int, int], dict[int, Network]] = {}
        self._changes = 0

    def reconfigure(self, settings: Settings, access: IAccess) -> None:
        """Go by these settings from now on; what is on the list stays there for as long as it was told."""
        self.settings = settings.offenders
        self.exemptions = Exemptions(settings, access)
        self.contact = settings.hermes.postmaster or f"postmaster@{settings.hermes.hostname}"

    def load(self, rows: Iterable[Offender]) -> None:
        """Put these in place of what there is."""
        self._listed.clear()
        self._added.clear()
        self._tables.clear()
        now = self._now()
        for row in rows:
            if row.active(now):
                self._put(row)

    # What services and rules ask.

    def entry(self, peer: str) -> Offender | None:
        """The entry that blocks a peer; of several the one that lasts longest; None when there is none."""
        if not self._tables:
            return None
        address = address_of(peer)
        if address is None:
            return None
        number, version, most, now = int(address), address.version, address.max_prefixlen, self._now()
        found: Offender | None = None
        for (of_version, bits), table in self._tables.items():
            if of_version != version or (network := table.get(number >> (most - bits))) is None:
                continue
            one = self._added.get(network) or self._listed[network]
            if one.active(now) and (found is None or _end(one) > _end(found)):
                found = one
        return found

    def refusal(self, peer: str) -> Verdict | None:
        """What a peer is told that is blocked; None when it may come in."""
        one = self.entry(peer)
        if one is None or (self.exemptions is not None and self.exemptions.why(peer)):
            return None
        return one.refusal(peer, self._now(), self.contact)

    def exempt(self, peer: str) -> bool:
        """True for a peer that no rule lists."""
        return self.exemptions is not None and bool(self.exemptions.why(peer))

    def offended(self, peer: str, cause: str, reason: str) -> bool:
        """Report a peer if that cause is configured; True when it is listed now."""
        return cause in self.settings.report and self.report(peer, REPORTED[cause], reason)

    def report(self, peer: str, rule: str, reason: str, seconds: float | None = None) -> bool:
        """List a peer for so long; False when it is exempt."""
        network = network_of_peer(peer)
        if network is None or self.exempt(peer):
            return False
        seconds, now = self.settings.time if seconds is None else seconds, self._now()
        before = self._added.get(network) or self._listed.get(network)
        if before is not None and before.active(now):
            one = attrs.evolve(before, times=before.times + 1)
            if before.until is None or now + seconds - before.until < WORTH_WRITING_SECONDS:
                self._put(one)
                return True
            one = attrs.evolve(one, until=now + seconds)
        else:
            one = Offender(network, now, now + seconds, rule, reason)
            text = "{network} is blocked for {seconds} s: {rule}: {reason}"
            self._log.info(text, network=network_text(network), seconds=int(seconds), rule=rule, reason=reason)
            self._make_room()
        self._keep(one)
        return True

    # What administrators ask.

    def add(self, network: Network, seconds: float | None, reason: str) -> Offender:
        """List a network, for so long or without end; raise ValueError with a remedy."""
        if self.exemptions is not None and (why := self._exempt_as_a_whole(network)):
            raise ValueError(f"{network_text(network)} is exempt ({why}), so listing it would change nothing")
        if network not in self._added and len(self._added) >= MAX_ADDED:
            raise ValueError(
                f"there are {MAX_ADDED} entries of administrators already: remove some, or name wider networks"
            )
        now = self._now()
        one = Offender(
            network, now, None if seconds is None else now + seconds, ADMINISTRATOR, reason, by_administrator=True
        )
        self._keep(one)
        return one

    def remove(self, network: Network) -> list[Offender]:
        """Take a network, and every entry within it, off the list; those that were there."""
        gone = [
            one for one in self.entries() if one.network.version == network.version and _within(one.network, network)
        ]
        for one in gone:
            self._drop(one.network)
        return gone

    def clear(self) -> list[Offender]:
        """Take off all that rules have put there; those that were there."""
        gone = [one for one in self.entries() if not one.by_administrator]
        for one in gone:
            self._drop(one.network)
        return gone

    def entries(self) -> list[Offender]:
        """All that are in force, oldest first."""
        now = self._now()
        both = [*self._listed.values(), *self._added.values()]
        return sorted((one for one in both if one.active(now)), key=lambda one: one.since)

    # What is done by the clock.

    async def follow(self) -> None:
        """Forget what has ended, and learn what other processes have changed."""
        now = self._now()
        both = (*self._listed.values(), *self._added.values())
        for one in list(islice((one for one in both if not one.active(now)), MAX_FORGOTTEN)):
            self._drop(one.network)
        changes = self._changes
        rows: Sequence[Offender] | None = await self._store.changed()
        while rows is not None and changes != self._changes:
            # Something was changed here while the store was being read: what was read is old already.
            changes = self._changes
            rows = await self._store.read()
        if rows is not None:
            self.load(rows)

    def _exempt_as_a_whole(self, network: Network) -> str:
        assert self.exemptions is not None
        first = self.exemptions.why(str(network.network_address))
        last = self.exemptions.why(str(network.broadcast_address))
        return first if first == last else ""

    def _make_room(self) -> None:
        while len(self._listed) >= MAX_LISTED:
            self._drop(next(iter(self._listed)))

    def _keep(self, one: Offender) -> None:
        self._put(one)
        self._changes += 1
        self._watch(self._store.put(one))

    def _put(self, one: Offender) -> None:
        network = one.network
        self._added.pop(network, None)
        self._listed.pop(network, None)
        # At the end: it is the one that has most of its time left.
        (self._added if one.by_administrator else self._listed)[network] = one
        table = self._tables.setdefault((network.version, network.prefixlen), {})
        table[_leading(network)] = network

    def _drop(self, network: Network) -> None:
        self._listed.pop(network, None)
        self._added.pop(network, None)
        key = network.version, network.prefixlen
        table = self._tables[key]
        del table[_leading(network)]
        if not table:
            del self._tables[key]
        self._changes += 1
        self._watch(self._store.remove(network))

    def _watch(self, done: Deferred[Any]) -> None:
        # In memory it holds all the same; what is lost is that it outlives the process.
        _ = done.addErrback(lambda failure: self._log.failure("The list of offenders could not be written", failure))


def _end(one: Offender) -> float:
    return float("inf") if one.until is None else one.until


def _leading(network: Network) -> int:
    return int(network.network_address) >> (network.max_prefixlen - network.prefixlen)


def _within(inner: Network, outer: Network) -> bool:
    return inner.prefixlen >= outer.prefixlen and inner.network_address in outer
