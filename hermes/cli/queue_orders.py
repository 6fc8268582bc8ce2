"""``hermes queue retry, hold, release, remove, return, reroute, expire``: what is done with messages in the queue."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import click

from hermes.cli.control_client import ask
from hermes.cli.output import Refused, config_option, json_option, local_time, say, say_json, say_table
from hermes.cli.pauses import paused
from hermes.cli.selecting import checked, seconds, selecting, selection_from
from hermes.config.loader import load
from hermes.config.schema import Settings
from hermes.core.selection import MAX_IDS
from hermes.core.units import format_instant

#: A report for each of 100,000 messages takes some minutes; the server goes on in any case.
ORDER_SECONDS = 3600.0

_Criteria = Mapping[str, str | None]

_IDS = click.argument("ids", metavar="[ID]...", nargs=-1)
_ALL = click.option("--all", "everything", is_flag=True, help="Everything in the queue.")


@click.command()
@config_option
@selecting
@click.option("--all", "everything", is_flag=True, help="Every message that waits.")
@_IDS
def retry(config: str, everything: bool, ids: Sequence[str], **criteria: str | None) -> None:
    """Try messages now. When nothing is named, all that wait; held messages stay held."""
    if everything and ids:
        raise click.UsageError("Name messages or say --all, not both.")
    settings = load(config)
    if any(criteria.values()):
        _order(settings, "retry", _named(everything, ids, criteria), "will be tried now")
    else:
        _carry_out(settings, "queue.retry", checked(ids) if ids else [None])


@click.command()
@config_option
@selecting
@_ALL
@_IDS
def hold(config: str, everything: bool, ids: Sequence[str], **criteria: str | None) -> None:
    """Stop messages until they are released."""
    _one_or_many(config, "hold", everything, ids, criteria, "held until released")


@click.command()
@config_option
@selecting
@_ALL
@_IDS
def release(config: str, everything: bool, ids: Sequence[str], **criteria: str | None) -> None:
    """Let held messages go on, now, whatever rule holds them."""
    _one_or_many(config, "release", everything, ids, criteria, "released")


@click.command()
@config_option
@selecting
@_ALL
@_IDS
def remove(config: str, everything: bool, ids: Sequence[str], **criteria: str | None) -> None:
    """Delete messages for good. Nobody is told; use return to have the senders told."""
    _one_or_many(config, "remove", everything, ids, criteria, "removed; nobody was told")


@click.command("return")
@config_option
@selecting
@_ALL
@_IDS
def return_(config: str, everything: bool, ids: Sequence[str], **criteria: str | None) -> None:
    """
    Give messages up now, and tell their senders.

    The report holds the last reason.
    """
    _one_or_many(config, "return", everything, ids, criteria, "returned to the senders")


@click.command()
@config_option
@selecting
@_ALL
@click.option(
    "--via", "way", metavar="WAY", required=True, help="direct, smarthost:NAME, discard, or auto: as configured."
)
@_IDS
def reroute(config: str, everything: bool, way: str, ids: Sequence[str], **criteria: str | None) -> None:
    """
    Send messages another way, now.

    They keep to it until they are rerouted again; auto lets the configuration say the way.
    """
    _order(load(config), "reroute", _named(everything, ids, criteria), "rerouted", way=way)


@click.command()
@config_option
@selecting
@_ALL
@click.option("--in", "in_", metavar="TIME", help="From now, like 2h or 3d; 0: at the next attempt, which is now.")
@click.option("--as-configured", is_flag=True, help="As queue.expire says.")
@_IDS
def expire(
    config: str, everything: bool, in_: str | None, as_configured: bool, ids: Sequence[str], **criteria: str | None
) -> None:
    """Say until when messages are tried before they are returned."""
    if (in_ is None) is not as_configured:
        raise click.UsageError("Say --in TIME, or --as-configured.")
    expires_at = None if in_ is None else time.time() + seconds("--in", in_)
    done = "as configured" if in_ is None else f"tried for {in_} more"
    _order(load(config), "expire", _named(everything, ids, criteria), done, expires_at=expires_at)


_WHAT = click.argument("what", metavar="WHAT")


@click.command()
@config_option
@json_option
@click.argument("what", metavar="[WHAT]", default="")
def pause(config: str, as_json: bool, what: str) -> None:
    """
    Try no mail for something until it is resumed.

    WHAT is a domain (example.net, *.example.net), an address, a destination (direct:example.net, smarthost:office), an agent
    (smarthost, direct, lmtp), or a server (host:mx1.example.net), in whose place others of the domain are then used. Mail is
    taken all the same, and waits; meanwhile it does not expire. This outlives a restart. Without WHAT, what is paused is listed.
    """
    settings = load(config)
    if what:
        done = _given(settings, "pause", {"what": what})
        say(f"{what} is paused until it is resumed: {done}")
        return
    known = paused(settings)
    if as_json:
        say_json([{"what": each, "since": format_instant(since)} for each, since in known.items()])
    elif known:
        say_table(("what", "since"), [(each, local_time(since)) for each, since in known.items()])
    else:
        say("Nothing is paused.")


@click.command()
@config_option
@_WHAT
def resume(config: str, what: str) -> None:
    """Let what was paused be tried again, and try it now."""
    settings = load(config)
    if what not in paused(settings):
        raise Refused(f"{what} is not paused; 'hermes queue pause' lists what is.")
    say(f"{what} goes on: {_given(settings, 'resume', {'what': what})}")


@click.command()
@config_option
@_WHAT
def drain(config: str, what: str) -> None:
    """
    Try all that waits for something now, even if it is paused.

    Mail that comes later stays paused.
    """
    settings = load(config)
    say(f"{_given(settings, 'drain', {'what': what})} for {what} will be tried now")


#: In the order in which they are needed.
orders = (retry, hold, release, remove, return_, reroute, expire, pause, resume, drain)


def _one_or_many(
    config: str, action: str, everything: bool, ids: Sequence[str], criteria: _Criteria, done: str
) -> None:
    settings = load(config)
    if ids and not everything and not any(criteria.values()):
        _carry_out(settings, f"queue.{action}", checked(ids))
    else:
        _order(settings, action, _named(everything, ids, criteria), done)


def _named(everything: bool, ids: Sequence[str], criteria: _Criteria) -> list[dict[str, object]]:
    """The selections that were asked for, of so many ids as travel at once; a usage error when none was."""
    if everything and (ids or any(criteria.values())):
        raise click.UsageError("Name messages or say --all, not both.")
    if not everything and not ids and not any(criteria.values()):
        raise click.UsageError("Say which messages: by ID, by --to and the like, or --all.")
    known = checked(ids)
    parts = [known[start : start + MAX_IDS] for start in range(0, len(known), MAX_IDS)] or [[]]
    return [selection_from(part, criteria).as_dict() for part in parts]


def _order(settings: Settings, action: str, selections: Sequence[dict[str, object]], done: str, **more: object) -> None:
    messages = recipients = 0
    for selection in selections:
        order = {"action": action, "selection": selection, **more}
        answer = ask(settings, "queue.order", order, ORDER_SECONDS)
        messages += int(answer["messages"])
        recipients += int(answer["recipients"])
    if not messages:
        raise Refused("Nothing in the queue is like that.")
    say(f"{_number(messages, recipients)}: {done}")


def _given(settings: Settings, action: str, selection: dict[str, object]) -> str:
    """Give an order that may be about nothing yet; how much it was about."""
    answer = ask(settings, "queue.order", {"action": action, "selection": selection}, ORDER_SECONDS)
    return _number(int(answer["messages"]), int(answer["recipients"]))


def _number(messages: int, recipients: int) -> str:
    return f"{messages} message{'' if messages == 1 else 's'}, {recipients} recipient{'' if recipients == 1 else 's'}"


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
