"""``hermes run``, and what is asked of a server that runs: ``status``, ``sessions``, ``reload``, ``stop``."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from hermes.app.early_hang_up import expected
from hermes.cli.control_client import ask
from hermes.cli.output import config_option, json_option, remark, say, say_json, say_table
from hermes.config.loader import load
from hermes.core.units import format_time

#: A clock that is set back by less holds nothing up that anybody would notice.
SET_BACK_SECONDS = 60


@click.command()
@config_option
def run(config: str) -> None:
    """
    Start the server, in the foreground.

    It ends at SIGTERM or SIGINT, when sessions and deliveries have been given time to finish; a second signal ends it at
    once, and loses nothing that was acknowledged. It takes a changed configuration at SIGHUP. Exit code 3 means that it
    could not start; the line above says why.
    """
    with expected():
        # Only here is the whole server needed: everything else starts faster without it.
        from hermes.app.main import run as run_server  # noqa: PLC0415

        sys.exit(run_server(config))


@click.command()
@config_option
@json_option
def status(config: str, as_json: bool) -> None:
    """Say how the running server is."""
    settings = load(config)
    answer = ask(settings, "status")
    if as_json:
        say_json(answer)
        return
    _say_values(answer, "")
    set_back_seconds = -answer.get("clock_set_by_seconds", 0)
    if set_back_seconds > SET_BACK_SECONDS:
        remark(
            f"The clock has been set back by {format_time(set_back_seconds)} since the server was started, and what it does at a "
            f"time is late by as much. Restart it; mail that was put off: hermes queue retry -c {settings.file}"
        )


@click.command()
@config_option
@json_option
def sessions(config: str, as_json: bool) -> None:
    """List who is connected to the running server."""
    answer: list[Mapping[str, object]] = ask(load(config), "sessions")
    if as_json:
        say_json(answer)
    elif not answer:
        say("Nobody is connected.")
    else:
        columns = list(answer[0])
        say_table(columns, [[_cell(row.get(column)) for column in columns] for row in answer])


@click.command()
@config_option
def reload(config: str) -> None:
    """
    Have the running server take the changed file.

    It takes all of it or, when anything is wrong, nothing. The file is looked at here first, so that its problems are seen here
    and not only in the server's log.
    """
    settings = load(config)
    _tell(ask(settings, "reload"), "The configuration is in force.")


@click.command()
@config_option
def stop(config: str) -> None:
    """
    Stop the running server in order.

    Sessions and deliveries are given time to finish.
    """
    _tell(ask(load(config), "stop"), "The server is stopping.")


def _tell(answer: object, otherwise: str) -> None:
    say(answer if isinstance(answer, str) and answer else otherwise)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _say_values(values: Mapping[str, object], indent: str) -> None:
    """Print names and values; what has parts of its own goes below its name."""
    width = max(map(len, values), default=0)
    for key, value in values.items():
        if isinstance(value, Mapping):
            say(f"{indent}{key}")
            _say_values(value, indent + "    ")
        elif isinstance(value, list):
            say(f"{indent}{key}")
            for item in value:
                parts = (
                    [f"{name}={_cell(part)}" for name, part in item.items()] if isinstance(item, Mapping) else [item]
                )
                say(f"{indent}    {' '.join(map(str, parts))}")
        else:
            say(f"{indent}{key:<{width}}  {_cell(value)}".rstrip())
