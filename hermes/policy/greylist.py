"""
Greylisting: strangers who write for the first time are told to come again, and those who do are known.

A first try is remembered by the client's network (/24, /64) and the domain of the sender, not by the address and the whole
sender: large senders come again from another machine, and lists write from a new address each time. When it is repeated in time,
the network is known, and whoever writes from it is let in from then on. All is in memory, where a look-up takes microseconds, and
in a file, from which it is read before the first question: when the server starts, or by the reload that switches it on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from zope.interface import implementer

from hermes.config.sections.greylist import GreylistSettings
from hermes.core.address import domain_of
from hermes.core.dns_list import is_ours
from hermes.core.outcome import PASS, Verdict
from hermes.core.peer_address import address_of, network_text
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.interfaces import ICheck
from hermes.policy.dnsbl import whitelisted
from hermes.policy.greylist_store import GreylistStore, Row
from hermes.policy.sender_checks import CONFIRMED, RDNS
from hermes.policy.strangers import is_for_postmaster, is_stranger

#: First tries that are remembered, those of one network, and networks that are known. A flood of new ones makes the oldest
#: forgotten, who are delayed once more. A large provider may have a hundred customers who write for the first time within the
#: delay; all of it takes some 60 MB at the most.
MAX_TRIES = 100_000
MAX_TRIES_OF_ONE = 100
MAX_KNOWN = 100_000

#: That a known network was here again is written down after this time: each mail would be too often.
WORTH_WRITING_SECONDS = 3600.0

#: How often what is too old is looked for.
EXPIRY_SECONDS = 3600.0

#: Stands for the null reverse-path where domains stand.
NULL_SENDER = "<>"


class Contents:
    """By network: the domains of first tries with their times; the last time of each known network, and when it was written."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.tries: OrderedDict[str, dict[str, float]] = OrderedDict()
        self.known: OrderedDict[str, float] = OrderedDict()
        self.written: dict[str, float] = {}
        self.count = 0
        for row in rows:
            if row.sender:
                self.tries.setdefault(row.network, {})[row.sender] = row.at
                self.count += 1
            else:
                self.known[row.network] = self.written[row.network] = row.at


