"""
Reading from a file what the system has in memory.

To have a thread read costs ten times what a small reading costs, because the two threads hand Python's lock to one another at
every call of the system. Linux reads with ``RWF_NOWAIT`` (preadv2(2)) only what it has in memory, and says so when it has to
wait.
"""

from __future__ import annotations

import os
from collections.abc import Callable


def _read(descriptor: int, room: bytearray | memoryview, position: int) -> int:
    return os.preadv(descriptor, (room,), position, os.RWF_NOWAIT)


#: Fills the room from a position, or less of it, and says with how many octets: fewer where the rest is not in memory. It raises
#: BlockingIOError where that would take a wait, and an OSError with EOPNOTSUPP where the file system cannot say.
ReadInMemory = Callable[[int, bytearray | memoryview, int], int]

#: Linux only; None elsewhere.
READ_IN_MEMORY: ReadInMemory | None = _read if hasattr(os, "RWF_NOWAIT") else None
