"""
What the ``hermes`` command prints, and how it ends.

Results go to standard output, everything else to standard error. Whatever strangers said (replies, addresses, names) is made fit
for a terminal before it is printed. On a terminal tables are fitted to its width; elsewhere they are plain, whole lines for
``grep`` and ``awk``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import IO, Any, TypeVar

import click

from hermes.core.printable import one_line

#: Exit codes, for scripts: 0 and 2 (usage) are click's own.
EXIT_REFUSED = 1
EXIT_CANNOT_START = 3

#: A reply has at most a hundred lines of 512 octets; what is longer is cut rather than flooding a terminal.
MAX_CHARACTERS = 64 * 1024

_COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Refused(click.ClickException):
    """The command could not be carried out, or found nothing: one clear line, exit code 1."""

    exit_code = EXIT_REFUSED

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the text to standard error."""
        for line in self.format_message().split("\n"):
            click.echo(safe(line), file=file or sys.stderr)


class CannotStart(Refused):
    """The configuration is wrong, or something that Hermes cannot do without is missing: exit code 3."""

    exit_code = EXIT_CANNOT_START


def config_option(command: _Command) -> _Command:
    """``-c FILE``, which may also come from the environment."""
    return click.option(
        "-c",
        "--config",
        "config",
        envvar="HERMES_CONFIG",
        required=True,
        metavar="FILE",
        help="The server's config.ini; may also be named by the environment variable HERMES_CONFIG.",
    )(command)


def json_option(command: _Command) -> _Command:
    """``--json``, on every command that lists something."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def safe(text: object) -> str:
    """Text from anywhere as one line without control characters, which could take over a terminal."""
    return one_line(str(text), MAX_CHARACTERS)


def say(text: str) -> None:
    """Print one line of a result."""
    click.echo(safe(text))


def say_lines(text: str) -> None:
    """Print a result of several lines."""
    for line in text.splitlines():
        say(line)


def remark(text: str) -> None:
    """Print one line that is not part of the result."""
    click.echo(safe(text), err=True)


def say_level(level: str, text: str) -> None:
    """Print one finding: how bad it is (ok, warn or fail), and what it says."""
    # click takes the color away where there is no terminal.
    click.echo(click.style(f"{level:<5}", fg=_COLORS[level]), nl=False)
    say(text)


def say_json(value: object) -> None:
    """Print a value as JSON; characters outside ASCII are escaped, so nothing in it can reach the terminal."""
    click.echo(json.dumps(value, indent=2))


def say_json_list(values: Iterable[object]) -> None:
    """Print many values as a JSON array, one a line, while they come: what has a hundred thousand of them takes no memory."""
    before = "["
    for value in values:
        sys.stdout.write(f"{before}\n{json.dumps(value)}")
        before = ","
    click.echo("\n]" if before == "," else "[]")


def say_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, fitted to the terminal if there is one."""
    cells = [[safe(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_fitted(columns, cells)
    else:
        click.echo("\n".join(_plain(columns, cells)))


def _plain(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in ([name.upper() for name in columns], *rows)]


def _print_fitted(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    # Only a table on a terminal needs it, and a server that runs for years would carry its megabytes along.
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in columns:
        table.add_column(name.upper(), overflow="fold")
    for row in rows:
        # Text, because rich reads strings as markup, and a stranger may have written it.
        table.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout, highlight=False).print(table)


def local_time(at: float) -> str:
    """Seconds since the epoch as local time with its offset: ``2026-01-31 12:00:00 +0100``."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
