"""Expansions as people read them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.expansion import Expansion, Kind, Means, Step, Target


class ExpansionTests(SynchronousTestCase):
    """What an expansion says."""

    def test_lines(self) -> None:
        """Each step with its place, deeper ones further in; then each end in words; at last what went wrong."""
        steps = (
            Step(0, "a@example.org", Means.ALIAS, "aliases:1", ("b", "c@example.net")),
            Step(1, "b", Means.GROUP, "groups:7", ("d",)),
        )
        targets = tuple(Target(kind, "x@example.net", "thing") for kind in Kind)
        lines = Expansion("a@example.org", steps, targets, "no way").lines()
        self.assertEqual(lines[0], "a@example.org -> b, c@example.net  (alias, aliases:1)")
        self.assertEqual(lines[1], "  b -> d  (group, groups:7)")
        self.assertEqual(len({line for line in lines if line.startswith("=> ")}), len(Kind) - 1)
        self.assertEqual(lines[-1], "!! no way")
        self.assertEqual(Expansion("a", (), ()).lines(), [])

    def test_plain(self) -> None:
        """An address that stands for itself has no steps and no problem."""
        self.assertTrue(Expansion("a", (), (Target(Kind.MAILBOX, "a", "a"),)).is_plain)
        self.assertFalse(Expansion("a", (), (), "loop").is_plain)
        self.assertFalse(Expansion("a", (Step(0, "a", Means.ALIAS, "f:1", ("b",)),), ()).is_plain)
