"""Hosts that something was wrong with are remembered for a while, and not too many of them."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.services.host_memory import HostMemory


class HostMemoryTests(SynchronousTestCase):
    """A set that forgets."""

    def setUp(self) -> None:
        """Ten seconds, three hosts."""
        self.clock = Clock()
        self.memory = HostMemory(self.clock.seconds, seconds=10, max_hosts=3)

    def test_forgets_with_time(self) -> None:
        """A host is remembered until its time is over."""
        self.assertNotIn("192.0.2.1", self.memory)
        self.memory.remember("192.0.2.1")
        self.clock.advance(9.9)
        self.assertIn("192.0.2.1", self.memory)
        self.clock.advance(0.1)
        self.assertNotIn("192.0.2.1", self.memory)

    def test_forgets_on_demand(self) -> None:
        """A host that is well again is forgotten, known or not."""
        self.memory.remember("192.0.2.1")
        self.memory.forget("192.0.2.1")
        self.memory.forget("192.0.2.2")
        self.assertNotIn("192.0.2.1", self.memory)

    def test_bounded(self) -> None:
        """The one that was remembered first goes first, when there are too many."""
        for host in ("a", "b", "c", "a"):
            self.memory.remember(host)
        self.assertEqual([host in self.memory for host in "abc"], [True, True, True])
        self.memory.remember("d")
        self.assertEqual([host in self.memory for host in "abcd"], [True, False, True, True])
