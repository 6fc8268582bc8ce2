"""``hermes transcript``: which sessions of a running server are written down, and what was said in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from hermes.cli.control_client import ask
from hermes.cli.output import Refused, config_option, json_option, say, say_json, say_table
from hermes.config.loader import load
from hermes.config.schema import Settings
from hermes.config.sections.transcripts import TRANSCRIBED
from hermes.core.units import format_time, parse_time
from hermes.services.transcript_files import list_transcripts

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _whose(command: _Command) -> _Command:
    for option in (
        click.option("--service", type=click.Choice(TRANSCRIBED), help="All sessions of a server."),
        click.option("--account", metavar="NAME", help="Those of an account, from the login on."),
        click.option("--ip", metavar="RANGE", help="Those of an address or a range, like 192.0.2.0/24."),
    ):
        command = option(command)
    return command


@click.group()
def transcript() -> None:
    """
    Have sessions written down, and read what was said.

    Passwords and other secrets are blanked in every form, and messages are only counted unless the section [transcripts]
    says otherwise. What is asked for here ends by itself.
    """


@transcript.command()
@config_option
@_whose
@click.option("--for", "time", default="10m", show_default=True, metavar="TIME", help="For how long; 1d at most.")
def on(config: str, ip: str | None, account: str | None, service: str | None, time: str) -> None:
    """
    Write down sessions that begin from now on.

    With --account, those that log in from now on.
    """
    given = _given(ip, account, service)
    if len(given) != 1:
        raise click.UsageError("Say whose sessions: one of --ip, --account and --service.")
    try:
        seconds = parse_time(time)
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from None
    say(ask(load(config), "transcript.on", {**given, "seconds": seconds}))


@transcript.command()
@config_option
@_whose
def off(config: str, ip: str | None, account: str | None, service: str | None) -> None:
    """End what was asked for: one order, or all."""
    given = _given(ip, account, service)
    if len(given) > 1:
        raise click.UsageError("Say one of --ip, --account and --service, or nothing.")
    say(ask(load(config), "transcript.off", given))


@transcript.command("list")
@config_option
@json_option
def list_(config: str, as_json: bool) -> None:
    """List what is asked for, and the transcripts there are."""
    settings = load(config)
    try:
        orders = ask(settings, "transcript.list")
    except Refused:
        # The files can be read without a server.
        orders = []
    names = list_transcripts(settings.transcripts.directory)
    if as_json:
        say_json({"asked_for": orders, "transcripts": names})
        return
    if orders:
        rows = [(each["kind"], each["which"], format_time(each["seconds_left"])) for each in orders]
        say_table(("asked for", "which", "for another"), rows)
    for name in names:
        say(name)
    if not names:
        say(f"There are no transcripts in {settings.transcripts.directory}.")


@transcript.command()
@config_option
@click.argument("name", required=False, default="")
def show(config: str, name: str) -> None:
    """
    Print the newest transcript.

    With NAME, the newest whose name has that in it: an address, a service, a time.
    """
    path = _newest(load(config), name)
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            say(line.rstrip("\n"))


def _newest(settings: Settings, part: str) -> str:
    directory = settings.transcripts.directory
    # In the names of files there are no colons, which IPv6 addresses are full of.
    names = [name for name in list_transcripts(directory) if part.replace(":", "_") in name]
    if not names:
        raise Refused(f"There is no such transcript in {directory}; hermes transcript list shows all.")
    return os.path.join(directory, names[-1])


def _given(ip: str | None, account: str | None, service: str | None) -> dict[str, object]:
    values = {"ip": ip, "account": account, "service": service}
    return {key: value for key, value in values.items() if value is not None}
