"""How long a process has been up, whatever becomes of the clock on the wall."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from hermes.app.uptime import Uptime


class UptimeTests(SynchronousTestCase):
    """describe()."""

    def test_clock(self) -> None:
        """The time since the start is what has passed, and not what the clock on the wall says; what that was set by is told."""
        wall, steady = 1_800_000_000.0, 500.0
        uptime = Uptime(lambda: wall, lambda: steady)
        for passed, set_by in ((0, 0), (90, 0), (90, 3600), (90, -3600), (86_400, -86_400_000)):
            wall, steady = 1_800_000_000.0 + passed + set_by, 500.0 + passed
            self.assertEqual(
                uptime.describe(),
                {"process": os.getpid(), "up_seconds": passed, "clock_set_by_seconds": set_by},
            )
