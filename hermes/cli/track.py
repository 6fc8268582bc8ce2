"""``hermes track``: where is my message?"""

from __future__ import annotations

import json

import click

from hermes.cli.output import Refused, config_option, json_option, say, say_json
from hermes.cli.queue import reader
from hermes.cli.timeline import timeline
from hermes.config.loader import load
from hermes.core import event_text
from hermes.core.units import format_time


@click.command()
@config_option
@json_option
@click.argument("query")
def track(config: str, as_json: bool, query: str) -> None:
    """
    Say where a message is and what happened to it.

    QUERY is a queue id (as in the reply "250 ... accepted as"), an address of sender or recipient, or a Message-ID. Everything
    that is known is printed: from whom and how it came, which rule refused it, each attempt with the other server's words, and
    who fetched it. Works also when the server is down.
    """
    settings = load(config)
    with reader(settings) as spool:
        events = spool.track(query)
    if not events:
        kept = format_time(settings.trace.keep)
        raise Refused(
            f"Nothing is known about {query}. Ask by queue id, address or Message-ID; facts are kept for {kept}."
        )
    if as_json:
        # The same objects as in the mail log.
        say_json([json.loads(event_text.as_json(event)) for event in events])
        return
    for line in timeline(events):
        say(line)
