"""``hermes dnsbl``: do the lists in the DNS work, and what do they say about somebody?"""

from __future__ import annotations

import sys
from typing import BinaryIO

import click

from hermes.cli.asking import asked
from hermes.cli.control_client import ask
from hermes.cli.mercury_file import translated
from hermes.cli.output import EXIT_REFUSED, Refused, config_option, json_option, say, say_json, say_level, say_lines
from hermes.config.loader import load
from hermes.config.mercury_lists import MAX_OCTETS, sections_of_mercury
from hermes.config.schema import Settings
from hermes.net.resolver import Resolver
from hermes.policy.dnsbl import dns_list
from hermes.policy.dnsbl_examination import examine, look_up
from hermes.policy.dnsbl_record import line_of


@click.group()
def dnsbl() -> None:
    """Test and watch the lists of [dnsbl:NAME]."""


@dnsbl.command()
@click.argument("name", required=False)
@click.option(
    "--ip", "about", metavar="ADDRESS", help="What the lists say about this address (or, with lookup = domain, name)."
)
@config_option
@json_option
def test(name: str | None, about: str | None, config: str, as_json: bool) -> None:
    """
    See whether lists work; one, or all.

    Asks for the entries that every list has for tests (RFC 5782).

    A list that works has 127.0.0.2 and does not have 127.0.0.1. The server need not run. Exit code 1: a list cannot be used.
    """
    settings = load(config)
    if name is not None and name not in settings.dnsbl:
        known = ", ".join(settings.dnsbl) or "none at all"
        raise Refused(f"There is no [dnsbl:{name}] in {settings.file}; there are: {known}")
    rows = asked(settings, lambda resolver: _examined(settings, resolver, name, about)) if settings.dnsbl else []
    if as_json:
        say_json(rows)
    elif not rows:
        say("There are no lists: [dnsbl:NAME] in the configuration makes one.")
    else:
        for row in rows:
            say_level(row["level"], f"{row['list']}: {row['text']}")
    if any(row["level"] == "fail" for row in rows):
        sys.exit(EXIT_REFUSED)


async def _examined(
    settings: Settings, resolver: Resolver, name: str | None, about: str | None
) -> list[dict[str, str]]:
    rows = []
    for each, section in settings.dnsbl.items():
        if name in (None, each):
            one = dns_list(each, section)
            result = await (examine(one, resolver) if about is None else look_up(one, resolver, about))
            rows.append({"list": each, "level": result.level, "text": result.text})
    return rows


@dnsbl.command()
@config_option
@json_option
def status(config: str, as_json: bool) -> None:
    """Show how often the server has asked, and what came of it."""
    counters = ask(load(config), "status")
    lists = {key.removeprefix("dnsbl_"): value for key, value in counters.items() if key.startswith("dnsbl_")}
    if as_json:
        say_json(lists)
    elif not lists:
        say("The server asks no lists.")
    else:
        for name, list_counters in lists.items():
            say(f"{name}: {line_of(list_counters)}")


@dnsbl.command("import")
@click.argument("file", type=click.File("rb"))
def import_(file: BinaryIO) -> None:
    """
    Print Mercury's MS_SPAM.MER as sections for config.ini.

    Nothing is changed. What is not understood is told with its line, and then there is nothing to print.
    """
    sections = translated(file, "Mercury's file of lists", MAX_OCTETS, sections_of_mercury)
    say_lines(sections or "# There are no definitions.")
