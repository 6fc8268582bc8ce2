"""``hermes greylist``: who is known, who waits, and how to forget somebody."""

from __future__ import annotations

import sqlite3

import click

from hermes.cli.control_client import ask
from hermes.cli.output import Refused, config_option, json_option, local_time, say, say_json, say_table
from hermes.config.loader import load
from hermes.config.places import greylist_file
from hermes.policy.greylist_store import read_greylist


@click.group()
def greylist() -> None:
    """Look at the greylist, and forget somebody on it."""


@greylist.command("list")
@config_option
@json_option
def list_(config: str, as_json: bool) -> None:
    """
    List the networks that are known, and first tries.

    It reads the file, so the server need not run; the last second may be missing.
    """
    path = greylist_file(load(config))
    try:
        rows = read_greylist(path)
    except sqlite3.Error as error:
        raise Refused(f"{path} cannot be read: {error}") from None
    if as_json:
        say_json([{"network": row.network, "sender": row.sender or None, "at": row.at} for row in rows])
    elif not rows:
        say("Nobody is on the greylist.")
    else:
        columns = ("network", "state", "sender", "at")
        say_table(
            columns,
            [(row.network, "waits" if row.sender else "known", row.sender, local_time(row.at)) for row in rows],
        )


@greylist.command()
@config_option
@click.argument("subjects", metavar="ADDRESS|NETWORK...", nargs=-1, required=True)
def remove(config: str, subjects: tuple[str, ...]) -> None:
    """Forget networks: whoever writes from them is new again."""
    settings = load(config)
    for subject in subjects:
        say(f"{ask(settings, 'greylist.remove', {'subject': subject})} is forgotten")
