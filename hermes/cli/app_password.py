"""``hermes user app-password``: further passwords of an account, one for each program or device."""

from __future__ import annotations

import time

import attrs
import click

from hermes.cli.output import Refused, config_option, json_option, local_time, remark, say, say_json, say_table
from hermes.cli.sources import account_named
from hermes.config.loader import load
from hermes.config.places import app_passwords_file
from hermes.config.schema import Settings
from hermes.core.app_password import SERVICES, AppPassword, check_name, check_services, digest_of, generate
from hermes.core.units import format_instant
from hermes.directory.app_password_file import AppPasswordFile
from hermes.interfaces import UnavailableError


@click.group("app-password")
def app_password() -> None:
    """
    Passwords of an account for one program or device each.

    They are made here and shown once. They work for accounts of every source, beside the account's own password, with PLAIN,
    LOGIN and USER/PASS, and never at the password server. A running server sees each change at once.
    """


@app_password.command()
@config_option
@click.option(
    "--scope",
    default="",
    metavar="SERVICES",
    help=f"What it is for, with commas between. Default: {','.join(SERVICES)}.",
)
@click.argument("account")
@click.argument("name")
def add(config: str, scope: str, account: str, name: str) -> None:
    """Make the app password NAME of ACCOUNT, and print it once."""
    settings, account = load(config), account.lower()
    try:
        name, services = check_name(name), check_services(scope.split(","))
        _require(settings, account)
        secret = generate()
        digest = digest_of(secret)
        assert digest is not None, "it was made so"
        app_passwords(settings).add(account, name, digest, services, time.time())
    except ValueError as error:
        raise Refused(str(error)) from None
    say(f"{account} can log in by the app password {name}: {', '.join(services)}")
    say(f"password: {secret}")
    remark("It is kept as a digest only: write it down now. Spaces, hyphens and capitals make no difference.")


@app_password.command("list")
@config_option
@json_option
@click.argument("account", required=False)
def list_(config: str, as_json: bool, account: str | None) -> None:
    """List app passwords, of ACCOUNT or all, and their last use."""
    try:
        found = app_passwords(load(config)).list(account.lower() if account is not None else None)
    except ValueError as error:
        raise Refused(str(error)) from None
    if as_json:
        say_json([described(each) for each in found])
    elif not found:
        say("There are no app passwords.")
    else:
        rows = [
            (
                each.account,
                each.name,
                ", ".join(each.services),
                local_time(each.made_at),
                "never" if each.used_at is None else f"{local_time(each.used_at)} {each.used_for} {each.used_from}",
            )
            for each in found
        ]
        say_table(("account", "name", "for", "made", "last used"), rows)


@app_password.command()
@config_option
@click.option("--all", "all_", is_flag=True, help="Take all app passwords of ACCOUNT away.")
@click.argument("account")
@click.argument("name", required=False)
def remove(config: str, all_: bool, account: str, name: str | None) -> None:
    """
    Take the app password NAME of ACCOUNT away.

    Nobody can log in by it any more; sessions that are open go on.
    """
    if (name is None) is not all_:
        raise click.UsageError("Say the name of one, or --all.")
    file, account = app_passwords(load(config)), account.lower()
    try:
        removed = file.remove(account, name, time.time())
    except ValueError as error:
        raise Refused(str(error)) from None
    if not removed:
        raise Refused(f"{account} has no app password{'' if name is None else f' {name!r}'}")
    say(f"{account} has {'no app passwords' if name is None else f'no app password {name}'} any more")


def app_passwords(settings: Settings) -> AppPasswordFile:
    """Those of a site."""
    return AppPasswordFile(app_passwords_file(settings))


def described(each: AppPassword) -> dict[str, object]:
    """One for JSON, with times as the trace has them."""
    used_at = None if each.used_at is None else format_instant(each.used_at)
    return {**attrs.asdict(each), "made_at": format_instant(each.made_at), "used_at": used_at}


def _require(settings: Settings, account: str) -> None:
    try:
        found = account_named(settings, account)
    except UnavailableError as error:
        raise ValueError(f"the directory cannot be asked for {account!r}: {error}") from None
    if found is None or found.name != account:
        raise ValueError(f"there is no account {account!r}")
