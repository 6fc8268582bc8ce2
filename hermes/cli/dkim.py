"""``hermes dkim``: the keys that sign mail, and the records that have to be in the DNS for them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from hermes.cli.asking import asked
from hermes.cli.output import (
    EXIT_REFUSED,
    Refused,
    config_option,
    json_option,
    local_time,
    remark,
    say,
    say_json,
    say_level,
    say_table,
)
from hermes.config.host_names import domain_fault
from hermes.config.loader import load
from hermes.config.schema import Settings
from hermes.config.sections.dkim import is_selector
from hermes.core.dns_answer import Answer, Status
from hermes.net.resolver import Resolver, encode_name
from hermes.policy.dkim_keys import RSA_BITS, SigningKey, State, change_state, create_key, domains_of, keys_of
from hermes.protocols.dkim_signature import ED25519, RSA

_KINDS = {"rsa": (RSA,), "ed25519": (ED25519,), "both": (RSA, ED25519)}
_STATES = {State.NEXT: "next", State.IN_USE: "in use", State.RETIRED: "retired"}

#: One string of a TXT record (RFC 1035 3.3.14).
_STRING_OCTETS = 255


def _domain_argument(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        domain = encode_name(value).decode("ascii")
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if fault := domain_fault(domain):
        raise click.BadParameter(fault)
    return domain


_domain = click.argument("domain", callback=_domain_argument)


@click.group()
def dkim() -> None:
    """Make, show and change the keys that sign mail (DKIM)."""


@dkim.command()
@config_option
@_domain
@click.option("--type", "kind", type=click.Choice(list(_KINDS)), default="both", help="Kind of key; both by default.")
@click.option("--selector", help="Name of the key; with two kinds, -rsa and -ed are added. By default the month.")
@click.option("--bits", type=click.IntRange(1024, 8192), default=RSA_BITS, help="Size of an RSA key.")
@click.option("--now", "at_once", is_flag=True, help="Sign with it at once, before its record can be seen.")
def create(config: str, domain: str, kind: str, selector: str | None, bits: int, at_once: bool) -> None:
    """
    Make keys for a domain, and print the records for its zone.

    They sign nothing until "hermes dkim rotate" has seen the records in the DNS.
    """
    settings = load(config)
    state = State.IN_USE if at_once else State.NEXT
    made = _create(settings, domain, _KINDS[kind], selector, state, bits)
    for key in made:
        _print_record(key)
    if not at_once:
        remark(f"When these records are in the DNS: hermes dkim rotate -c {settings.file} {domain}")


def _create(
    settings: Settings, domain: str, algorithms: Sequence[str], selector: str | None, state: State, bits: int = RSA_BITS
) -> list[SigningKey]:
    directory = settings.dkim.directory
    taken = {key.selector for key in _keys(settings, domain)}
    names = _names(selector, algorithms, taken)
    for name in names:
        if not is_selector(name):
            raise Refused(f"{name!r} is not a selector: write letters, digits, - and dots")
        if name in taken:
            raise Refused(f"{domain} has a key {name} already: choose another selector")
    return [
        create_key(directory, domain, name, algorithm, state, bits)
        for name, algorithm in zip(names, algorithms, strict=True)
    ]


def _names(selector: str | None, algorithms: Sequence[str], taken: set[str]) -> list[str]:
    """A selector for each key: the month, and a letter where that has been used."""

    def named(stem: str) -> list[str]:
        ends = {RSA: "-rsa", ED25519: "-ed"}
        return [stem + ends[algorithm] for algorithm in algorithms]

    if selector is not None:
        return [selector] if len(algorithms) == 1 else named(selector)
    month = datetime.fromtimestamp(time.time(), UTC).strftime("h%Y%m")
    stems = [month, *(month + letter for letter in "bcdefghijklmnopqrstuvwxyz")]
    return next((names for names in map(named, stems) if taken.isdisjoint(names)), named(month))


def _keys(settings: Settings, domain: str) -> list[SigningKey]:
    keys, faults = keys_of(settings.dkim.directory, domain)
    for fault in faults:
        remark(fault)
    return keys


def _print_record(key: SigningKey) -> None:
    """The record as a line for a zone file; forms on the web want the name and the text between the quotes, in one piece."""
    record = key.record
    strings = [record[start : start + _STRING_OCTETS] for start in range(0, len(record), _STRING_OCTETS)]
    texts = " ".join(f'"{text}"' for text in strings)
    say(f"{key.name}. IN TXT {texts if len(strings) == 1 else f'( {texts} )'}")


@dkim.command("list")
@config_option
@json_option
@click.argument("domain", required=False, callback=_domain_argument)
def list_(config: str, as_json: bool, domain: str | None) -> None:
    """List the keys of a domain, or all."""
    settings = load(config)
    domains = domains_of(settings.dkim.directory) if domain is None else [domain]
    keys = [key for each in domains for key in _keys(settings, each)]
    if as_json:
        rows = [
            {
                "domain": key.domain,
                "selector": key.selector,
                "type": key.words,
                "state": _STATES[key.state],
                "since": key.changed_at,
                "record": key.record,
            }
            for key in keys
        ]
        say_json(rows)
    elif not keys:
        say("There are no keys: hermes dkim create makes some.")
    else:
        columns = ("domain", "selector", "type", "state", "since")
        say_table(
            columns,
            [(key.domain, key.selector, key.words, _STATES[key.state], local_time(key.changed_at)) for key in keys],
        )


@dkim.command()
@config_option
@_domain
@click.argument("selector", required=False)
@click.option("--plain", is_flag=True, help="Name and text without quotes, as forms on the web want them.")
def record(config: str, domain: str, selector: str | None, plain: bool) -> None:
    """Print the DNS records of a domain's keys."""
    keys = [
        key
        for key in _keys(load(config), domain)
        if (key.state is not State.RETIRED if selector is None else key.selector == selector)
    ]
    if not keys:
        raise Refused(
            f"{domain} has no {'key' if selector is None else f'key {selector}'}: hermes dkim list shows what there is"
        )
    for key in keys:
        if plain:
            say(f"{key.name} {key.record}")
        else:
            _print_record(key)


