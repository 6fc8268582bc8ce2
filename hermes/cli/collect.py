"""``hermes collect``: look at boxes at other servers now, and say what was done or would be done."""

from __future__ import annotations

import time
from typing import Any

import click

from hermes.cli.control_client import ask
from hermes.cli.mercury_file import translated
from hermes.cli.output import Refused, config_option, json_option, say, say_json, say_lines, say_table
from hermes.config.loader import load
from hermes.config.mercury_collectors import MAX_OCTETS, sections_of_boxes
from hermes.config.schema import Settings

#: How often the server is asked how far it has come.
PAUSE_SECONDS = 0.3


@click.command()
@config_option
@json_option
@click.option("--dry-run", is_flag=True, help="Look only: say what would be fetched and deleted.")
@click.option(
    "--import",
    "mercury",
    metavar="MERCURYD.DAT",
    type=click.Path(exists=True, dir_okay=False),
    help="Print Mercury's list of boxes as sections, and do nothing else.",
)
@click.argument("name", required=False, default="")
def collect(config: str, as_json: bool, dry_run: bool, mercury: str | None, name: str) -> None:
    """
    Fetch from a foreign box now, or say how all boxes stand.

    NAME is that of a section [collector:NAME]. The server must run: it is the server that fetches.
    """
    if mercury is not None:
        _print_sections(mercury)
        return
    settings = load(config)
    if not name:
        _show_all(settings, as_json)
        return
    ask(settings, "collect.begin", {"name": name, "dry": dry_run})
    while (report := ask(settings, "collect.progress", {"name": name}))["running"]:
        time.sleep(PAUSE_SECONDS)
    if as_json:
        say_json(report)
    else:
        _show(report, dry=dry_run)
    if report["problem"]:
        raise Refused(f"{name}: {report['problem']}")


def _print_sections(path: str) -> None:
    with open(path, "rb") as file:
        say_lines(translated(file, "Mercury's list of boxes", MAX_OCTETS, sections_of_boxes))


def _show(report: dict[str, Any], *, dry: bool) -> None:
    for remark in report["remarks"]:
        say(remark)
    say(f"{report['listed']} messages in the box, {report['octets']} octets")
    for word, count in sorted(report["skipped"].items()):
        say(f"{count} {word}")
    if not dry:
        say(f"{report['taken']} fetched, {report['deleted']} deleted at the server")
    if report["more"]:
        say("More wait for the next session.")


def _show_all(settings: Settings, as_json: bool) -> None:
    rows = ask(settings, "collect.boxes")
    if as_json:
        say_json(rows)
    elif not rows:
        say("There are no collectors: write a section [collector:NAME].")
    else:
        columns = ("name", "state", "messages", "deleted", "sessions", "connect", "tls", "login", "broken", "problem")
        say_table(columns, [tuple(str(row[column]) for column in columns) for row in rows])
