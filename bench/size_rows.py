"""What a large queue and many accounts do to the speed: servers that differ in nothing else, in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import load, plots
from bench.load import Load
from bench.pairs import Options, Row, in_turn
from bench.process import free_ports
from bench.site import Hermes
from bench.table import Section
from tests.bench.filled_spool import fill

QUEUES, ACCOUNTS = (0, 1000, 10_000, 100_000), (10, 1000, 100_000)

LOAD = Load(2000, 4096, 10, True)

#: None of what waits becomes due while anything is measured.
WAIT_SECONDS = 10 * 365 * 86400.0


def measure(options: Options, root: Path) -> Section:
    """All rows: each size beside the smallest."""
    plots.need()
    queues = [options.scaled(size, 10) if size else 0 for size in QUEUES]
    accounts = [10, *(options.scaled(size, 20) for size in ACCOUNTS[1:])]
    rows = [
        _beside(
            "{:,} messages in the queue",
            queues,
            lambda size: _with_queue(root / f"queue{size}", size, options),
            options,
        ),
        _beside(
            "{:,} accounts", accounts, lambda size: _with_accounts(root / f"accounts{size}", size, options), options
        ),
    ]
    (queue_rows, version), (account_rows, _) = rows
    curves = {
        "messages in the queue": dict(zip(queues[1:], queue_rows, strict=True)),
        "accounts": dict(zip(accounts[1:], account_rows, strict=True)),
    }
    return Section(
        "sizes",
        "the smallest",
        options,
        [version],
        [*queue_rows, *account_rows],
        unit="messages/s",
        picture=lambda to: plots.sizes(curves, to),
    )


def _beside(what: str, sizes: list[int], make: Callable[[int], Hermes], options: Options) -> tuple[list[Row], str]:
    one = Load(options.scaled(LOAD.messages, 200), LOAD.octets, LOAD.sessions, LOAD.kept)
    small, *larger = [make(size) for size in sizes]
    small.start()
    try:
        rows = []
        for size, site in zip(sizes[1:], larger, strict=True):
            site.start()
            try:
                rows.append(
                    in_turn(
                        f"{what.format(size)}, beside {sizes[0]}",
                        options.pairs,
                        partial(load.delivered_per_second, site, one),
                        partial(load.delivered_per_second, small, one),
                    )
                )
            finally:
                site.stop()
        return rows, small.version()
    finally:
        small.stop()


def _with_queue(root: Path, size: int, options: Options) -> Hermes:
    site = Hermes(root, free_ports(1)[0], options.workers)
    if size:
        fill(str(root / "data" / "spool"), size, time.time(), wait_seconds=WAIT_SECONDS)
    return site


def _with_accounts(root: Path, size: int, options: Options) -> Hermes:
    return Hermes(root, free_ports(1)[0], options.workers, accounts=(f"person{number}" for number in range(size - 1)))
