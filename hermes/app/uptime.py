"""How long a process has been up, and how far the clock on the wall has been set meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


class Uptime:
    """
    Since it was made. ``seconds`` is the reactor's clock, which is that on the wall; ``steady`` one that nobody sets.

    All that the reactor does at a time it does by the clock on the wall: set back by an hour, it does it an hour late. A machine
    that sleeps looks as if its clock were set ahead, which holds nothing up.
    """

    def __init__(self, seconds: Callable[[], float], steady: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._steady = steady
        self._began_at = seconds()
        self._began = steady()

    def describe(self) -> dict[str, int]:
        """For the status."""
        up_seconds = self._steady() - self._began
        return {
            "process": os.getpid(),
            "up_seconds": int(up_seconds),
            "clock_set_by_seconds": round(self._seconds() - self._began_at - up_seconds),
        }
