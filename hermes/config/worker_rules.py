"""How many processes do the work."""

from __future__ import annotations

import os
from collections.abc import Iterator

from hermes.config.finding import Finding
from hermes.config.schema import Settings
from hermes.core.identifiers import MAX_SHARDS

#: Instead of a number: one to each processor core that we may use.
CORES = "cores"


def worker_findings(settings: Settings) -> Iterator[Finding]:
    """What is wrong with the number of workers."""
    text = settings.hermes.workers
    if text != CORES and not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_SHARDS):
        yield Finding(
            (("hermes", "workers"),), f"{text!r} is not a number of workers: write 1 to {MAX_SHARDS}, or {CORES}"
        )


def workers_of(settings: Settings) -> int:
    """The number of workers that the settings ask for on this machine."""
    text = settings.hermes.workers
    return min(len(os.sched_getaffinity(0)), MAX_SHARDS) if text == CORES else int(text)
