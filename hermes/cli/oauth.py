"""``hermes oauth``: logging in at providers whose smart hosts want tokens instead of passwords."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Mapping
from typing import Any

import click
from twisted.internet.task import deferLater

from hermes.cli import in_reactor
from hermes.cli.control_client import ask
from hermes.cli.output import (
    EXIT_REFUSED,
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
from hermes.config.oauth_client_rules import ClientFacts, accounts_of, facts_of, missing
from hermes.config.places import token_directory, token_key_file
from hermes.config.providers import providers as known_providers
from hermes.config.schema import Settings
from hermes.config.sections.oauth_client import GRANTS
from hermes.net.https import Answer, post_form
from hermes.protocols.oauth import DeviceCode, Tokens
from hermes.services.oauth_login import CodeLogin, LoginError, log_in_by_credentials, log_in_by_device, record_of
from hermes.services.token_store import Record, TokenStore, TokenStoreError

#: A pasted address that is still wrong after so many tries is not in the clipboard.
MAX_TRIES = 3

_NAME = click.argument("name")


@click.group()
def oauth() -> None:
    """Log in at providers that want tokens, not passwords."""


@oauth.command()
@config_option
@click.option("--by", "grant", type=click.Choice(GRANTS[1:]), help="How to log in. Default: as the settings say.")
@_NAME
def login(config: str, grant: str | None, name: str) -> None:
    """
    Get tokens for [oauth_client:NAME].

    A running server uses them at once, and sees to the rest.

    Nothing has to be open on this machine: a code is typed at another device, or an address is copied into a browser anywhere and
    the one at which that ends is pasted here.
    """
    settings = load(config)
    facts = _facts(settings, name, grant or "")
    if key := missing(facts):
        raise Refused(f"[oauth_client:{name}] {key} is missing, and {facts.grant} needs it.")
    try:
        tokens = _tokens(facts)
    except LoginError as error:
        raise Refused(f"There is no token for {name}: {error}.") from None
    _store(settings).write(name, record_of(tokens, time.time()))
    say(f"{name} is logged in; the token is good for {tokens.life_seconds // 60} minutes")
    if not tokens.refresh_token and facts.grant != "client_credentials":
        remark(
            f"{facts.title} gave no refresh token: after that time this has to be done again. Its settings may say why."
        )
    if not accounts_of(settings, name):
        remark(f"No smart host uses it yet: write oauth = {name} and a username into [smarthost] or [smarthost:NAME].")
    _tell_server(settings, name)


@oauth.command()
@config_option
@json_option
def status(config: str, as_json: bool) -> None:
    """
    Say how the tokens are, and what to do.

    Of every client: who logs in with it, how long its token is good, when it was refreshed, and what went wrong.

    Exit code 1: one of them needs somebody to log in.
    """
    settings = load(config)
    rows = [_row(settings, name) for name in settings.oauth_clients]
    if as_json:
        say_json(rows)
    elif not rows:
        say("There are no OAuth clients: docs/sending.md says how to set one up.")
    else:
        for row in rows:
            say(f"{row['name']} ({row['provider']})")
            for key in ("account", "expires", "last_refresh", "last_error", "to_do"):
                say(f"    {key.replace('_', ' '):<14}{row[key] or '-'}")
    if any(row["login_needed"] for row in rows):
        sys.exit(EXIT_REFUSED)


@oauth.command()
@config_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@_NAME
def logout(config: str, yes: bool, name: str) -> None:
    """
    Throw the tokens of a client away.

    Mail that needs them waits until somebody logs in again.
    """
    settings = load(config)
    _facts(settings, name, "")
    if not yes:
        click.confirm(f"Throw the tokens of {name} away? Mail that needs them will wait.", abort=True)
    if not _store(settings).remove(name):
        raise Refused(f"There were no tokens of {name}.")
    say(f"{name} is logged out; the provider's own pages can revoke what it has given")
    _tell_server(settings, name)


@oauth.command()
@json_option
def providers(as_json: bool) -> None:
    """Show what is known about providers, and from where."""
    columns = ("preset", "fact", "value", "source", "read")
    rows = [
        (each.name, key, fact.value, fact.source, fact.read and str(fact.read))
        for each in known_providers().values()
        for key, fact in each.facts.items()
    ]
    if as_json:
        say_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    say_table(columns, [(*row[:2], _text(row[2]), row[3], row[4] or "not read yet") for row in rows])


def _text(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return " ".join(f"{key}={each}" for key, each in value.items()) if isinstance(value, dict) else str(value)


def _facts(settings: Settings, name: str, grant: str) -> ClientFacts:
    if name not in settings.oauth_clients:
        there = ", ".join(settings.oauth_clients) or "none"
        raise Refused(f"There is no [oauth_client:{name}] in {settings.file} (there are: {there}).")
    return facts_of(name, settings.oauth_clients[name], grant)


def _store(settings: Settings) -> TokenStore:
    return TokenStore(token_directory(settings), token_key_file(settings))


def _tokens(facts: ClientFacts) -> Tokens:
    if facts.grant == "code":
        attempt = CodeLogin(facts, lambda: secrets.token_urlsafe(48))
        code = _pasted(attempt, facts)
        return in_reactor.run(lambda reactor: attempt.tokens(code, _poster(reactor)))
    if facts.grant == "client_credentials":
        return in_reactor.run(lambda reactor: log_in_by_credentials(facts, _poster(reactor)))
    return in_reactor.run(
        lambda reactor: log_in_by_device(
            facts,
            _poster(reactor),
            tell=_tell,
            pause=lambda seconds: deferLater(reactor, seconds),
            now=time.time,
        )
    )


def _poster(reactor: Any) -> Any:
    async def post(address: str, form: Mapping[str, str], authority: str) -> Answer | str:
        return await post_form(reactor, address, form, authority=authority)

    return post


def _tell(device: DeviceCode) -> None:
    say(f"Open {device.verification_uri} in any browser, and type this code: {device.user_code}")
    say(f"Waiting for up to {device.life_seconds // 60} minutes; Ctrl-C gives up.")
    sys.stdout.flush()


def _pasted(attempt: CodeLogin, facts: ClientFacts) -> str:
    say("Open this address in any browser, and log in as the account that shall send:")
    # The whole line is an address made here: it must be copied as it is, however long.
    click.echo(attempt.address)
    say(f"The browser ends at a page that cannot be shown, at {facts.redirect}: copy its address from the address bar.")
    for _ in range(MAX_TRIES):
        pasted = click.prompt("Paste it here", prompt_suffix=": ", hide_input=False)
        try:
            return attempt.code(pasted)
        except ValueError as error:
            remark(f"{error}.")
    raise LoginError("none of the addresses was the right one")


def _tell_server(settings: Settings, name: str) -> None:
    """A server that runs learns of it at once; one that does not will read it when it starts."""
    try:
        ask(settings, "oauth.changed", {"name": name})
    except Refused as error:
        remark(f"The running server has not been told ({error.format_message()})")


def _row(settings: Settings, name: str) -> dict[str, Any]:
    facts = _facts(settings, name, "")
    trouble, record = "", None
    try:
        record = _store(settings).read(name)
    except TokenStoreError as error:
        trouble = str(error)
    needed = _login_needed(facts, record, trouble)
    return {
        "name": name,
        "provider": facts.title,
        "account": ", ".join(accounts_of(settings, name)),
        "expires": _when(record.expires_at) if record is not None else "",
        "last_refresh": _when(record.refreshed_at) if record is not None else "",
        "last_error": trouble or _error(record),
        "to_do": _to_do(facts, record, needed),
        "login_needed": needed,
    }


def _when(at: float) -> str:
    return local_time(at) if at else ""


def _error(record: Record | None) -> str:
    return f"{local_time(record.error_at)}: {record.error}" if record is not None and record.error else ""


def _login_needed(facts: ClientFacts, record: Record | None, trouble: str) -> bool:
    if trouble:
        return True
    if facts.grant == "client_credentials":
        return record is not None and record.login_needed
    if record is None or record.login_needed:
        return True
    return not record.refresh_token and record.expires_at < time.time()


def _to_do(facts: ClientFacts, record: Record | None, needed: bool) -> str:
    if needed and facts.grant == "client_credentials":
        return "see whether client_id, client_secret and tenant are right and have not expired"
    if needed:
        return f"run: hermes oauth login {facts.name}"
    if record is not None and record.error:
        return "nothing: it is tried again by itself; should it stay so, log in again"
    if record is None:
        return "nothing: the server asks for a token when it needs one"
    if not record.refresh_token and facts.grant != "client_credentials":
        return f"run hermes oauth login {facts.name} again before it expires: there is no refresh token"
    return "nothing: it is refreshed by itself"
