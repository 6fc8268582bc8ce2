"""
What the gate remembers: how many connections there are, and how fast things have been happening, address by address.

:class:`OwnCounts` is one process's own. :class:`SharedCounts` is several processes' together, in memory that all of them see: it
is written without locks and read without asking anybody, so a connection costs no more than before.
"""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol

from hermes.net import buckets

#: Cells of a shared table. An address has two of them, by different hashes, and its figure is the smaller one: with
#: 1000 connections one address in 4000 is taken for one or two connections more than it has, none for fewer.
CELLS = 16_384

#: What a 16-bit cell holds at most; more connections than that are not let in by any process.
_MAX_CELL = 0xFFFF

#: Connections that one process may have more than another before it leaves new ones to it. Some imbalance is no harm, and under
#: load it says only who is faster.
UNEVEN = 3


class Counts(Protocol):
    """What a gate needs; ``key`` is an address or a network."""

    @property
    def own(self) -> int:
        """The connections of this process."""

    def total(self) -> int:
        """All connections."""

    def connections(self, key: str) -> int:
        """The connections of an address or a network."""

    def enter(self, *keys: str) -> None:
        """Count a connection, for these keys and in all."""

    def leave(self, *keys: str) -> None:
        """It is gone."""

    def level(self, key: str, now: float, pause_seconds: float) -> float:
        """How many events have not drained away yet; one does every ``pause_seconds``."""

    def happened(self, key: str, now: float, pause_seconds: float) -> None:
        """Count an event."""


class OwnCounts:
    """Exact, in dictionaries."""

    def __init__(self) -> None:
        self.own = 0
        self.by_key: dict[str, int] = {}
        #: When everything that has happened will have drained away, by key.
        self._empty_at: OrderedDict[str, float] = OrderedDict()

    def total(self) -> int:
        """All connections."""
        return self.own

    def connections(self, key: str) -> int:
        """The connections of an address or a network."""
        return self.by_key.get(key, 0)

    def enter(self, *keys: str) -> None:
        """Count a connection."""
        self.own += 1
        for key in keys:
            self.by_key[key] = self.by_key.get(key, 0) + 1

    def leave(self, *keys: str) -> None:
        """It is gone."""
        self.own -= 1
        for key in keys:
            count = self.by_key.get(key, 0) - 1
            if count > 0:
                self.by_key[key] = count
            else:
                self.by_key.pop(key, None)

    def level(self, key: str, now: float, pause_seconds: float) -> float:
        """How many events have not drained away yet."""
        moments = self._empty_at
        if key not in moments:
            return 0.0
        moments.move_to_end(key)
        return max(0.0, moments[key] - now) / pause_seconds

    def happened(self, key: str, now: float, pause_seconds: float) -> None:
        """Count an event."""
        moments = self._empty_at
        moments[key] = max(moments.get(key, now), now) + pause_seconds
        moments.move_to_end(key)
        if len(moments) > buckets.MAX_REMEMBERED:
            moments.popitem(last=False)


class SharedTables:
    """
    The memory, made before the processes are forked: it goes when the last of them has gone.

    Every process counts its connections in a table of its own, which nobody else writes, and reads the sum of all: so the
    figures stay right when a process dies, as soon as its table is cleared. Moments are 8 octets each, written and read in one
    piece: of two events that two processes count within the same microsecond one may be lost, and no more.
    """

    def __init__(self, processes: int, salt: bytes | None = None) -> None:
        self.processes = processes
        # Without it an attacker could choose addresses that share cells with a victim's.
        self.salt = os.urandom(16) if salt is None else salt
        self._memory = memoryview(mmap.mmap(-1, 8 * (2 * processes + 2 * CELLS) + 2 * 2 * CELLS * processes))
        moments_octets = 8 * 2 * CELLS
        self.moments = self._memory[:moments_octets].cast("d")
        numbers = self._memory[moments_octets : moments_octets + 8 * 2 * processes].cast("Q")
        self.totals = numbers[:processes]
        #: 1 for a process that accepts connections.
        self.accepting = numbers[processes:]
        cells = self._memory[moments_octets + 8 * 2 * processes :].cast("H")
        self.cells = [cells[n * 2 * CELLS : (n + 1) * 2 * CELLS] for n in range(processes)]

    def clear(self, process: int) -> None:
        """Forget the connections of a process that has ended."""
        self.totals[process] = self.accepting[process] = 0
        self.cells[process][:] = memoryview(bytes(2 * 2 * CELLS)).cast("H")


class SharedCounts:
    """The tables, as one process writes and reads them."""

    def __init__(self, tables: SharedTables, process: int) -> None:
        self._tables = tables
        self._process = process
        self._cells = tables.cells[process]
        self._own: OrderedDict[str, tuple[int, int]] = OrderedDict()

    @property
    def own(self) -> int:
        """The connections of this process."""
        return self._tables.totals[self._process]

    def crowded(self) -> bool:
        """True when another process has fewer connections, and should take the next one."""
        tables = self._tables
        others = [total for total, accepts in zip(tables.totals, tables.accepting, strict=True) if accepts]
        return bool(others) and self.own >= min(others) + UNEVEN

    def total(self) -> int:
        """The connections of all processes."""
        return sum(self._tables.totals)

    def connections(self, key: str) -> int:
        """The connections of an address or a network, at all processes."""
        one, other = self._places(key)
        cells = self._tables.cells
        return min(sum(table[one] for table in cells), sum(table[other] for table in cells))

    def enter(self, *keys: str) -> None:
        """Count a connection."""
        self._tables.totals[self._process] += 1
        self._change(keys, lambda count: min(count + 1, _MAX_CELL))

    def leave(self, *keys: str) -> None:
        """It is gone."""
        self._tables.totals[self._process] = max(0, self._tables.totals[self._process] - 1)
        self._change(keys, lambda count: max(count - 1, 0))

    def level(self, key: str, now: float, pause_seconds: float) -> float:
        """How many events have not drained away yet."""
        one, other = self._places(key)
        moments = self._tables.moments
        return max(0.0, min(moments[one], moments[other]) - now) / pause_seconds

    def happened(self, key: str, now: float, pause_seconds: float) -> None:
        """Count an event."""
        moments = self._tables.moments
        for place in self._places(key):
            moments[place] = max(moments[place], now) + pause_seconds

    def _change(self, keys: tuple[str, ...], change: Callable[[int], int]) -> None:
        for key in keys:
            for place in self._places(key):
                self._cells[place] = change(self._cells[place])

    def _places(self, key: str) -> tuple[int, int]:
        digest = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8, key=self._tables.salt).digest()
        one, other = int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big")
        return one % CELLS, CELLS + other % CELLS
