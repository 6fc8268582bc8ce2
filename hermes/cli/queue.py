"""``hermes queue``: what waits, why it waits, and what to do with it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from hermes.cli.control_client import ask
from hermes.cli.output import (
    Refused,
    config_option,
    json_option,
    local_time,
    remark,
    say,
    say_json,
    say_table,
)
from hermes.config.loader import load
from hermes.config.places import spool_directory
from hermes.config.schema import Settings
from hermes.core.identifiers import is_queue_id
from hermes.core.message import QueuedMessage, QueuedRecipient, State
from hermes.core.received import path
from hermes.core.units import format_instant, format_time
from hermes.spool.reader import SpoolReader

_ID = click.argument("ids", metavar="ID...", nargs=-1, required=True)


@click.group()
def queue() -> None:
    """
    Look at what waits to be delivered, and act on it.

    list and show also work when the server is down; the others are carried out by the running server.
    """


@queue.command("list")
@config_option
@json_option
def list_(config: str, as_json: bool) -> None:
    """List the messages that wait, with the last reason."""
    with reader(load(config)) as spool:
        messages = spool.queue()
    if as_json:
        say_json([described(message) for message in messages])
    elif not messages:
        say("The queue is empty.")
    else:
        now = time.time()
        rows = [_row(message, recipient, now) for message in messages for recipient in message.recipients]
        say_table(("id", "age", "size", "from", "to", "state", "tries", "next try", "last reason"), rows)
        recipients = sum(len(message.recipients) for message in messages)
        remark(f"{_count(len(messages), 'message')}, {_count(recipients, 'recipient')}")


@queue.command()
@config_option
@json_option
@_ID
def show(config: str, as_json: bool, ids: Sequence[str]) -> None:
    """Show all that is known about messages in the queue."""
    with reader(load(config)) as spool:
        messages = [message for queue_id in _checked(ids) for message in spool.queue(queue_id)]
    if as_json:
        say_json([described(message) for message in messages])
    else:
        for message in messages:
            _show(message)
    found = {message.queue_id for message in messages}
    missing = [queue_id for queue_id in _checked(ids) if queue_id not in found]
    if missing:
        raise Refused(
            "\n".join(f"{each} is not in the queue; see: hermes track -c {config} {each}" for each in missing)
        )


@queue.command()
@config_option
@click.option("--all", "everything", is_flag=True, help="Every message that waits.")
@click.argument("ids", metavar="[ID]...", nargs=-1)
def retry(config: str, everything: bool, ids: Sequence[str]) -> None:
    """Try messages now. Without ID, all that wait; held messages stay held."""
    if everything and ids:
        raise click.UsageError("Name messages or say --all, not both.")
    settings = load(config)
    _carry_out(settings, "queue.retry", _checked(ids) if ids else [None])


@queue.command()
@config_option
@_ID
def hold(config: str, ids: Sequence[str]) -> None:
    """Stop messages until they are released."""
    _carry_out(load(config), "queue.hold", _checked(ids))


@queue.command()
@config_option
@_ID
def release(config: str, ids: Sequence[str]) -> None:
    """Let held messages go on, now."""
    _carry_out(load(config), "queue.release", _checked(ids))


@queue.command()
@config_option
@_ID
def remove(config: str, ids: Sequence[str]) -> None:
    """Delete messages for good. Nobody is told; use return to have the senders told."""
    _carry_out(load(config), "queue.remove", _checked(ids))


@queue.command("return")
@config_option
@_ID
def return_(config: str, ids: Sequence[str]) -> None:
    """
    Give messages up now, and tell their senders.

    The report holds the last reason.
    """
    _carry_out(load(config), "queue.return", _checked(ids))


def reader(settings: Settings) -> SpoolReader:
    """What reads the spool of a site, whether the server runs or not."""
    return SpoolReader(spool_directory(settings))


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
            }
            for recipient in message.recipients
        ],
    }


def _carry_out(settings: Settings, command: str, ids: Sequence[str | None]) -> None:
    """Ask for each message; a refusal does not keep the others from being done."""
    refused = []
    for queue_id in ids:
        try:
            say(str(ask(settings, command, {"id": queue_id})))
        except Refused as error:
            refused.append(error.format_message())
            if len(ids) == 1:
                break
    if refused:
        raise Refused("\n".join(dict.fromkeys(refused)))


def _checked(ids: Sequence[str]) -> list[str]:
    checked = [queue_id.upper() for queue_id in ids]
    for queue_id in checked:
        if not is_queue_id(queue_id):
            raise Refused(f"{queue_id} is not a queue id; hermes queue list shows them.")
    return checked


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
    if recipient.state is State.HELD:
        return "when released"
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
        if recipient.state is State.HELD:
            next_attempt = "waits to be released"
        else:
            next_attempt = f"next one at {local_time(recipient.next_attempt_at)}"
        say(f"                {_count(recipient.attempts, 'attempt')}, {next_attempt}")
        if recipient.last_reason:
            say(f"                {recipient.last_reason}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
