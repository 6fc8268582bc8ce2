"""What the gate remembers, in one process and in several: the same questions, the same answers."""

from __future__ import annotations

import os
import warnings

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.schema import LimitsSettings
from hermes.net.counts import Counts, OwnCounts, SharedCounts, SharedTables
from hermes.net.gate import Gate

PEER = "192.0.2.1"


class CountsTests(SynchronousTestCase):
    """Both kinds alike."""

    def both(self) -> list[Counts]:
        """One of each kind."""
        return [OwnCounts(), SharedCounts(SharedTables(2), 1)]

    def test_connections(self) -> None:
        """Who comes is counted under every key and in all, and is gone after leaving."""
        for counts in self.both():
            counts.enter("a", "n")
            counts.enter("b", "n")
            counts.enter()
            self.assertEqual([counts.connections(key) for key in ("a", "b", "n", "c")], [1, 1, 2, 0])
            self.assertEqual((counts.total(), counts.own), (3, 3))
            counts.leave("a", "n")
            counts.leave()
            self.assertEqual([counts.connections(key) for key in ("a", "b", "n")], [0, 1, 1])
            self.assertEqual((counts.total(), counts.own), (1, 1))

    def test_level(self) -> None:
        """What happened drains away evenly, one event in each pause."""
        for counts in self.both():
            for _ in range(3):
                counts.happened("a", 100.0, 10.0)
            self.assertEqual(counts.level("a", 100.0, 10.0), 3.0)
            self.assertEqual(counts.level("a", 115.0, 10.0), 1.5)
            self.assertEqual(counts.level("a", 200.0, 10.0), 0.0)
            self.assertEqual(counts.level("b", 100.0, 10.0), 0.0)

    @given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh"), st.integers(0, 2))))
    def test_shared_is_never_too_small(self, steps: list[tuple[bool, str, int]]) -> None:
        """Whatever several processes count, none sees fewer connections of an address than there are."""
        tables = SharedTables(3, b"salt")
        processes = [SharedCounts(tables, number) for number in range(3)]
        exact: dict[tuple[str, int], int] = {}
        for comes, key, number in steps:
            here = exact.get((key, number), 0)
            if comes:
                processes[number].enter(key)
            elif here:
                processes[number].leave(key)
            exact[key, number] = here + 1 if comes else max(0, here - 1)
        self.assertEqual([each.total() for each in processes], [sum(exact.values())] * 3)
        for key in "abcdefgh":
            found = {each.connections(key) for each in processes}
            self.assertEqual(len(found), 1)
            self.assertGreaterEqual(found.pop(), sum(count for (one, _), count in exact.items() if one == key))


class SharedTests(SynchronousTestCase):
    """Gates of several processes at one set of tables."""

    def gates(self, **limits: int) -> list[Gate]:
        """Two gates."""
        self.clock = Clock()
        self.tables = SharedTables(2)
        settings = LimitsSettings(**{"connections": 9, "per_address": 9, "per_network": 9, "rate": 99} | limits)  # type: ignore[arg-type]
        return [Gate(settings, self.clock.seconds, None, SharedCounts(self.tables, number)) for number in range(2)]

    def test_limits_hold_for_all(self) -> None:
        """What one process has let in counts at the other, for every limit, and makes room there when it leaves."""
        for limit in ("connections", "per_address", "per_network", "rate"):
            one, other = self.gates(**{limit: 2})
            self.assertEqual([gate.admit(PEER).accepted for gate in (one, other)], [True, True])
            self.assertEqual([gate.admit(PEER).rule for gate in (one, other)], [f"limits.{limit}"] * 2)
            self.assertEqual((one.connections, other.connections), (1, 1))
            if limit != "rate":
                one.left(PEER)
                self.assertTrue(other.admit(PEER).accepted)

    def test_a_process_that_dies(self) -> None:
        """Its connections are forgotten when its table is cleared; the others' are not."""
        one, other = self.gates(per_address=2)
        one.admit(PEER)
        other.admit(PEER)
        self.tables.clear(0)
        self.assertEqual((one.connections, other.connections), (0, 1))
        self.assertEqual([other.admit(PEER).accepted for _ in range(2)], [True, False])

    def test_what_left_before_it_came(self) -> None:
        """A connection that leaves after its process's table was cleared brings nothing below zero."""
        one, other = self.gates(connections=1)
        one.admit(PEER)
        self.tables.clear(0)
        one.left(PEER)
        self.assertEqual(one.connections, 0)
        self.assertEqual([other.admit(PEER).accepted for _ in range(2)], [True, False])

    def test_processes(self) -> None:
        """A process that was forked afterwards writes to the same tables."""
        _, other = self.gates(per_address=1)
        with warnings.catch_warnings():
            # Other tests have left threads behind; the child touches nothing of theirs.
            warnings.simplefilter("ignore", DeprecationWarning)
            process = os.fork()
        if process == 0:
            SharedCounts(self.tables, 0).enter(f"address {PEER}", "network 192.0.2.0/24")
            os._exit(0)
        os.waitpid(process, 0)
        self.assertEqual(other.admit(PEER).rule, "limits.per_address")
