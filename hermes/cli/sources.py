"""All sources of accounts, asked by a command: what is kept here as it is now, and the directory services."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hermes.app.accounts import local_accounts
from hermes.app.at_once import AtOnce
from hermes.config.schema import Settings
from hermes.core.account import Account
from hermes.directory.sources.several import SeveralSources, named

if TYPE_CHECKING:
    from hermes.directory.ldap.source import LDAPSource

_T = TypeVar("_T")


def all_sources(settings: Settings) -> SeveralSources:
    """Those that a server would ask, in their order; AccountsFileError when the file cannot be used."""
    local = local_accounts(settings).sources
    for source in local:
        source.load()
    return SeveralSources([*local, *directory_services(settings)])


def directory_services(settings: Settings) -> list[LDAPSource]:
    """Those of the settings, which are asked at once; ValueError when a section cannot be used."""
    if not settings.ldap:
        return []
    # Only here: the library takes 4 MB and a tenth of a second.
    from hermes.app.ldap import ldap_source  # noqa: PLC0415

    return [
        ldap_source(name, section, lambda _, count: [AtOnce()] * count, time.monotonic, time.time)
        for name, section in settings.ldap.items()
    ]


def account_named(settings: Settings, name: str) -> Account | None:
    """The account of that name in any source; raises UnavailableError when a directory service cannot be asked."""
    record = at_once(named(all_sources(settings), name))
    return record.account if record is not None else None


def addresses_of(settings: Settings, account: Account) -> list[str]:
    """The addresses of an account; one that lists none has its name at each domain."""
    return list(account.addresses) or [f"{account.name}@{domain}" for domain in settings.hermes.domains]


def at_once(answer: Coroutine[Any, Any, _T]) -> _T:
    """The answer where nothing has to wait, so that no reactor has to run."""
    ends: list[_T | Failure] = []
    _ = Deferred.fromCoroutine(answer).addBoth(ends.append)
    (end,) = ends
    if isinstance(end, Failure):
        end.raiseException()
    return end
