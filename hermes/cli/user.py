"""``hermes user``: who has a mailbox. A running server sees the changes by itself."""

from __future__ import annotations

import os
import time
from typing import TextIO

import attrs
import click

from hermes.app.accounts import local_accounts
from hermes.app.secret import kept_secret
from hermes.cli import password
from hermes.cli.app_password import app_password, app_passwords
from hermes.cli.elsewhere import change_elsewhere, described_record, kept_elsewhere, refuse_elsewhere
from hermes.cli.output import Refused, config_option, json_option, remark, say, say_json, say_table
from hermes.cli.profile import profile
from hermes.cli.sources import addresses_of
from hermes.cli.telling import tell_password
from hermes.cli.user_change import arrived, disable, enable, handed_on, rename, set_, text_of
from hermes.cli.user_data import erase, export
from hermes.cli.user_import import import_
from hermes.config.loader import load
from hermes.config.places import recipients_file, recoverable_key_file
from hermes.config.schema import Settings
from hermes.core.account import Account
from hermes.core.units import format_size, parse_size
from hermes.directory.passwords import hash_password, make_scram_keys, matches_hash
from hermes.directory.recoverable import RecoverableSecrets
from hermes.directory.sources.database import DatabaseSource
from hermes.directory.sources.forward_file import parse_forward
from hermes.directory.sources.local import LocalAccounts
from hermes.mailbox.departed import arriving
from hermes.policy.recipient_store import clear, standings

_NAME = click.argument("name")
_PASSWORD_FILE = click.option(
    "--password-file", metavar="F", help="Take the password from the first line of this file; - is standard input."
)
_GENERATE = click.option("--generate", is_flag=True, help="Make a good password, and print it once.")


@click.group()
def user() -> None:
    """Add, list and remove accounts, and set their passwords. A running server sees the changes by itself."""


@user.command()
@config_option
@_PASSWORD_FILE
@_GENERATE
@click.option(
    "--address",
    "addresses",
    multiple=True,
    help="An address that reaches the mailbox; may be repeated, the first is written from. Default: NAME at each domain.",
)
@click.option("--full-name", default="", help="The name of the person.")
@click.option(
    "--quota", default="0", metavar="SIZE", help="Size of the mailbox, like 500M. Default: that of [mailbox]."
)
@_NAME
def add(
    config: str,
    password_file: str | None,
    generate: bool,
    addresses: tuple[str, ...],
    full_name: str,
    quota: str,
    name: str,
) -> None:
    """Add an account with the login name NAME."""
    settings = load(config)
    try:
        account = Account(name.lower(), addresses, full_name, quota_octets=parse_size(quota))
    except ValueError as error:
        raise Refused(str(error)) from None
    secret = _password(name, password_file, generate)
    add_account(settings, account, secret)
    say(f"{account.name} has a mailbox: {', '.join(addresses_of(settings, account)) or 'but no address'}")
    _tell_generated(generate, secret)


@user.command("list")
@config_option
@json_option
def list_(config: str, as_json: bool) -> None:
    """List all accounts."""
    settings = load(config)
    accounts = source.list() if (source := _source(settings)).is_there() else []
    if as_json:
        say_json(
            [
                {
                    "name": account.name,
                    "addresses": addresses_of(settings, account),
                    "full_name": account.full_name,
                    "disabled": account.disabled,
                    "quota_octets": account.quota_octets,
                    "forward": account.forward,
                    "deliver_also": account.deliver_also,
                }
                for account in accounts
            ]
        )
    elif not accounts:
        say("There are no accounts.")
    else:
        rows = [
            (
                account.name,
                ", ".join(addresses_of(settings, account)),
                account.full_name,
                "disabled" if account.disabled else "",
                format_size(account.quota_octets) if account.quota_octets else "",
            )
            for account in accounts
        ]
        say_table(("name", "addresses", "full name", "state", "quota"), rows)


