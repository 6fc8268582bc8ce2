"""
How reports are written and how many: what follows from ``[reports]``, and what is remembered of those that went out.

A forged sender gets the reports about mail that somebody else has sent (backscatter). Most of that mail is refused in the
session, which costs nobody a report; of the rest no address and no domain gets more than so many reports an hour.
"""

from __future__ import annotations

from collections import OrderedDict

import attrs

from hermes.config.sections.reports import ReportsSettings
from hermes.core import address as addresses
from hermes.core.message import NewMessage
from hermes.core.rate import WindowCount
from hermes.core.report_wording import ENGLISH, Wording

#: Reports to all addresses of a domain, as a multiple of those to one: enough for a busy site, and forgers who make up a name
#: for each message do not get round the limit.
DOMAIN_FACTOR = 10

#: Addresses and domains that are counted at once: some megabytes. Who wants to be forgotten has to have so many others told,
#: which the limit of their domains makes slow.
MAX_COUNTED = 20_000

#: RFC 3461 6.1: the only value that NOTIFY may have for a report.
NEVER = frozenset({"NEVER"})

_HOUR = 3600


@attrs.frozen
class Told:
    """A letter to somebody about a message, what it tells (the word for the trace), and of how many recipients."""

    report: NewMessage
    action: str
    recipients: int


@attrs.frozen
class Reporting:
    """The settings of ``[reports]`` and the words that go with them."""

    settings: ReportsSettings = attrs.field(factory=ReportsSettings)
    wording: Wording = ENGLISH


class Allowance:
    """Counts the reports to addresses and domains, in memory: a restart forgets them."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, WindowCount] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def take(self, address: str, now: float, most: int) -> bool:
        """True when one more may go to that address now, which is then counted; what is refused is not."""
        counts = [self._count(addresses.key(address)), self._count(f"@{addresses.domain_of(address)}")]
        within = all(
            count.at(now) + 1 <= limit for count, limit in zip(counts, (most, most * DOMAIN_FACTOR), strict=True)
        )
        if within:
            for count in counts:
                count.add(1)
        while len(self._counts) > MAX_COUNTED:
            self._counts.popitem(last=False)
        return within

    def _count(self, key: str) -> WindowCount:
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = WindowCount(_HOUR)
        self._counts.move_to_end(key)
        return count
