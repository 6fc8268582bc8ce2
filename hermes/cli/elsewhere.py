"""Accounts that a directory service keeps, for commands that tell of them, or would change what is kept here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import attrs

from hermes.app.accounts import local_accounts
from hermes.app.at_once import AtOnce
from hermes.cli.output import Refused
from hermes.cli.sources import addresses_of, at_once, directory_services
from hermes.config.schema import Settings
from hermes.core.account import Account
from hermes.core.address import split
from hermes.directory.accounts import Accounts, Record, address_key
from hermes.directory.password_change import PasswordChange, PasswordRule
from hermes.directory.passwords import Passwords
from hermes.directory.sources.several import SeveralSources, asked, named
from hermes.interfaces import UnavailableError


def described_record(settings: Settings, name: str) -> Record:
    """
    What is known of an account, kept here or by a directory service, with all its addresses.

    Raises LookupError when there is none, Refused when it may be in a directory service that cannot be asked.
    """
    table = local_accounts(settings).table()
    record = table.named(name)
    if record is not None:
        return attrs.evolve(record, account=with_addresses(settings, record.account, table))
    if (record := kept_elsewhere(settings, name)) is not None:
        return record
    raise LookupError(f"there is no account {name!r}")


def kept_elsewhere(settings: Settings, name: str) -> Record | None:
    """The account of that name, which is not kept here, in a directory service; Refused when that cannot be asked."""

    def found(accounts: Accounts) -> Record | None:
        record = accounts.named(name)
        # It may be found by another name that somebody logs in by.
        if record is None or record.account.name != name:
            return None
        return attrs.evolve(record, account=with_addresses(settings, record.account, accounts))

    with _every_source(settings, name) as sources:
        return at_once(asked(sources, name, found))


def change_elsewhere(settings: Settings, name: str, old: str, new: str) -> None:
    """
    Change the password of an account that a directory service keeps, for somebody who knows the old one.

    It goes the way of the password server, with its rule; Refused, with the reason, when it is not changed.
    """
    rule = PasswordRule(settings.poppass.min_length, settings.poppass.min_different)

    async def changed(sources: SeveralSources) -> str:
        record = await named(sources, name)
        if record is None or record.keeper is None or not await record.keeper.proves(record, old):
            return "The directory does not take the old password"
        passwords = Passwords([AtOnce()], time.monotonic)
        return await PasswordChange(sources, passwords, rule).change(record.account, old, new)

    with _every_source(settings, name) as sources:
        if problem := at_once(changed(sources)):
            raise Refused(f"The password of {name} stays what it was. {problem}.")


@contextlib.contextmanager
def _every_source(settings: Settings, name: str) -> Iterator[SeveralSources]:
    """All sources, asked for an account; Refused when a directory service cannot be asked."""
    local = local_accounts(settings).sources
    for source in local:
        source.load()
    try:
        services = directory_services(settings)
    except ValueError as error:
        raise Refused(str(error)) from None
    try:
        yield SeveralSources([*local, *services])
    except UnavailableError as error:
        raise Refused(
            f"{name!r} is not kept here, and the directory cannot be asked for it: {error}\n"
            "Say it again when that is mended; 'hermes check' tells which servers answer."
        ) from None
    finally:
        for service in services:
            at_once(service.stop())


def refuse_elsewhere(settings: Settings, name: str, remedy: str) -> None:
    """Refuse to change an account that a directory service keeps; whoever is nowhere is left to the caller."""
    if not settings.ldap or local_accounts(settings).table().named(name) is not None:
        return
    if (record := kept_elsewhere(settings, name)) is not None:
        raise Refused(f"{name} is kept in a directory service ({record.place}): {remedy}")


def with_addresses(settings: Settings, account: Account, accounts: Accounts) -> Account:
    """With those that its name implies, and without those that an account before it has: that one's mail comes there."""
    own = tuple(each for each in addresses_of(settings, account) if not _is_anothers(accounts, account, each))
    return attrs.evolve(account, addresses=own)


def _is_anothers(accounts: Accounts, account: Account, address: str) -> bool:
    owner = accounts.listed(*split(address_key(address)))
    return owner is not None and owner.account.name != account.name