@user.command()
@config_option
@_NAME
def remove(config: str, name: str) -> None:
    """Remove an account. Its mail stays where it is, and is named so that you can delete it."""
    settings = load(config)
    try:
        refuse_elsewhere(settings, name.lower(), "remove it there, and 'hermes user erase' takes its mail away")
        account = described_record(settings, name.lower()).account
        _source(settings).remove(account.name)
        app_passwords(settings).forget(account.name)
        handed_on(settings, account)
    except (LookupError, ValueError) as error:
        raise Refused(text_of(error)) from None
    say(f"{name.lower()} is no account any more")
    mail = os.path.join(settings.mailbox.directory, name.lower())
    if os.path.isdir(mail):
        remark(f"The mail is still in {mail}")


@user.command("password")
@config_option
@_PASSWORD_FILE
@click.option(
    "--old-password-file",
    metavar="F",
    help="The old password, which a directory service asks for; - is standard input. Not needed for accounts kept here.",
)
@_GENERATE
@_NAME
def password_(config: str, password_file: str | None, old_password_file: str | None, generate: bool, name: str) -> None:
    """
    Set the password of an account.

    Where a directory service keeps it, it is changed there, with the old password, as the password server does it; whoever
    does not know that one sets another in the directory.
    """
    settings = load(config)
    source = _source(settings)
    name = name.lower()
    try:
        # Before anybody types a password for nothing.
        if name in (account.name for account in source.list()):
            secret = _password(name, password_file, generate)
            source.set_password(name, hash_password(secret), scram=_scram(settings, secret))
        elif settings.ldap and kept_elsewhere(settings, name) is not None:
            if {password_file, old_password_file} == {"-"}:
                raise click.UsageError("Both passwords cannot come from standard input.")
            old = password.obtain_old(name, old_password_file)
            secret = _password(name, password_file, generate)
            change_elsewhere(settings, name, old, secret)
        else:
            raise LookupError(f"there is no account {name!r}")
    except (LookupError, ValueError) as error:
        raise Refused(text_of(error)) from None
    say(f"{name} has a new password")
    tell_password(settings, name)
    _tell_generated(generate, secret)


@user.command()
@config_option
@_PASSWORD_FILE
@click.argument("name")
@click.argument("switch", type=click.Choice(["on", "off"]), required=False)
def cram(config: str, password_file: str | None, name: str, switch: str | None) -> None:
    """
    Give NAME a secret for CRAM-MD5 and APOP, or take it away.

    Without on or off it says how it stands. It is for programs that can log in in no better way. The secret is made and
    printed once, or taken from a file; the password of the account stays what it is. The server keeps it in a form that it
    can read again, so it must not be a password.
    """
    settings = load(config)
    source, name = _source(settings), name.lower()
    if password_file is not None and switch != "on":
        raise click.UsageError("A secret is set with on.")
    try:
        refuse_elsewhere(settings, name, "who logs in by a password that can be read again needs an account kept here")
        record = source.record(name)
        if switch is None:
            say(f"{name} has {'a' if record.cram else 'no'} secret for CRAM-MD5 and APOP")
        elif switch == "off":
            source.set_cram(name, "")
            say(f"{name} has no secret for CRAM-MD5 and APOP any more")
        else:
            secret = password.obtain_secret(password_file) if password_file is not None else password.generate()
            if matches_hash(record.password_hash, secret):
                raise Refused(f"That is the password of {name}: a secret that the server can read must be another one.")
            sealed = RecoverableSecrets(kept_secret(recoverable_key_file(settings))).seal(name, secret)
            source.set_cram(name, sealed)
            say(f"{name} can log in by CRAM-MD5 and APOP with the secret, and as before with the password")
            _tell_secret(password_file is None, secret)
    except (LookupError, ValueError) as error:
        raise Refused(text_of(error)) from None


def _tell_secret(generated: bool, secret: str) -> None:
    if generated:
        say(f"secret: {secret}")
    remark(
        "From now on CRAM-MD5 and APOP are offered to everybody, and programs that prefer them fail with a password:"
    )
    remark("set those to PLAIN, or to SCRAM-SHA-256.")


