"""What ``hermes check`` looks at where mail waits: what is paused, and whether the clock has been elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hermes.cli.finding import Finding, fail, warn
from hermes.cli.output import Refused
from hermes.cli.pauses import paused
from hermes.config.places import shards, spool_directory
from hermes.config.schema import Settings
from hermes.spool.errors import SpoolError
from hermes.spool.reader import SpoolReader

#: Two clocks that are kept right differ by less, and a clock that is put right in small steps goes back by less.
AHEAD_SECONDS = 60.0


def inspect_queue(settings: Settings) -> Iterator[Finding]:
    """Look at all of it; whether the stores are whole is asked elsewhere."""
    yield from _pauses(settings)
    yield from _clock(settings)


def _pauses(settings: Settings) -> Iterator[Finding]:
    # A server does not start with a damaged list.
    try:
        count = len(paused(settings))
    except Refused as error:
        yield fail("pauses", str(error))
        return
    if count:
        yield warn(
            "pauses",
            f"{count} in force, for which mail waits: hermes queue pause -c {settings.file} lists them",
        )


def _clock(settings: Settings) -> Iterator[Finding]:
    ahead = 0
    for shard in shards(settings):
        try:
            with SpoolReader(spool_directory(settings, shard)) as spool:
                ahead += spool.accepted_after(time.time() + AHEAD_SECONDS)
        except SpoolError:
            # Another line says so.
            continue
    if ahead:
        text = (
            f"{ahead} message{'' if ahead == 1 else 's'} in the queue came in the future: the clock was ahead then, or is behind "
            f"now. What was put off waits for that time: set the clock right, then hermes queue retry -c {settings.file}"
        )
        yield warn("clock", text)
