"""
How many of the connections that the gate refuses are worth a line in the trace.

Whoever floods the server with connections must not be able to flood the trace and the mail log with refusals. The first ones
of each minute are recorded one by one; of the others the next record tells the number.
"""

from __future__ import annotations

#: One a second on the average tells an administrator all there is to know, and costs nothing.
MAX_RECORDED = 60

#: The time for which they are counted.
WINDOW_SECONDS = 60.0


class TurnedAway:
    """Counts the refusals of one listener."""

    def __init__(self) -> None:
        self._began = float("-inf")
        self._recorded = 0
        self._unrecorded = 0

    def record(self, now: float) -> int | None:
        """Count one at ``now`` seconds: None when it is not to be recorded, else how many before it were not."""
        if now - self._began >= WINDOW_SECONDS:
            self._began = now
            self._recorded = 0
        if self._recorded >= MAX_RECORDED:
            self._unrecorded += 1
            return None
        self._recorded += 1
        unrecorded, self._unrecorded = self._unrecorded, 0
        return unrecorded
