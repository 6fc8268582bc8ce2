"""``hermes explain``: what would happen to a connection or a message, and which line of the configuration says so."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from functools import partial
from ipaddress import ip_address

import attrs
import click

from hermes.app.at_once import AtOnce
from hermes.app.checks import Means
from hermes.app.explain import FLAVORS, SERVERS, Explanation, Question, Step, accepted
from hermes.app.reasons import Reasons
from hermes.app.redirects import files_of
from hermes.app.rulebook import Rulebook
from hermes.app.secret import SECRET_OCTETS
from hermes.cli.asking import asked
from hermes.cli.output import EXIT_REFUSED, config_option, json_option, say, say_json
from hermes.cli.pauses import paused
from hermes.cli.sources import all_sources, at_once
from hermes.config.loader import Loaded, read
from hermes.config.places import offenders_file, secret_file
from hermes.config.schema import Settings
from hermes.core.destination_pattern import what_matches
from hermes.core.outcome import Verdict
from hermes.core.pause import reason_of
from hermes.core.units import parse_size
from hermes.directory.passwords import Passwords
from hermes.directory.sources.alias_files import AliasFiles
from hermes.interfaces import IResolver, UnavailableError
from hermes.net.content import ContentReader
from hermes.net.peer import normal
from hermes.policy.dnsbl_record import Records
from hermes.policy.offender_store import NoStore, read_offenders
from hermes.policy.offenders import Offenders

#: One of the addresses that are set aside for examples: nobody has said anything about it.
STRANGER = "192.0.2.1"


@click.command()
@config_option
@json_option
@click.option(
    "--ip",
    "peer",
    metavar="ADDRESS",
    help=f"The address of the client that connects. With --to it may be left out, and is a stranger's, {STRANGER}.",
)
@click.option("--server", default="smtp", show_default=True, type=click.Choice(SERVERS), help="Where it connects.")
@click.option("--helo", "hello", default="", metavar="NAME", help="The name it gives. Default: its address.")
@click.option("--from", "reverse_path", metavar="ADDRESS", help="The sender; '' for the null sender of reports.")
@click.option("--to", "recipients", multiple=True, metavar="ADDRESS", help="A recipient; may be given several times.")
@click.option("--size", default="0", metavar="SIZE", help="The size of the message, like 10M.")
@click.option("--dns", "dns", is_flag=True, help="Ask the lists of [dnsbl:NAME], and what [sender_checks] tests, too.")
def explain(
    config: str,
    as_json: bool,
    peer: str | None,
    server: str,
    hello: str,
    reverse_path: str | None,
    recipients: Sequence[str],
    size: str,
    dns: bool,
) -> None:
    """
    Say what would happen to a message, and why; sends nothing.

    A recipient that stands for others is followed to all its ends, each step with the file and line that say so.

    Each stage has its answer, the rule behind it, and the lines of the configuration that decide. The client is one that
    has not logged in. Addresses may stand in angle brackets, with whatever a client might put there. Needs no running
    server; what depends on the moment, like the number of connections, is not told, except that an
    address is blocked just now. The DNS is asked with --dns; else it is told which of its rules may
    refuse the message. Exit code 1: something would be refused.
    """
    if peer is None:
        if not recipients:
            raise click.UsageError("Missing option '--ip': say whose connection, or with --to which address you mean.")
        peer = STRANGER
    if server not in FLAVORS and (hello or reverse_path is not None or recipients):
        raise click.UsageError(f"{server} knows no --helo, --from and --to: only the connection can be asked about.")
    for text in (hello, reverse_path or "", *recipients):
        if not text.isprintable():
            raise click.UsageError(f"{text!r} has control characters in it, which no command can have.")
    loaded = read(config)
    question = Question(_peer(peer), server, hello, reverse_path, tuple(recipients), _size(size))
    try:
        wanted = partial(answer, loaded, question)
        steps = asked(loaded.settings, wanted) if dns else at_once(wanted(None))
    except UnavailableError as error:
        raise click.ClickException(f"the directory cannot be asked: {error}") from None
    if as_json:
        say_json([attrs.asdict(step) for step in steps])
    else:
        for step in steps:
            _say(step)
    if not accepted(steps):
        sys.exit(EXIT_REFUSED)


async def answer(loaded: Loaded, question: Question, resolver: IResolver | None) -> list[Step]:
    """All stages of what would happen, by the configuration and the accounts as they are on disk now, and by the DNS."""
    source = all_sources(loaded.settings)
    redirects = AliasFiles(files_of(loaded.settings))
    redirects.load()
    passwords, now = Passwords((), time.monotonic), AtOnce()
    means = Means(resolver, Records(time.monotonic), ContentReader(now)) if resolver is not None else None
    secret = partial(_secret, loaded.settings)
    rulebook = Rulebook(loaded.settings, source, now, passwords, time.time, means, redirects, secret)
    listed = _listed(loaded.settings, rulebook, question.peer)
    explanation = Explanation(question, loaded.settings, rulebook, Reasons(loaded), listed, dns=resolver is not None)
    known = paused(loaded.settings)
    return [_with_pause(step, known) async for step in explanation.steps()]


def _with_pause(step: Step, known: Iterable[str]) -> Step:
    """A recipient whose mail is taken, and waits just now."""
    address = step.said.strip("<>")
    what = next((what for what in known if step.destination and what_matches(what, step.destination, address)), "")
    moments = [step.moment, reason_of(what) if what else ""]
    return attrs.evolve(step, moment="; ".join(filter(None, moments)))


def _secret(settings: Settings) -> bytes:
    """The server's secret, when it has one and it may be read; the addresses of rewritten senders lead nowhere without it."""
    try:
        with open(secret_file(settings), "rb") as file:
            return file.read(SECRET_OCTETS)
    except OSError:
        return b""


def _listed(settings: Settings, rulebook: Rulebook, peer: str) -> Verdict | None:
    """What the list of offenders, as it is on disk now, would say to a peer."""
    try:
        rows = read_offenders(offenders_file(settings), time.time())
    except (sqlite3.Error, OSError, ValueError):
        # It is not what was asked about; 'hermes block list' tells what is wrong with it.
        return None
    offenders = Offenders(NoStore(), time.time)
    offenders.reconfigure(settings, rulebook.access)
    offenders.load(rows)
    return offenders.refusal(peer)


def _peer(text: str) -> str:
    peer = normal(text)
    try:
        ip_address(peer)
    except ValueError:
        raise click.UsageError(f"{text!r} is not an address: write one like 192.0.2.7 or 2001:db8::7.") from None
    return peer


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise click.UsageError(f"--size: {error}") from None


def _say(step: Step) -> None:
    say(f"{step.stage} {_said(step)}: {step.reply}")
    if step.destination:
        account = f", account {step.account}" if step.account else ""
        say(f"    goes to {step.destination}{account}")
    if step.rule != "default" or step.reason:
        say(f"    rule {step.rule}{f': {step.reason}' if step.reason else ''}")
    if step.found:
        say(f"    dns  {step.found}")
    for line in step.expansion:
        say(f"    {line}")
    for place in step.because:
        say(f"    see  {place}")
    if step.moment:
        say(f"    now  {step.moment}")
        if step.stage == "connect":
            say("    see  hermes block list")


def _said(step: Step) -> str:
    is_path = step.stage in ("sender", "recipient") and not step.said.startswith("<")
    return f"<{step.said}>" if is_path else step.said
