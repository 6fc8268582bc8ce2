"""What the threads of the spool count for monitoring: how long the disk takes, and how often it fails."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from hermes.core.metric import COUNTER, HISTOGRAM, Family, Histogram, Sample, counter
from hermes.interfaces import SpoolFullError
from hermes.spool.errors import translated

#: Seconds: an fsync of a good SSD takes one or two milliseconds, one of a disk ten or twenty; above a second mail waits for it.
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Faults:
    """Counts faults of the disk; each thread has its own."""

    def __init__(self) -> None:
        self.full = 0
        self.other = 0

    def count(self, fault: BaseException) -> None:
        """Count one."""
        if isinstance(translated(fault), SpoolFullError):
            self.full += 1
        else:
            self.other += 1


class Commits:
    """Counts transactions: ``written`` is how many pieces of work were in them."""

    def __init__(self) -> None:
        self.seconds = Histogram(COMMIT_SECONDS)
        self.written = 0
        self.faults = Faults()


@attrs.frozen
class DiskFigures:
    """What one spool has counted: its transactions, the faults of its body files, and how many events it has lost."""

    commits: Commits
    body_faults: Faults
    events_lost: int


def families_of(spools: Sequence[DiskFigures]) -> list[Family]:
    """The figures of the disk, of all spools together; there is one at least."""
    commits = [each.commits for each in spools]
    faults = [fault for each in spools for fault in (each.commits.faults, each.body_faults)]
    first, *others = (each.seconds for each in commits)
    return [
        Family(
            "hermes_commit_seconds",
            HISTOGRAM,
            "How long transactions of the queue store took, each for all that waited.",
            [Sample(first.value(others))],
        ),
        counter(
            "hermes_commit_writes_total", "Pieces of work made durable by them.", sum(each.written for each in commits)
        ),
        Family(
            "hermes_disk_faults_total",
            COUNTER,
            "Writes to the queue store that failed: the disk was full, or something else.",
            [
                Sample(sum(each.full for each in faults), {"fault": "full"}),
                Sample(sum(each.other for each in faults), {"fault": "other"}),
            ],
        ),
        counter(
            "hermes_events_lost_total",
            "Events of the trace that could not be recorded.",
            sum(each.events_lost for each in spools),
        ),
    ]
