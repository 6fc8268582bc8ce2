"""``hermes track``: where is my message?"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import click

from hermes.cli.output import Refused, config_option, json_option, say, say_json
from hermes.cli.queue import reader
from hermes.cli.timeline import timeline
from hermes.config.loader import load
from hermes.config.schema import Settings
from hermes.core import event_text
from hermes.core.event import Event
from hermes.core.identifiers import is_queue_id
from hermes.core.units import format_time


@click.command()
@config_option
@json_option
@click.option(
    "--follow", "-f", is_flag=True, help="Go on and print what happens, until the message has left, or Ctrl-C."
)
@click.argument("query")
def track(config: str, as_json: bool, follow: bool, query: str) -> None:
    """
    Say where a message is and what happened to it.

    QUERY is a queue id (as in the reply "250 ... accepted as"), an address of sender or recipient, or a Message-ID. Everything
    that is known is printed: from whom and how it came, which rule refused it, each attempt with the other server's words, and
    who fetched it. Works also when the server is down.
    """
    settings = load(config)
    with reader(settings) as spool:
        events = spool.track(query)
    if follow:
        _follow(settings, query, events, as_json=as_json)
        return
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


#: Between two looks: soon enough for whoever waits, and nothing for a server.
FOLLOW_SECONDS = 1.0


def _follow(settings: Settings, query: str, events: Sequence[Event], *, as_json: bool) -> None:
    """Print what is known, and then what happens; a message that is asked for by its id comes to an end."""
    queue_id = query.strip().upper()
    known: set[str] = set()
    found = gone = False
    try:
        while True:
            # What two events say is the same only when they are: they have times.
            told = [event_text.as_json(event) for event in events]
            news = [event for event, text in zip(events, told, strict=True) if text not in known]
            # What is not among the last ones any more does not come again: an address can be followed for months.
            known = set(told)
            if as_json:
                for event in news:
                    say(event_text.as_json(event))
            else:
                for line in timeline(news):
                    say(line)
            found = found or bool(told)
            if gone:
                return
            time.sleep(FOLLOW_SECONDS)
            with reader(settings) as spool:
                # Asked in this order: what is gone has left all its events.
                gone = is_queue_id(queue_id) and found and not spool.queue(queue_id)
                events = spool.track(query)
    except KeyboardInterrupt:
        return
