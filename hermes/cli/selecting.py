"""The options by which ``hermes queue`` is told which messages are meant."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from hermes.cli.output import Refused
from hermes.core.identifiers import is_queue_id
from hermes.core.selection import STATES, Selection, fault_of
from hermes.core.units import parse_time

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--to", metavar="PATTERN", help="Recipients: joe@example.org, example.org, *.example.org, news*@example.org."
    ),
    click.option("--from", "sender", metavar="PATTERN", help="Senders, the same way; <> is the sender of reports."),
    click.option(
        "--destination", metavar="WAY", help="Where they go: example.net, direct:example.net, smarthost, smarthost:o*."
    ),
    click.option("--older", metavar="TIME", help="Accepted longer ago than this, like 2h or 1d 12h."),
    click.option("--younger", metavar="TIME", help="Accepted since then."),
    click.option("--reply", metavar="TEXT", help="What stands in the last reply, like 'mailbox full'."),
    click.option(
        "--state", type=click.Choice(STATES), help="queued: waits; deferred: waits, and has been tried; held; paused."
    ),
    click.option("--account", metavar="NAME", help="Whose login sent them."),
)


def selecting(command: _Command) -> _Command:
    """The options of a selection; the command is given them as ``criteria``, with :func:`criteria_of`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def selection_from(ids: Sequence[str], criteria: Mapping[str, str | None]) -> Selection:
    """What the options say; a usage error for what they cannot mean."""
    now = time.time()
    selection = Selection(
        ids=tuple(checked(ids)),
        to=criteria.get("to") or "",
        sender=criteria.get("sender") or "",
        destination=criteria.get("destination") or "",
        accepted_before=_ago(now, "--older", criteria.get("older")),
        accepted_after=_ago(now, "--younger", criteria.get("younger")),
        reply=criteria.get("reply") or "",
        state=criteria.get("state") or "",
        account=criteria.get("account") or "",
    )
    if fault := fault_of(selection):
        raise click.UsageError(fault)
    return selection


def checked(ids: Sequence[str]) -> list[str]:
    """Queue ids in their normal form."""
    normal = [queue_id.upper() for queue_id in ids]
    for queue_id in normal:
        if not is_queue_id(queue_id):
            raise Refused(f"{queue_id} is not a queue id; hermes queue list shows them.")
    return list(dict.fromkeys(normal))


def seconds(option: str, text: str) -> int:
    """A time that was typed."""
    try:
        return parse_time(text)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None


def _ago(now: float, option: str, text: str | None) -> float | None:
    return None if text is None else now - seconds(option, text)
