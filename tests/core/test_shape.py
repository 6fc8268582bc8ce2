"""Adding up what several stores say of their parts of the queue."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.shape import AGES, Counted, merged, sum_of


class SumTests(SynchronousTestCase):
    """sum_of() and merged()."""

    def test_counts(self) -> None:
        """Numbers are added, and the oldest of all is the oldest; nothing is nothing."""
        self.assertEqual(sum_of([]), Counted())
        parts = [Counted(1, 2, 1, 100, 50.0), Counted(), Counted(3, 3, 0, 10, 40.0)]
        self.assertEqual(sum_of(parts), Counted(4, 5, 1, 110, 40.0))

    def test_shapes(self) -> None:
        """Lines of the same name become one."""
        self.assertEqual(merged([{"a": [1, 0], "b": [0, 2]}, {"b": [1, 1]}]), {"a": [1, 0], "b": [1, 3]})
        self.assertEqual(merged([]), {})

    def test_ages(self) -> None:
        """Each age is twice the one before."""
        self.assertEqual(list(AGES[1:]), [2 * age for age in AGES[:-1]])
