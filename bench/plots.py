"""The pictures of docs/performance.md."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.idle_rows import Point
    from bench.pairs import Row
    from bench.steady_rows import Sample

#: Inches: two pictures beside each other, as wide as a page.
SIZE = (9, 3.4)

#: More points than a picture has room for only make its file larger.
MAX_POINTS = 200


def idle(curves: Mapping[str, Sequence[Point]], to: Path) -> None:
    """Memory and processor by the number of idle connections."""
    figure, (memory, processor) = _two()
    for label, points in curves.items():
        counts = [point.connections for point in points]
        memory.plot(counts, [point.octets / 1024**2 for point in points], marker="o", label=label)
        processor.plot(counts, [100 * point.share for point in points], marker="o", label=label)
    for axes, what in ((memory, "MB more than without"), (processor, "% of a core")):
        _finish(axes, "idle connections", what)
    _save(figure, to)


def steady(samples: Sequence[Sample], answers: Mapping[str, Sequence[Mapping[str, float]]], to: Path) -> None:
    """Memory over the time of full load, and how long NOOP waits."""
    figure, (memory, noop) = _two()
    some = samples[:: 1 + len(samples) // MAX_POINTS]
    memory.plot([sample.seconds for sample in some], [sample.octets / 1024**2 for sample in some], label="full load")
    _finish(memory, "seconds", "MB, proportional set size")
    for kind, runs in answers.items():
        ranks = ("p50", "p90", "p99", "max")
        for number, run in enumerate(runs):
            noop.plot(
                ranks,
                [run[rank] for rank in ranks],
                marker="o",
                color="C0" if kind == "quiet" else "C1",
                label=kind if number == 0 else None,
            )
    noop.set_yscale("log")
    _finish(noop, "of all NOOPs of a run", "ms until answered")
    _save(figure, to)


def sizes(curves: Mapping[str, Mapping[int, Row]], to: Path) -> None:
    """Messages a second with a large queue and many accounts, as parts of those with the smallest."""
    figure, both = _two()
    for axes, (what, rows) in zip(both, curves.items(), strict=True):
        ratios = [row.ratio for row in rows.values()]
        below = [row.ratio - min(row.ratios) for row in rows.values()]
        above = [max(row.ratios) - row.ratio for row in rows.values()]
        axes.errorbar(list(rows), ratios, yerr=[below, above], marker="o", capsize=4, label="median and range")
        axes.axhline(1, color="gray", linewidth=0.8)
        axes.set_xscale("log")
        _finish(axes, what, "of the messages/s of the smallest")
    _save(figure, to)


def need() -> None:
    """End the program before anything is measured that could not be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise SystemExit("matplotlib is not installed: pip install -e '.[bench]'")


def _two() -> Any:
    # It takes a second to load, and only a part of the measurements draws.
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("svg")
    # Letters stay letters, which is smaller; and the same figures make the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "hermes"})
    from matplotlib import pyplot  # noqa: PLC0415

    return pyplot.subplots(1, 2, figsize=SIZE, layout="constrained")


def _finish(axes: Any, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    if axes.get_yscale() == "linear":
        axes.set_ylim(0, 1.15 * axes.get_ylim()[1])
    axes.grid(alpha=0.3)
    axes.legend()


def _save(figure: Any, to: Path) -> None:
    figure.savefig(to, metadata={"Date": None})