@user.command()
@config_option
@click.option("--deliver-also", is_flag=True, help="Put the mail into the mailbox as well.")
@click.option(
    "--from-file",
    type=click.File("r", encoding="utf-8", errors="replace"),
    help="Take the addresses from a FORWARD file of Mercury's; - is standard input.",
)
@click.option("--none", "stays", is_flag=True, help="Send it nowhere any more: it stays here.")
@_NAME
@click.argument("addresses", nargs=-1)
def forward(
    config: str, deliver_also: bool, from_file: TextIO | None, stays: bool, name: str, addresses: tuple[str, ...]
) -> None:
    """Send the mail of NAME to ADDRESSES, or say where it goes."""
    if sum(map(bool, (from_file, stays, addresses))) > 1:
        raise click.UsageError("Say ADDRESSES, --from-file or --none: one of them.")
    settings = load(config)
    source, name = _source(settings), name.lower()
    try:
        refuse_elsewhere(settings, name, "its forwards are an attribute there")
        if from_file is not None:
            addresses, deliver_also = parse_forward(from_file.read())
        if deliver_also and not addresses:
            raise Refused("--deliver-also says nothing without an address: mail that is not sent on stays here")
        if addresses or stays or from_file is not None:
            source.set_forward(name, addresses, deliver_also=deliver_also)
        else:
            account = source.record(name).account
            addresses, deliver_also = account.forward, account.deliver_also
    except (LookupError, ValueError) as error:
        raise Refused(text_of(error)) from None
    if not addresses:
        say(f"mail for {name} stays here")
    else:
        say(f"mail for {name} goes to {', '.join(addresses)}{', and into the mailbox' if deliver_also else ''}")


@user.command()
@config_option
@json_option
@click.option("--clear", "what", flag_value="count", help="Let today's count of NAME begin again.")
@click.option("--forget", "what", flag_value="all", help="Forget to whom NAME has written, too: everybody is new then.")
@click.argument("name", required=False)
def recipients(config: str, as_json: bool, what: str | None, name: str | None) -> None:
    """
    Show how many new recipients accounts have had today.

    How many they may have is new_recipients in [accounts], or in the account's own lines. The count can be cleared.
    """
    settings = load(config)
    path, name = recipients_file(settings), name.lower() if name is not None else None
    if what is not None:
        if name is None:
            raise click.UsageError("Say whose count it is.")
        if not clear(path, name, forget=what == "all"):
            raise Refused(f"Nothing is counted of {name}.")
        say(f"The count of {name} begins again" if what == "count" else f"It is forgotten to whom {name} has written")
        return
    found = [each for each in standings(path, time.time()) if name in (None, each.account)]
    if as_json:
        say_json([attrs.asdict(each) for each in found])
    elif not found:
        say("Nothing is counted.")
    else:
        say_table(
            ("account", "new today", "refused today", "known"),
            [(each.account, each.new, each.refused, each.remembered) for each in found],
        )


@user.command("make-database")
@config_option
def make_database(config: str) -> None:
    """
    Make the SQLite database of accounts, for tools to fill.

    It is the one that [accounts] database names.
    """
    settings = load(config)
    path = settings.accounts.database
    if not DatabaseSource(path).make():
        raise Refused(f"{path} is there already")
    say(f"{path} has no accounts yet")
    if "sqlite" not in settings.accounts.sources:
        remark("The server does not ask it: write sqlite into [accounts] sources.")


for command in (profile, set_, disable, enable, rename, export, erase, import_, app_password):
    user.add_command(command)


def add_account(settings: Settings, account: Account, secret: str) -> None:
    """Add an account with this password; raise :class:`Refused`."""
    os.makedirs(settings.hermes.data, mode=0o700, exist_ok=True)
    try:
        _source(settings).add(account, hash_password(secret), _scram(settings, secret))
        # Those of somebody who was called so before, in a directory service for one.
        app_passwords(settings).forget(account.name)
        arrived(settings, account.name)
        arriving(settings.mailbox.directory, account.name)
    except ValueError as error:
        raise Refused(text_of(error)) from None


def _source(settings: Settings) -> LocalAccounts:
    return local_accounts(settings)


def _scram(settings: Settings, secret: str) -> str:
    """Keys for SCRAM, where the settings want them kept."""
    return make_scram_keys(secret) if settings.accounts.scram != "no" else ""


def _password(name: str, password_file: str | None, generate: bool) -> str:
    if generate and password_file is not None:
        raise click.UsageError("Say --generate or --password-file, not both.")
    return password.generate() if generate else password.obtain(name, password_file)


def _tell_generated(generated: bool, secret: str) -> None:
    if generated:
        say(f"password: {secret}")
        remark("It is kept as a hash only: write it down now.")
