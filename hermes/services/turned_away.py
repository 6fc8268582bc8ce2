"""
How many of the connections that the gate refuses are worth a line in the trace, and how many may stay to hear why.

Whoever floods the server with connections must not be able to flood the trace and the mail log with refusals. The first ones
of each minute are recorded one by one; of the others the next record tells the number. With the small servers, whose refusals
nobody's mail depends on, those within a session are counted with them.

Nor may they fill the process: in the clear a refusal is said and the connection closed, but under TLS it can be said only after
a handshake, which the client may never make. Who is refused for good is waited for until QUIT (RFC 5321 3.1), which may never
come.
"""

from __future__ import annotations

#: One a second on the average tells an administrator all there is to know, and costs nothing.
MAX_RECORDED = 60

#: The time for which they are counted.
WINDOW_SECONDS = 60.0

#: Connections that may stay: under TLS until they have heard their refusal, and those that are refused for good until they have
#: said QUIT. Each costs a descriptor, and under TLS some 50 KB, for a minute and a half at most.
MAX_LINGERING = 50


class TurnedAway:
    """Counts the refusals of one listener, and those among them that stay for a while."""

    def __init__(self) -> None:
        self._began = float("-inf")
        self._recorded = 0
        self._unrecorded = 0
        self._lingering = 0

    def may_linger(self) -> bool:
        """Count one that stays until it has heard its refusal, then :meth:`gone` must follow; False when it may not."""
        if self._lingering >= MAX_LINGERING:
            return False
        self._lingering += 1
        return True

    def gone(self) -> None:
        """One that stayed has gone."""
        self._lingering -= 1

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