@dkim.command()
@config_option
@_domain
@click.option("--force", is_flag=True, help="Change over without looking for the records in the DNS.")
def rotate(config: str, domain: str, force: bool) -> None:
    """
    Change the keys of a domain, in two steps.

    The first time new keys are made and their records printed. The second time, when the records are in the DNS, the new keys
    sign and the old ones are retired; their records must stay for as long as mail with their signatures may be under way.
    """
    settings = load(config)
    keys = _keys(settings, domain)
    coming = [key for key in keys if key.state is State.NEXT]
    in_use = [key for key in keys if key.state is State.IN_USE]
    if not coming:
        algorithms = list(dict.fromkeys(key.algorithm for key in in_use)) or [RSA, ED25519]
        for key in _create(settings, domain, algorithms, None, State.NEXT):
            _print_record(key)
        remark("When these records are in the DNS, give the same command again.")
        return
    if not force:
        rows = asked(settings, lambda resolver: _examined(resolver, coming))
        missing = [row for row in rows if row["level"] == "fail"]
        if missing:
            raise Refused("Nothing has been changed:\n" + "\n".join(row["text"] for row in missing))
    now = time.time()
    # The new ones first: there is always one that signs.
    for key in coming:
        change_state(settings.dkim.directory, key, State.IN_USE, now)
        say(f"{key.selector} signs for {domain} from now on")
    for key in in_use:
        change_state(settings.dkim.directory, key, State.RETIRED, now)
        days = settings.queue.expire // 86400 + 2
        say(f"{key.selector} is retired: leave its record in the DNS for {days} days")


@dkim.command()
@config_option
@json_option
@click.argument("domain", required=False, callback=_domain_argument)
def check(config: str, as_json: bool, domain: str | None) -> None:
    """
    See whether the DNS has the records of the keys.

    The server need not run. Exit code 1: a key that signs has no record, so its signatures are worth nothing.
    """
    settings = load(config)
    domains = domains_of(settings.dkim.directory) if domain is None else [domain]
    keys = [key for each in domains for key in _keys(settings, each) if key.state is not State.RETIRED]
    if domain is not None and not keys:
        raise Refused(f"{domain} has no keys: hermes dkim create -c {settings.file} {domain} makes some")
    rows = asked(settings, lambda resolver: _examined(resolver, keys)) if keys else []
    if as_json:
        say_json(rows)
    elif not rows:
        say("There are no keys: hermes dkim create makes some.")
    else:
        for row in rows:
            say_level(row["level"], row["text"])
    if any(row["level"] == "fail" and row["state"] == "in use" for row in rows):
        sys.exit(EXIT_REFUSED)


async def _examined(resolver: Resolver, keys: Sequence[SigningKey]) -> list[dict[str, str]]:
    return [_row(key, await resolver.texts(key.name)) for key in keys]


def _row(key: SigningKey, answer: Answer[bytes]) -> dict[str, str]:
    level, text = "ok", f"{key.name} ({key.words}, {_STATES[key.state]}) is in the DNS"
    if answer.status is not Status.FOUND:
        level, text = "fail", f"{key.name} is not in the DNS: {answer.reason}"
    elif not key.matches(answer.values):
        level, text = "fail", f"{key.name} has another key in the DNS: hermes dkim record prints the right one"
    elif len(answer.values) > 1:
        level, text = (
            "fail",
            f"{key.name} has {len(answer.values)} records in the DNS: there must be one (RFC 6376 3.6.2.2)",
        )
    elif any(b"t=y" in value.replace(b" ", b"") for value in answer.values):
        level, text = "warn", f"{key.name} says t=y: whoever checks treats its signatures as a test"
    elif key.words.startswith("rsa") and int(key.words.split()[1]) < RSA_BITS:
        level, text = (
            "warn",
            f"{key.name} is in the DNS; {key.words} bits are few: RFC 8301 3.2 wants {RSA_BITS} at least",
        )
    return {"domain": key.domain, "selector": key.selector, "state": _STATES[key.state], "level": level, "text": text}
