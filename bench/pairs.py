"""One row of a table: Hermes and another server measured in turn, pair by pair."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import attrs


@attrs.frozen
class Options:
    """What was asked for on the command line; ``scale`` makes everything smaller that is counted or lasts, to try a row out."""

    pairs: int = 5
    scale: float = 1.0
    workers: str = "1"

    def scaled(self, count: int, least: int = 1) -> int:
        """A number of messages, accounts, connections or seconds."""
        return max(least, round(count * self.scale))


@attrs.frozen
class Row:
    """Rates of each, pair by pair: how many a second, so that more is better."""

    what: str
    hermes: list[float]
    peer: list[float]

    @property
    def ratios(self) -> list[float]:
        """Hermes over the other in each pair."""
        return [ours / theirs for ours, theirs in zip(self.hermes, self.peer, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    def cells(self) -> list[str]:
        """The row as text."""
        ratios = self.ratios
        return [
            self.what,
            figure(statistics.median(self.hermes)),
            figure(statistics.median(self.peer)),
            f"{self.ratio:.2f}",
            f"{min(ratios):.2f} - {max(ratios):.2f}",
        ]


def figure(number: float) -> str:
    """A rate with as many digits as mean something."""
    return f"{number:.0f}" if number >= 10 else f"{number:.2f}"


def in_turn(what: str, pairs: int, hermes: Callable[[], float], peer: Callable[[], float]) -> Row:
    """Measure a row, and print it; who goes first changes from pair to pair."""
    ours: list[float] = []
    theirs: list[float] = []
    for pair in range(pairs):
        turns = [(ours, hermes), (theirs, peer)]
        for results, measured in turns if pair % 2 == 0 else reversed(turns):
            results.append(measured())
    row = Row(what, ours, theirs)
    print(" | ".join(row.cells()), flush=True)
    return row
