"""``hermes block``: who may not connect for a while, why, and how to clear it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from hermes.app.blocks import described
from hermes.cli.control_client import NotRunning, ask
from hermes.cli.output import Refused, config_option, json_option, local_time, remark, say, say_json, say_table
from hermes.config.loader import load
from hermes.config.places import offenders_file
from hermes.config.schema import Settings
from hermes.core.offender import parse_network
from hermes.core.units import parse_time
from hermes.policy.offender_store import read_offenders


@click.group()
def block() -> None:
    """
    Look at who is blocked, and change it.

    Who is on this list cannot connect to any server of the site. Rules put addresses on it for a while ([offenders] in
    config.ini says which, and for how long); administrators for as long as they like. list also works when the server is
    down; the others are carried out by the running server.
    """


@block.command("list")
@config_option
@json_option
@click.option("--rates", is_flag=True, help="Also how much mail comes from whom, of what is limited by [rates].")
def list_(config: str, as_json: bool, rates: bool) -> None:
    """
    List who is blocked, until when, and why.

    Also, from a running server, against whom wrong passwords are counted: addresses, networks, accounts, and logins of
    accounts from addresses that they are known from.
    """
    settings = load(config)
    lists = _lists(settings, rates)
    if as_json:
        say_json(lists)
        return
    if lists["blocked"]:
        say_table(("who", "since", "until", "times", "by", "reason"), [_row(row) for row in lists["blocked"]])
    else:
        say("Nobody is blocked.")
    if lists.get("logins"):
        say("")
        columns = ("wrong passwords for", "who", "count", "limit", "now")
        say_table(columns, [_count(row) for row in lists["logins"]])
    if lists.get("rates"):
        say("")
        say_table(("mail of", "who", "what", "used", "limit", "now"), [_used(row) for row in lists["rates"]])
    elif rates:
        say("No mail is counted against a limit of [rates].")


@block.command()
@config_option
@json_option
@click.option("--for", "time_text", metavar="TIME", help="How long, like 30m or 2d. Default: until it is removed.")
@click.option(
    "--reason", default="", metavar="TEXT", help="Why, for those who look at the list; the blocked never see it."
)
@click.argument("networks", metavar="ADDRESS|NETWORK...", nargs=-1, required=True)
def add(config: str, as_json: bool, time_text: str | None, reason: str, networks: Sequence[str]) -> None:
    """
    Block addresses or networks.

    They are written like 192.0.2.7, 192.0.2.0/24 or 2001:db8::/48; an IPv6 address means its /64. Connections
    that are open stay open.
    """
    settings = load(config)
    seconds = None if time_text is None else _seconds(time_text)
    for text in networks:
        _understood(text)
    rows = [ask(settings, "block.add", {"network": text, "seconds": seconds, "reason": reason}) for text in networks]
    if as_json:
        say_json(rows)
    else:
        for row in rows:
            say(f"{row['network']} is blocked {_until(row)}")


@block.command()
@config_option
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="All that rules have put there, and all counts; not what administrators have.",
)
@click.argument("subjects", metavar="[ADDRESS|NETWORK|ACCOUNT]...", nargs=-1)
def remove(config: str, everything: bool, subjects: Sequence[str]) -> None:
    """
    Take addresses, networks or accounts off the list.

    A network takes all that is within it along. Wrong passwords and mail that were counted are forgotten with
    them.
    """
    if everything == bool(subjects):
        raise click.UsageError("Name addresses, networks or accounts, or say --all.")
    settings = load(config)
    if everything:
        gone = ask(settings, "block.clear")
        say(f"{len(gone)} taken off the list")
        return
    refused = []
    for subject in subjects:
        try:
            say(f"{', '.join(ask(settings, 'block.remove', {'subject': subject}))} taken off the list")
        except NotRunning:
            raise
        except Refused as error:
            refused.append(error.format_message())
    if refused:
        raise Refused("\n".join(refused))


def _lists(settings: Settings, rates: bool) -> dict[str, list[dict[str, Any]]]:
    """What the server says, or what is on disk when there is none."""
    try:
        lists: dict[str, list[dict[str, Any]]] = ask(settings, "block.list", {"rates": rates})
    except NotRunning:
        remark("The server is not running; this is what it will go by when it starts.")
        try:
            return {"blocked": [described(one) for one in read_offenders(offenders_file(settings), time.time())]}
        except (sqlite3.Error, ValueError) as error:
            raise Refused(f"{offenders_file(settings)} cannot be read: {error}") from None
    return lists


def _count(row: dict[str, Any]) -> tuple[object, ...]:
    now = "no password is looked at" if row["refused"] else "each answer waits"
    return row["kind"], row["subject"], row["failures"], row["limit"], now


def _used(row: dict[str, Any]) -> tuple[object, ...]:
    now = "no more is taken" if row["refused"] else ""
    return row["kind"], row["subject"], row["what"], row["used"], row["limit"], now


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    until = "until removed" if row["until"] is None else _local(row["until"])
    why = ": ".join(part for part in (row["rule"] if row["by"] == "rule" else "", row["reason"]) if part)
    return row["network"], _local(row["since"]), until, row["times"], row["by"], why


def _until(row: dict[str, Any]) -> str:
    return "until it is removed" if row["until"] is None else f"until {_local(row['until'])}"


def _local(instant: str) -> str:
    return local_time(datetime.fromisoformat(instant).timestamp())


def _understood(text: str) -> None:
    try:
        parse_network(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _seconds(text: str) -> int:
    try:
        seconds = parse_time(text)
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from None
    if not seconds:
        raise click.UsageError("--for: write at least 1s, or leave it away to block for good")
    return seconds
