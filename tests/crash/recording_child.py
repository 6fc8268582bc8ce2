"""
A command that stores facts, group after group, and dies before one of its statements to the database.

``python -m tests.crash.recording_child BASE`` does that once for every statement there is: see :mod:`tests.crash.mortal`.
"""

from __future__ import annotations

import sqlite3

from hermes.core.event import Event, Kind
from hermes.core.identifiers import imported_id
from hermes.spool import recording
from tests.crash.day import Log
from tests.crash.mortal import Death, main

#: Groups, each of which is stored in one transaction, and the facts of one.
GROUPS = 3
GROUP = 4


def facts(number: int) -> list[Event]:
    """The facts of a group."""
    ids = [imported_id(b"%08d" % (number * GROUP + each)) for each in range(GROUP)]
    return [Event(1_800_000_000.0 + number, Kind.IMPORTED, each, "anna", None, f"<{each}@example.org>") for each in ids]


def live(death: Death, directory: str) -> None:
    """Store all groups."""
    log, connect = Log(directory), recording.connect

    def connected(directory: str) -> sqlite3.Connection:
        connection = connect(directory)
        # A step is a line.
        connection.set_trace_callback(lambda statement: death.before(" ".join(statement.split())))
        return connection

    recording.connect = connected
    for number in range(GROUPS):
        recording.record(directory, facts(number))
        log.note("recorded", str(number))


if __name__ == "__main__":
    main(live)
