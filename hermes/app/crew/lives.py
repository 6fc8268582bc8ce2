"""When a worker that has died gets a successor."""

from __future__ import annotations

#: Who has lived for so long was healthy: the next death is its first.
HEALTHY_SECONDS = 60.0

#: The pause before a successor, doubled with each death in quick succession: a fault that is over in a moment is met at once, and
#: one that stays does not keep the processor busy.
FIRST_PAUSE_SECONDS = 0.5

#: Deaths in quick succession after which a worker is given up until the next start of the server: 15 s have gone by then, and
#: whatever kills it comes again each time. What it has in its queue goes to another one.
MAX_DEATHS = 6


class Lives:
    """The deaths of one worker."""

    def __init__(self) -> None:
        self._deaths = 0

    def died(self, lived_seconds: float) -> float | None:
        """The pause before the next life in seconds; None when there shall be none."""
        self._deaths = 1 if lived_seconds >= HEALTHY_SECONDS else self._deaths + 1
        if self._deaths >= MAX_DEATHS:
            return None
        return float(FIRST_PAUSE_SECONDS * 2 ** (self._deaths - 1))
