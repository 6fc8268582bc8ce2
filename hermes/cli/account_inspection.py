"""What ``hermes check`` looks at in accounts: their files, app passwords, and who is the postmaster."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from hermes.app.accounts import local_accounts
from hermes.cli.directory_inspection import leads_somewhere
from hermes.cli.finding import Finding, fail, ok, warn
from hermes.config.places import app_passwords_file
from hermes.config.schema import Settings
from hermes.core import address
from hermes.directory.accounts import AccountTable, address_key
from hermes.directory.app_password_file import AppPasswordFile
from hermes.directory.sources.accounts_file import AccountsFileError


def inspect_accounts(settings: Settings) -> Iterator[Finding]:
    """Look at all of them."""
    about, local = "accounts", local_accounts(settings)
    try:
        for source in local.sources:
            count, path = len(source.list()), source.path
            yield ok(about, f"{path} has {count} account{'' if count == 1 else 's'}")
            if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
                yield warn(about, f"password hashes are open to others on this machine: chmod 600 {path}")
        table = local.table()
    except AccountsFileError as error:
        # Also when there is no such file: the server does not start without.
        yield fail(about, str(error))
        return
    if settings.hermes.postmaster:
        yield _postmaster(settings, table)
    yield from _app_passwords(settings, table)


def _app_passwords(settings: Settings, table: AccountTable) -> Iterator[Finding]:
    about, path = "app passwords", app_passwords_file(settings)
    if not os.path.exists(path):
        return
    try:
        found = AppPasswordFile(path).list()
    except ValueError as error:
        yield fail(about, f"{error}: those who use one cannot log in")
        return
    yield ok(about, f"{path} has {len(found)}")
    # Whom a directory service knows is not asked here.
    strangers = sorted({each.account for each in found} - table.by_name.keys()) if not settings.ldap else []
    if strangers:
        remedy = f"hermes user app-password remove -c {settings.file} --all {strangers[0]}"
        yield warn(about, f"there is no account {', '.join(strangers[:5])}, which has some: {remedy}")


def _postmaster(settings: Settings, table: AccountTable) -> Finding:
    about, postmaster = "postmaster", settings.hermes.postmaster
    local_part, domain = address.split(postmaster)
    if domain.lower() not in settings.hermes.domains:
        if not settings.hermes.domains:
            return ok(about, f"{postmaster} is at another server")
        # RFC 5321 4.5.1: mail for postmaster at our domains is ours; elsewhere it would be sent back.
        return fail(about, f"{postmaster} is at another server: name a mailbox here, or mail for postmaster is put off")
    name = table.name_by_address.get(address_key(postmaster))
    if name is None:
        record = table.by_name.get(local_part.lower())
        # An account without addresses has its name at each of our domains.
        name = record.account.name if record is not None and not record.account.addresses else None
    if name is None and leads_somewhere(settings, postmaster):
        return ok(about, f"{postmaster} stands for others")
    if name is None and settings.ldap:
        return warn(about, f"{postmaster} is in no file: mail for it waits whenever the directory is down")
    if name is None:
        return fail(about, f"no account has the address {postmaster}: hermes user add -c {settings.file} {local_part}")
    if table.by_name[name].account.disabled:
        return fail(about, f"the account {name}, which has the address {postmaster}, is disabled")
    return ok(about, f"{postmaster} is the account {name}")
