"""Which destinations shall stay on disk."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.busy import Busy


class BusyTests(SynchronousTestCase):
    """Names, and all of an agent but some."""

    def test_names(self) -> None:
        """Without agents the names are all."""
        busy = Busy(frozenset({"direct:x.test"}))
        self.assertIn("direct:x.test", busy)
        self.assertNotIn("direct:y.test", busy)
        self.assertNotIn("direct:x.test", Busy())

    def test_agents(self) -> None:
        """All destinations of an agent but those that are spared; a name counts all the same."""
        busy = Busy(frozenset({"direct:x.test"}), frozenset({"direct"}), frozenset({"direct:x.test", "direct:y.test"}))
        found = {
            name
            for name in ("direct:x.test", "direct:y.test", "direct:z.test", "directly:z", "local:a")
            if name in busy
        }
        self.assertEqual(found, {"direct:x.test", "direct:z.test"})
        self.assertNotIn(None, busy)
