"""
``python -m bench``: the table of docs/performance.md.

Hermes and Postfix take turns within each row; the figure is the median over the pairs, with the smallest and the greatest ratio
beside it. Every row counts what arrived and compares bodies.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs

from bench import load, table
from bench.load import Load, Sink
from bench.postfix import Postfix
from bench.process import free_ports
from bench.site import Hermes

KIB, MB = 1024, 1024**2

DELIVERED = [
    Load(1000, 4 * KIB, 1, False),
    Load(2000, 4 * KIB, 10, False),
    Load(2000, 4 * KIB, 40, False),
    Load(1000, 4 * KIB, 1, True),
    Load(2000, 4 * KIB, 10, True),
    Load(2000, 4 * KIB, 40, True),
    Load(100, MB, 1, False),
    Load(200, MB, 10, False),
    Load(200, MB, 40, False),
    Load(100, MB, 1, True),
    Load(200, MB, 10, True),
    Load(200, MB, 40, True),
]

RELAYED = [
    Load(500, 4 * KIB, 1, False),
    Load(1000, 4 * KIB, 10, False),
    Load(1000, 4 * KIB, 40, True),
    Load(100, MB, 10, False),
]

Measure = Callable[[load.Server, Load], float]


@attrs.frozen
class Row:
    """One row of the table: messages a second of each, pair by pair."""

    what: str
    hermes: list[float]
    postfix: list[float]

    @property
    def ratios(self) -> list[float]:
        """Hermes over Postfix in each pair."""
        return [ours / theirs for ours, theirs in zip(self.hermes, self.postfix, strict=True)]

    def cells(self) -> list[str]:
        """The row as text."""
        ratios = self.ratios
        return [
            self.what,
            f"{statistics.median(self.hermes):.0f}",
            f"{statistics.median(self.postfix):.0f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} - {max(ratios):.2f}",
        ]


def measure(what: str, one: Load, pairs: int, servers: tuple[Hermes, Postfix], measured: Measure) -> Row:
    """Measure one row; who goes first changes from pair to pair."""
    results: dict[str, list[float]] = {"hermes": [], "postfix": []}
    for pair in range(pairs):
        for server in servers if pair % 2 == 0 else reversed(servers):
            results[server.name].append(measured(server, one))
    row = Row(f"{what}: {one}", results["hermes"], results["postfix"])
    print(" | ".join(row.cells()), flush=True)
    return row


def main() -> int:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="pairs of measurements in each row (default: 5)")
    parser.add_argument(
        "--quick", action="store_true", help="the two rows that must be reached, three pairs, nothing written"
    )
    parser.add_argument("--workers", default="1", help="what [hermes] workers says (default: 1)")
    options = parser.parse_args()
    delivered, relayed, pairs = DELIVERED, RELAYED, options.pairs
    if options.quick:
        delivered, relayed, pairs = [DELIVERED[1], DELIVERED[7]], [], 3
    with tempfile.TemporaryDirectory(prefix="hermes-bench-") as name:
        root = Path(name)
        (sink_port,) = free_ports(1)
        sink = Sink(sink_port, root / "sink.log")
        hermes, postfix = Hermes(root / "hermes", sink_port, options.workers), Postfix(root / "postfix", sink_port)
        hermes.start()
        try:
            idle_octets = hermes.resident_octets()
            print(f"idle: {table.memory(idle_octets)}", flush=True)
            postfix.start()
            try:
                servers = (hermes, postfix)
                rows = [measure("delivered", one, pairs, servers, load.delivered_per_second) for one in delivered]
                rows += [
                    measure("relayed", one, pairs, servers, lambda s, one: load.relayed_per_second(s, one, sink))
                    for one in relayed
                ]
            finally:
                postfix.stop()
        finally:
            hermes.stop()
            sink.stop()
        if not options.quick:
            facts = [
                f"workers = {options.workers}",
                hermes.version(),
                postfix.version(),
                f"Python {platform.python_version()}",
            ]
            table.write([row.cells() for row in rows], facts, idle_octets, pairs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
