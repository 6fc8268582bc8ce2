"""``hermes user set|disable|enable|rename``: what becomes of an account that there is."""

from __future__ import annotations

import os
import time

import attrs
import click

from hermes.app.accounts import local_accounts
from hermes.cli.app_password import app_passwords
from hermes.cli.elsewhere import described_record, refuse_elsewhere, with_addresses
from hermes.cli.output import Refused, config_option, json_option, remark, say, say_json
from hermes.cli.queue import reader
from hermes.config.durable import sync_directory
from hermes.config.loader import load
from hermes.config.places import former_names_file
from hermes.config.schema import Settings
from hermes.core.account import Account
from hermes.core.units import format_size, parse_size
from hermes.directory.accounts import check_address, check_name
from hermes.directory.former_names import FormerNames
from hermes.mailbox.departed import arriving, departing
from hermes.mailbox.lock import MailboxLock, alone_in

_NAME = click.argument("name")


@click.command("set")
@config_option
@json_option
@click.option("--full-name", metavar="TEXT", help="The name of the person; empty for none.")
@click.option("--quota", metavar="SIZE", help="Size of the mailbox, like 500M; 0 for that of [mailbox].")
@click.option("--address", "addresses", multiple=True, help="An address; may be repeated. They replace those listed.")
@click.option("--no-addresses", is_flag=True, help="List none: the account has its name at each domain.")
@_NAME
def set_(
    config: str,
    as_json: bool,
    full_name: str | None,
    quota: str | None,
    addresses: tuple[str, ...],
    no_addresses: bool,
    name: str,
) -> None:
    """Change name, quota and addresses of NAME, or show them."""
    if addresses and no_addresses:
        raise click.UsageError("Say --address or --no-addresses, not both.")
    settings = load(config)
    source, name = local_accounts(settings), name.lower()
    keys: dict[str, str] = {}
    try:
        refuse_elsewhere(settings, name, "its name and addresses are attributes there, and [mailbox] has its quota")
        if full_name is not None:
            keys["name"] = " ".join(full_name.split())
        if quota is not None:
            octets = parse_size(quota)
            keys["quota"] = format_size(octets) if octets else ""
        if addresses or no_addresses:
            keys["addresses"] = ", ".join(check_address(address) for address in addresses)
        if keys:
            source.change(name, keys)
        account = source.record(name).account
    except (LookupError, ValueError) as error:
        raise Refused(text_of(error)) from None
    facts = {
        "name": account.name,
        "full_name": account.full_name,
        "addresses": list(account.addresses),
        "quota": format_size(account.quota_octets) if account.quota_octets else "",
    }
    if as_json:
        say_json(facts)
    else:
        listed = ", ".join(account.addresses) or "its name at each domain"
        say(f"{account.name}: {account.full_name or 'no name'}; {listed}; {facts['quota'] or 'the usual quota'}")


@click.command()
@config_option
@_NAME
def disable(config: str, name: str) -> None:
    """Let nobody log in as NAME, and refuse its mail. What is in the mailbox stays."""
    _switch(config, name, "yes")
    say(f"{name.lower()} is disabled: nobody can log in, and its mail is refused")


@click.command()
@config_option
@_NAME
def enable(config: str, name: str) -> None:
    """Let a disabled account go on."""
    _switch(config, name, "")
    say(f"{name.lower()} can log in and gets mail again")


def _switch(config: str, name: str, disabled: str) -> None:
    settings = load(config)
    try:
        refuse_elsewhere(settings, name.lower(), "disable and enable it there")
        local_accounts(settings).change(name.lower(), {"disabled": disabled})
    except (LookupError, ValueError) as error:
        raise Refused(text_of(error)) from None