class Greylist:
    """
    Who is known, and who has tried; it outlives a reload. ``now`` gives seconds since the epoch.

    Nobody is told to wait before it has been opened.
    """

    def __init__(self, store: GreylistStore, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._is_open = False
        self._expired_at = float("-inf")
        self._take(Contents())
        self._delayed = 0

    async def read(self) -> Contents | None:
        """What is in the file, read by a thread, for :meth:`use`; None when it is in use already. Raises OSError."""
        return None if self._is_open else await self._store.read(Contents)

    def use(self, contents: Contents | None) -> None:
        """Go on from there, unless that has begun already."""
        if contents is None or self._is_open:
            return
        self._take(contents)
        self._store.start()
        self._is_open = True

    async def open(self) -> None:
        """Read the file, unless that has been done, and go on from there. Raises OSError."""
        self.use(await self.read())

    @property
    def is_open(self) -> bool:
        """Whether it can be asked."""
        return self._is_open

    def _take(self, contents: Contents) -> None:
        self._tries, self._known = contents.tries, contents.known
        self._written, self._count = contents.written, contents.count

    async def close(self) -> None:
        """Write what waits."""
        await self._store.close()

    def describe(self) -> dict[str, int]:
        """Counters, for the administrator; nothing while it has not been asked."""
        if not self._is_open:
            return {}
        return {"known": len(self._known), "waiting": self._count, "delayed": self._delayed}

    def wait(self, network: str, sender: str, settings: GreylistSettings) -> float:
        """How many seconds somebody has to wait; 0 when he is let in."""
        assert self._is_open, "the greylist is opened before it is asked"
        now = self._now()
        self._expire(now, settings)
        if self._known.get(network, float("-inf")) > now - settings.remember:
            self._know(network, now)
            return 0.0
        first = self._tries.get(network, {}).get(sender)
        if first is not None and settings.delay <= now - first < settings.window:
            self.remove(network)
            self._know(network, now)
            return 0.0
        self._delayed += 1
        if first is not None and 0 <= now - first < settings.delay:
            return settings.delay - (now - first)
        self._try(network, sender, now)
        return float(settings.delay)

    def remove(self, network: str) -> bool:
        """Forget a network; False when nothing is known of it."""
        assert self._is_open, "the greylist is opened before anything is removed"
        tries = self._tries.pop(network, {})
        self._count -= len(tries)
        self._written.pop(network, None)
        found = self._known.pop(network, None) is not None or bool(tries)
        if found:
            self._store.remove(network)
        return found

    def _know(self, network: str, now: float) -> None:
        self._known[network] = now
        self._known.move_to_end(network)
        if now - self._written.get(network, float("-inf")) >= WORTH_WRITING_SECONDS:
            self._written[network] = now
            self._store.put(Row(network, "", now))
        if len(self._known) > MAX_KNOWN:
            self.remove(next(iter(self._known)))

    def _try(self, network: str, sender: str, now: float) -> None:
        tries = self._tries.setdefault(network, {})
        self._tries.move_to_end(network)
        self._count += sender not in tries
        tries.pop(sender, None)
        tries[sender] = now
        self._store.put(Row(network, sender, now))
        if len(tries) > MAX_TRIES_OF_ONE:
            # Whoever invents senders crowds out none but himself.
            oldest = next(iter(tries))
            del tries[oldest]
            self._count -= 1
            self._store.remove(network, oldest)
        if self._count > MAX_TRIES:
            self.remove(next(iter(self._tries)))

    def _expire(self, now: float, settings: GreylistSettings) -> None:
        if now - self._expired_at < EXPIRY_SECONDS:
            return
        self._expired_at = now
        first_before, last_before = now - settings.window, now - settings.remember
        for network in [network for network, last in self._known.items() if last <= last_before]:
            del self._known[network]
            self._written.pop(network, None)
        for network, tries in list(self._tries.items()):
            for sender in [sender for sender, first in tries.items() if first <= first_before]:
                del tries[sender]
                self._count -= 1
            if not tries:
                del self._tries[network]
        self._store.expire(first_before, last_before)


@implementer(ICheck)
class GreylistCheck:
    """Delays strangers of whom nothing good is known; it comes last, when all that others have found out is there."""

    name = "greylist"
    stages = (Stage.RECIPIENT,)
    momentary = True

    def __init__(self, settings: GreylistSettings, greylist: Greylist) -> None:
        self._settings = settings
        self._greylist = greylist

    def judge(self, case: Case) -> Verdict:
        """Decide once for all recipients of a message."""
        transaction = case.transaction
        if transaction is None or is_for_postmaster(case) or not is_stranger(case.visit) or is_ours(case.visit.peer):
            return PASS
        verdict = transaction.memory.get(self.name)
        if not isinstance(verdict, Verdict):
            verdict = transaction.memory[self.name] = self._decide(case, transaction.reverse_path)
        return verdict

    def _decide(self, case: Case, reverse_path: str) -> Verdict:
        findings = case.findings
        reverse = findings.get(RDNS)
        if whitelisted(findings):
            return PASS
        if self._settings.spare_confirmed and reverse is not None and reverse.result == CONFIRMED:
            return PASS
        network, sender = network_of(case.visit.peer), domain_of(reverse_path) or NULL_SENDER
        seconds = self._greylist.wait(network, sender, self._settings)
        if not seconds:
            return PASS
        findings.note(self.name, "delayed", f"{network} {sender}")
        minutes = max(1, round(seconds / 60))
        text = f"You are new here: try again in {minutes} minute{'' if minutes == 1 else 's'}"
        return Verdict(Reply.of(451, "4.7.1", text), self.name, f"first mail of {sender} from {network}")


def network_of(peer: str) -> str:
    """The network that an address counts for: those who share one belong together."""
    address = address_of(peer)
    if address is None:
        raise ValueError(f"{peer!r} has no network")
    return network_text(address, 24 if address.version == 4 else 64)
