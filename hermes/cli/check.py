"""``hermes check``: is everything in order? The configuration first, then all that it points to."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from hermes.cli.finding import Finding, Level, ok
from hermes.cli.inspection import inspect
from hermes.cli.output import EXIT_REFUSED, config_option, json_option, say_json, say_level
from hermes.config.loader import load
from hermes.config.schema import Settings


@click.command()
@config_option
@json_option
def check(config: str, as_json: bool) -> None:
    """
    See whether everything is in order; changes nothing.

    Looks at the configuration, at rights in the data directory, certificate, accounts, mailboxes and the queue's store. Each line
    begins with ok, warn or fail. Exit code 1: something must be mended; 3: the configuration itself is wrong.
    """
    findings = list(_all(load(config)))
    if as_json:
        say_json([{"level": each.level.value, "about": each.about, "text": each.text} for each in findings])
    else:
        for each in findings:
            say_level(each.level.value, f"{each.about}: {each.text}")
    if any(each.level is Level.FAIL for each in findings):
        sys.exit(EXIT_REFUSED)


def _all(settings: Settings) -> Iterator[Finding]:
    yield ok("configuration", f"{settings.file} is understood")
    yield from inspect(settings)
