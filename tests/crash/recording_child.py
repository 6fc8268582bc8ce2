"""
Facts stored from a command, one after the other, until somebody kills the process.

``python -m tests.crash.recording_child DIRECTORY FIRST`` begins with the group of that number, and writes a line to standard
output for each that is durable.
"""

from __future__ import annotations

import os
import sys
from itertools import count

from hermes.core.event import Event, Kind
from hermes.core.identifiers import imported_id
from hermes.spool.recording import record

#: Facts of a group, which are stored in one transaction.
GROUP = 20


def facts(number: int) -> list[Event]:
    """The facts of a group."""
    ids = [imported_id(b"%08d" % (number * GROUP + each)) for each in range(GROUP)]
    return [Event(1_800_000_000.0 + number, Kind.IMPORTED, each, "anna", None, f"<{each}@example.org>") for each in ids]


def main() -> None:
    """Store facts for ever."""
    for number in count(int(sys.argv[2])):
        record(sys.argv[1], facts(number))
        os.write(1, f"{number}\n".encode("ascii"))


if __name__ == "__main__":
    main()
