"""
How fast Hermes is beside its peers now, and how fast it was: ``ratios.json`` has what a quiet machine measured.

Ratios can be compared between machines, because both servers of a row run on the same one; figures cannot.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

FILE = Path(__file__).with_name("ratios.json")

#: What is told: a ratio that fell by more than a fifth. Medians of a few short pairs differ by less on a machine that is quiet.
TOLD_BELOW = 0.8

#: What makes the measurement fail: a ratio that fell by half, when it is seen twice.
BAD_FROM = 0.5

#: The same next to other work, where Postfix with its many processes gets a larger part of the processors than one process: with
#: a load of seven on two cores ratios fell to 0.44 of what they were.
BAD_FROM_WHEN_BUSY = 0.25


@attrs.frozen
class Comparison:
    """One row: its ratio as it was stored, None for a new row, and as it is; ``bad_from`` is the part that is too little."""

    what: str
    stored: float | None
    ratio: float
    bad_from: float = BAD_FROM

    @property
    def has_fallen(self) -> bool:
        """By more than a fifth."""
        return self.stored is not None and self.ratio < TOLD_BELOW * self.stored

    @property
    def is_bad(self) -> bool:
        """By half or more; on a busy machine, by three quarters."""
        return self.stored is not None and self.ratio <= self.bad_from * self.stored

    def __str__(self) -> str:
        if self.stored is None:
            return f"{self.ratio:6.2f}   (none stored)   {self.what}"
        word = (
            f"  FELL TO {self.ratio / self.stored:.0%}"
            if self.is_bad
            else "  fell by more than a fifth"
            if self.has_fallen
            else ""
        )
        return f"{self.ratio:6.2f}   (was {self.stored:.2f})   {self.what}{word}"


def compare(stored: Mapping[str, float], measured: Mapping[str, float], bad_from: float = BAD_FROM) -> list[Comparison]:
    """What was measured beside what is stored."""
    return [Comparison(what, stored.get(what), ratio, bad_from) for what, ratio in measured.items()]


def summary(comparisons: Sequence[Comparison]) -> str:
    """One line that says how it went."""
    bad = sum(each.is_bad for each in comparisons)
    fallen = sum(each.has_fallen for each in comparisons)
    if bad:
        return f"{bad} of {len(comparisons)} rows fell by half or more: something has become slow"
    if fallen:
        return f"{fallen} of {len(comparisons)} rows fell by more than a fifth; on a busy machine that may mean nothing"
    return "no row fell by more than a fifth"


def load(file: Path = FILE) -> dict[str, float]:
    """The stored ratios by what was measured; none when the file is not there."""
    if not file.exists():
        return {}
    stored = json.loads(file.read_text())
    if not all(isinstance(ratio, int | float) and ratio > 0 for ratio in stored.values()):
        raise ValueError(f"{file}: every ratio is a number above 0; python -m bench.quick --store writes them")
    return {what: float(ratio) for what, ratio in stored.items()}


def store(measured: Mapping[str, float], file: Path = FILE) -> None:
    """Remember these ratios."""
    file.write_text(json.dumps({what: round(ratio, 2) for what, ratio in measured.items()}, indent=2) + "\n")