@click.command()
@config_option
@click.option("--keep-address", is_flag=True, help="Let mail to the old name at each domain still arrive.")
@_NAME
@click.argument("new_name")
def rename(config: str, keep_address: bool, name: str, new_name: str) -> None:
    """
    Give NAME the login name NEW_NAME, and its mailbox with it.

    Nobody may be reading the mailbox, and nothing for it may be in the queue; what a running server is just delivering
    goes to the new name. When the command is interrupted, say it again.
    """
    settings = load(config)
    source, name, new_name = local_accounts(settings), name.lower(), new_name.lower()
    try:
        check_name(new_name)
        mailbox = os.path.join(settings.mailbox.directory, name)
        also = f"; 'hermes import {new_name} {mailbox}' takes its mail along" if os.path.isdir(mailbox) else ""
        refuse_elsewhere(settings, name, f"give it another name there{also}")
        record = source.record(name)
        # Before anything is moved.
        table = source.table()
        if new_name in table.by_name:
            raise ValueError(f"there is an account {new_name!r} already")
        if (owner := table.name_by_login.get(new_name, name)) != name:
            raise ValueError(f"{new_name!r} cannot be used: {owner} logs in by it")
        _refuse_waiting(settings, name)
        implied = [
            address
            for each in (name, new_name)
            if not record.account.addresses
            for address in with_addresses(settings, attrs.evolve(record.account, name=each), table).addresses
        ]
        keys = {"cram": ""} if record.cram else {}
        if keep_address and not record.account.addresses:
            both = (f"{each}@{domain}" for each in (new_name, name) for domain in settings.hermes.domains)
            keys["addresses"] = ", ".join(both)
        with departing(settings.mailbox.directory, name, new_name):
            arriving(settings.mailbox.directory, new_name)
            _move_mailbox(settings, name, new_name)
            if keys:
                source.change(name, keys)
            app_passwords(settings).rename(name, new_name)
            former_names(settings).rename(name, new_name, implied, time.time())
            _move_profile(settings, name, new_name)
            source.rename(name, new_name)
    except (LookupError, ValueError) as error:
        raise Refused(text_of(error)) from None
    say(f"{name} is {new_name} now")
    if record.cram:
        remark(
            "Its secret for CRAM-MD5 and APOP is gone, because it belongs to the name: hermes user cram makes another."
        )


def former_names(settings: Settings) -> FormerNames:
    """What accounts of a site were called before, for as long as the trace knows of it."""
    return FormerNames(former_names_file(settings), time.time() - settings.trace.keep)


def handed_on(settings: Settings, account: Account) -> None:
    """Write down that an account ends now: its name and its addresses may be somebody else's."""
    former_names(settings).hand_on(account.name, account.addresses, time.time())


def arrived(settings: Settings, name: str) -> None:
    """Write down that there is a new account of that name, where another one was removed without a command."""
    if former_names(settings).was_renamed(name):
        handed_on(settings, described_record(settings, name).account)


def _refuse_waiting(settings: Settings, name: str) -> None:
    with reader(settings) as spool:
        waiting = [
            message.queue_id
            for message in spool.queue()
            if any(each.destination in (f"local:{name}", f"mailbox:{name}") for each in message.recipients)
        ]
    if waiting:
        raise ValueError(f"mail for {name} is in the queue ({', '.join(waiting[:3])}): try again when it is delivered")


def _move_mailbox(settings: Settings, name: str, new_name: str) -> None:
    old, new = (os.path.join(settings.mailbox.directory, each) for each in (name, new_name))
    if not os.path.isdir(old):
        # There was none yet, or an interrupted rename has moved it already.
        return
    if os.path.exists(new):
        raise ValueError(f"{new} exists already: it is the mail of an account that is gone; move it away first")
    lock = MailboxLock(old)
    if not lock.acquire():
        raise ValueError(f"{name} is reading mail just now: try again later")
    try:
        with alone_in(old):
            os.rename(old, new)
        sync_directory(settings.mailbox.directory)
    except OSError as error:
        raise ValueError(f"{old} cannot be renamed: {error.strerror}") from None
    finally:
        lock.release()


def _move_profile(settings: Settings, name: str, new_name: str) -> None:
    """What finger tells of somebody goes along: left behind, it would be told of whoever gets the old name."""
    old, new = (os.path.join(settings.finger.profiles, f"{each}.txt") for each in (name, new_name))
    try:
        os.replace(old, new)
    except FileNotFoundError:
        # There is none, or an interrupted rename has moved it already.
        return
    except OSError as error:
        raise ValueError(f"{old} cannot be renamed: {error.strerror}") from None


def text_of(error: Exception) -> str:
    """What an error says; str() of a KeyError would put it into quotes."""
    return str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
