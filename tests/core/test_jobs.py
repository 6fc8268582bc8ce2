"""Jobs of a group worker."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.jobs import perform_each


class PerformTests(SynchronousTestCase):
    """Each by itself."""

    def test_fault(self) -> None:
        """One that fails gives its exception, and the others what they return."""
        first, fault, last = perform_each([lambda: 1, lambda: 1 // 0, lambda: None])
        self.assertEqual((first, last), (1, None))
        self.assertIsInstance(fault, ZeroDivisionError)
        self.assertEqual(perform_each([]), [])
