"""``hermes metrics``: the figures of the running server, for whatever gathers them from files."""

from __future__ import annotations

import click

from hermes.cli.control_client import ask
from hermes.cli.output import config_option, json_option, say_json
from hermes.config.loader import load


@click.command()
@config_option
@json_option
def metrics(config: str, as_json: bool) -> None:
    """
    Print the figures of the running server for Prometheus.

    The same text as over HTTP with [metrics]; docs/metrics.md says what each means, and how node_exporter reads them from a file.
    """
    families = ask(load(config), "metrics")
    if as_json:
        say_json(families)
        return
    # Only here: the other commands need no library for it.
    from hermes.services.metrics_text import metrics_text  # noqa: PLC0415

    click.echo(metrics_text(families), nl=False)
