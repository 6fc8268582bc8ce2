"""
Connection control: which entry of ``[access:NAME]`` decides about a peer.

An exact address wins over every range, a narrower range over a wider one; among ranges of one size the first in the file wins.
The entries of a server are compiled once, into a list of places where the answer changes; a look-up is one search by bisection
in it, however many entries there are.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Mapping

from zope.interface import implementer

from hermes.config.schema import ACCESS_SERVERS, AccessSettings
from hermes.core.access_entry import AccessEntry
from hermes.core.address_range import AddressRange
from hermes.core.peer_address import address_of
from hermes.interfaces import IAccess

_Ranges = list[tuple[AddressRange, AccessEntry]]


class _Table:
    """The ranges of one IP version at one server: ``starts`` has the first address of each stretch that one entry decides."""

    def __init__(self, ranges: _Ranges) -> None:
        self._starts: list[int] = []
        self._entries: list[AccessEntry | None] = []
        waiting = sorted(enumerate(ranges), key=lambda item: item[1][0].first)
        bounds = sorted({bound for each, _ in ranges for bound in (each.first, each.last + 1)})
        # Those that have begun, the narrowest first; one that has ended is dropped when it comes to the top.
        begun: list[tuple[int, int]] = []
        position = 0
        for bound in bounds:
            while position < len(waiting) and waiting[position][1][0].first == bound:
                order, (each, _) = waiting[position]
                heapq.heappush(begun, (each.size, order))
                position += 1
            while begun and ranges[begun[0][1]][0].last < bound:
                heapq.heappop(begun)
            self._starts.append(bound)
            self._entries.append(ranges[begun[0][1]][1] if begun else None)

    def find(self, address: int) -> AccessEntry | None:
        position = bisect_right(self._starts, address)
        return self._entries[position - 1] if position else None


@implementer(IAccess)
class Access:
    """Connection control of all servers, as one set of settings has it."""

    def __init__(self, entries: Mapping[str, AccessSettings]) -> None:
        self._tables = {
            (server, version): _Table(ranges)
            for server in ACCESS_SERVERS
            for version in (4, 6)
            if (ranges := list(_ranges(entries, server, version)))
        }

    def entry(self, peer: str, server: str) -> AccessEntry | None:
        """The entry that decides about a peer at a server; None when there is none, or the peer has no IP address."""
        if not self._tables:
            return None
        address = address_of(peer)
        if address is None:
            return None
        table = self._tables.get((server, address.version))
        return table.find(int(address)) if table is not None else None


def _ranges(
    entries: Mapping[str, AccessSettings], server: str, version: int
) -> Iterable[tuple[AddressRange, AccessEntry]]:
    for name, settings in entries.items():
        if settings.servers and server not in settings.servers:
            continue
        entry = AccessEntry(
            name,
            settings.action == "refuse",
            settings.relay,
            settings.exempt,
            settings.text,
            settings.unfiltered,
            settings.log,
            settings.login_in_clear,
        )
        for each in settings.addresses:
            if each.version == version:
                yield each, entry
