"""When a worker that has died gets a successor."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.app.crew.lives import HEALTHY_SECONDS, MAX_DEATHS, Lives


class LivesTests(SynchronousTestCase):
    """Growing pauses, and an end."""

    def test_pauses_grow(self) -> None:
        """Each death in quick succession doubles the pause; the last one is the end."""
        lives = Lives()
        pauses = [lives.died(1.0) for _ in range(MAX_DEATHS)]
        self.assertEqual(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, None])

    def test_healthy(self) -> None:
        """Who lived for a minute was healthy: counting begins anew. Who lived for less was not."""
        lives = Lives()
        for _ in range(MAX_DEATHS - 1):
            lives.died(HEALTHY_SECONDS - 0.1)
        self.assertEqual(lives.died(HEALTHY_SECONDS), 0.5)
        self.assertEqual(lives.died(0.0), 1.0)
