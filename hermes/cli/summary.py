"""``hermes summary``: what became of a day's mail, as the daily letter has it."""

from __future__ import annotations

import time

import attrs
import click

from hermes.app.summary import day_before, day_of, tally_of
from hermes.cli.output import config_option, json_option, say, say_json
from hermes.config.loader import load
from hermes.core.accountability import lines


@click.command()
@config_option
@json_option
@click.option("--day", metavar="DATE", help="Like 2026-01-31, or today. Default: yesterday.")
def summary(config: str, as_json: bool, day: str | None) -> None:
    """
    Say what became of a day's mail.

    Accepted, delivered, handed on, still tried, given up, refused; and why.
    """
    settings = load(config)
    try:
        if day is None or day == "yesterday":
            name, since, until = day_before(time.time())
        else:
            name, since, until = day_of(
                time.strftime("%Y-%m-%d", time.localtime(time.time())) if day == "today" else day
            )
    except ValueError:
        raise click.UsageError(f"--day: {day!r} is not a date: write one like 2026-01-31, or today.") from None
    tally = tally_of(settings, since, until)
    if as_json:
        say_json({"day": name, **attrs.asdict(tally)})
        return
    for line in lines(tally, name, settings.hermes.hostname):
        say(line)
