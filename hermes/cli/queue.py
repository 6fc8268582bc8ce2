"""``hermes queue``: what waits, why it waits, and what to do with it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from hermes.cli.output import (
    Refused,
    config_option,
    json_option,
    local_time,
    remark,
    say,
    say_json,
    say_json_list,
    say_table,
)
from hermes.cli.pauses import paused
from hermes.cli.queue_orders import orders
from hermes.cli.selecting import checked, selecting, selection_from
from hermes.config.loader import load
from hermes.config.places import shards, spool_directory
from hermes.config.schema import Settings
from hermes.core.message import QueuedMessage, QueuedRecipient, State
from hermes.core.received import path
from hermes.core.shape import AGES, By
from hermes.core.units import format_instant, format_time
from hermes.spool.shards import ShardsReader

_ID = click.argument("ids", metavar="ID...", nargs=-1, required=True)

#: Messages in a table, unless somebody says otherwise: more than anybody reads, printed at once. Programs get all.
TABLE_MESSAGES = 1000


@click.group()
def queue() -> None:
    """
    Look at what waits to be delivered, and act on it.

    list, show, count and shape also work when the server is down; the others are carried out by the running server. Messages are
    named by their ids, or by what they have in common: --to, --from, --destination, --older, --younger, --reply, --state and
    --account, together. Of a message only the recipients are meant that all of it holds for.
    """


@queue.command("list")
@config_option
@json_option
@selecting
@click.option(
    "--limit",
    type=click.IntRange(0),
    metavar="N",
    help=f"Messages shown; 0: all. Default: {TABLE_MESSAGES}, with --json all.",
)
@click.argument("ids", metavar="[ID]...", nargs=-1)
def list_(config: str, as_json: bool, limit: int | None, ids: Sequence[str], **criteria: str | None) -> None:
    """List the messages that wait, with the last reason."""
    settings, selection = load(config), selection_from(ids, criteria)
    most = (None if as_json else TABLE_MESSAGES) if limit is None else limit or None
    with reader(settings) as spool:
        if as_json:
            say_json_list(described(message) for message in spool.listed(selection, most))
            return
        messages = list(spool.listed(selection, most))
        counted = spool.counted(selection) if most is not None and len(messages) == most else None
    if not as_json:
        for what, since in paused(settings).items():
            remark(f"paused: {what}, since {local_time(since)}")
    if not messages:
        say("The queue is empty." if selection.is_everything else "Nothing in the queue is like that.")
        return
    now = time.time()
    rows = [_row(message, recipient, now) for message in messages for recipient in message.recipients]
    say_table(("id", "age", "size", "from", "to", "state", "tries", "next try", "last reason"), rows)
    if counted is not None and counted.messages > len(messages):
        remark(f"{len(messages)} of {_totals(counted.messages, counted.recipients)}; --limit 0 shows all")
    else:
        remark(_totals(len(messages), len(rows)))


@queue.command()
@config_option
@json_option
@selecting
@click.argument("ids", metavar="[ID]...", nargs=-1)
def count(config: str, as_json: bool, ids: Sequence[str], **criteria: str | None) -> None:
    """Count the messages that wait."""
    with reader(load(config)) as spool:
        counted = spool.counted(selection_from(ids, criteria))
    if as_json:
        oldest = None if counted.oldest_at is None else format_instant(counted.oldest_at)
        numbers = {"messages": counted.messages, "recipients": counted.recipients, "held": counted.held}
        say_json({**numbers, "size_octets": counted.octets, "oldest_at": oldest})
        return
    words = [_totals(counted.messages, counted.recipients)]
    if counted.held:
        words.append(f"{counted.held} held")
    if counted.oldest_at is not None:
        words += [_size(counted.octets), f"the oldest {_about(time.time() - counted.oldest_at)} old"]
    say(", ".join(words))


@queue.command()
@config_option
@json_option
@selecting
@click.option(
    "--by",
    type=click.Choice([by.value for by in By]),
    default=By.DESTINATION.value,
    show_default=True,
    help="What a line stands for: a destination, a domain of recipients, or a domain of senders.",
)
@click.option("--lines", type=click.IntRange(0), default=40, show_default=True, help="The fullest ones only; 0: all.")
def shape(config: str, as_json: bool, by: str, lines: int, **criteria: str | None) -> None:
    """
    Show how old the mail of each destination is.

    Recipients by age, the fullest line first. A column holds those whose age is below the minutes at its head; the last one is
    what is older.
    """
    with reader(load(config)) as spool:
        found = spool.shape(selection_from((), criteria), By(by), time.time())
    fullest = sorted(found.items(), key=lambda each: (-sum(each[1]), each[0]))
    if as_json:
        ages = [*AGES, None]
        say_json(
            [
                {
                    by: name,
                    "recipients": sum(row),
                    "ages": [{"below_seconds": age, "recipients": n} for age, n in zip(ages, row, strict=True)],
                }
                for name, row in fullest
            ]
        )
        return
    if not found:
        say(
            "The queue is empty."
            if selection_from((), criteria).is_everything
            else "Nothing in the queue is like that."
        )
        return
    total = [sum(column) for column in zip(*found.values(), strict=True)]
    shown = fullest[: lines or None]
    rows = [[name or "<>", sum(row), *row] for name, row in [("TOTAL", total), *shown]]
    say_table((by, "all", *(str(age // 60) for age in AGES), f"{AGES[-1] // 60}+"), rows)
    if len(shown) < len(found):
        remark(f"{len(shown)} of {len(found)} lines; --lines 0 shows all")


@queue.command()
@config_option
@json_option
@_ID
def show(config: str, as_json: bool, ids: Sequence[str]) -> None:
    """Show all that is known about messages in the queue."""
    with reader(load(config)) as spool:
        messages = [message for queue_id in checked(ids) for message in spool.queue(queue_id)]
    if as_json:
        say_json([described(message) for message in messages])
    else:
        for message in messages:
            _show(message)
    found = {message.queue_id for message in messages}
    missing = [queue_id for queue_id in checked(ids) if queue_id not in found]
    if missing:
        raise Refused(
            "\n".join(f"{each} is not in the queue; see: hermes track -c {config} {each}" for each in missing)
        )


def reader(settings: Settings) -> ShardsReader:
    """What reads the spool of a site, all shards of it, whether the server runs or not."""
    return ShardsReader([spool_directory(settings, shard) for shard in shards(settings)])


def described(message: QueuedMessage) -> dict[str, object]:
    """A message for programs."""
    return {
        "id": message.queue_id,
        "accepted_at": format_instant(message.accepted_at),
        "from": message.envelope.reverse_path,
        "message_id": message.message_id,
        "size_octets": message.content.wire_octets,
        "received": {
            "protocol": message.origin.protocol,
            "peer": message.origin.peer,
            "hello": message.origin.hello,
            "tls": message.origin.tls,
            "account": message.origin.account,
        },
        "recipients": [
            {
                "address": recipient.address,
                "destination": recipient.destination,
                "state": recipient.state.value,
                "attempts": recipient.attempts,
                "next_attempt_at": format_instant(recipient.next_attempt_at),
                "last_reason": recipient.last_reason,
                **({} if recipient.expires_at is None else {"expires_at": format_instant(recipient.expires_at)}),
                **({"rerouted": True} if recipient.pinned else {}),
            }
            for recipient in message.recipients
        ],
    }


def _totals(messages: int, recipients: int) -> str:
    return f"{_count(messages, 'message')}, {_count(recipients, 'recipient')}"


def _row(message: QueuedMessage, recipient: QueuedRecipient, now: float) -> tuple[object, ...]:
    return (
        message.queue_id,
        _about(now - message.accepted_at),
        _size(message.content.wire_octets),
        path(message.envelope.reverse_path),
        path(recipient.address),
        recipient.state.value,
        recipient.attempts,
        _next(recipient, now),
        recipient.last_reason,
    )


def _next(recipient: QueuedRecipient, now: float) -> str:
    if recipient.state is not State.QUEUED:
        return "when released" if recipient.state is State.HELD else "when resumed"
    seconds = recipient.next_attempt_at - now
    return f"in {_about(seconds)}" if seconds >= 1 else "now"


def _size(octets: int) -> str:
    """A size of which only the magnitude matters: ``812``, ``4.0K``, ``3.2M``."""
    if octets < 1024:
        return str(octets)
    return f"{octets / 1024:.1f}K" if octets < 1024**2 else f"{octets / 1024**2:.1f}M"


def _about(seconds: float) -> str:
    """A time of which only the two greatest units matter: ``2d 3h``."""
    return " ".join(format_time(max(0, int(seconds))).split(" ")[:2])


def _show(message: QueuedMessage) -> None:
    origin = message.origin
    say(message.queue_id)
    lines = {
        "accepted": local_time(message.accepted_at),
        "from": path(message.envelope.reverse_path),
        "message id": message.message_id,
        "size": f"{message.content.wire_octets} octets",
        "received": " ".join(
            word
            for word in (
                f"with {origin.protocol}",
                f"from {origin.hello or 'a client'} ({origin.peer})" if origin.peer else "",
                f"over {origin.tls}" if origin.tls else "",
                f"as {origin.account}" if origin.account else "",
            )
            if word
        ),
    }
    for key, text in lines.items():
        say(f"    {key + ':':<12}{text}")
    for recipient in message.recipients:
        say(f"    {'to:':<12}{path(recipient.address)} by {recipient.destination}, {recipient.state.value}")
        if recipient.state is not State.QUEUED:
            next_attempt = f"waits to be {'released' if recipient.state is State.HELD else 'resumed'}"
        else:
            next_attempt = f"next one at {local_time(recipient.next_attempt_at)}"
        say(f"                {_count(recipient.attempts, 'attempt')}, {next_attempt}")
        if recipient.last_reason:
            say(f"                {recipient.last_reason}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


for order in orders:
    queue.add_command(order)
