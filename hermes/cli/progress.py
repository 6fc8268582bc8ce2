"""How far a long command has come: a bar on a terminal, and now and then a line elsewhere. Both go to standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from hermes.cli.output import remark

#: Between two lines where there is no terminal: a log of a night's work stays readable.
LINE_SECONDS = 10.0

#: ``show(done, total, text)``; a total of 0 is not known.
Show = Callable[[int, int, str], None]


@contextmanager
def progress(label: str, now: Callable[[], float] = monotonic) -> Iterator[Show]:
    """Show how far it has come while the block runs."""
    if sys.stderr.isatty():
        with _bar(label) as show:
            yield show
    else:
        yield _lines(label, now)


def _lines(label: str, now: Callable[[], float]) -> Show:
    said_at = now()

    def show(done: int, total: int, text: str) -> None:
        nonlocal said_at
        if now() - said_at >= LINE_SECONDS:
            said_at = now()
            part = f" {100 * done // total} %," if total else ""
            remark(f"{label}:{part} {text}")

    return show


@contextmanager
def _bar(label: str) -> Iterator[Show]:
    # Only a terminal needs it: see hermes.cli.output.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    # markup=False: what it shows are names that strangers may have chosen.
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[text]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr, highlight=False), transient=True) as bar:
        task: Any = bar.add_task(label, total=None, text="")

        def show(done: int, total: int, text: str) -> None:
            bar.update(task, completed=done, total=total or None, text=text)

        yield show
