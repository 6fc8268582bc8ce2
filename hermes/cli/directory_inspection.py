"""What ``hermes check`` looks at in aliases, synonyms, groups and forwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

import attrs

from hermes.app.accounts import local_accounts
from hermes.app.redirects import files_of, rules_of
from hermes.cli.finding import Finding, fail, ok, warn
from hermes.config.rule_file import read_rules
from hermes.config.schema import Settings
from hermes.config.smarthost_rules import smarthosts_of
from hermes.core.address import domain_key
from hermes.core.expansion import Expansion, Kind
from hermes.directory.accounts import AccountTable
from hermes.directory.lookup import Hop, World
from hermes.directory.sources.accounts_file import AccountsFileError
from hermes.directory.sources.alias_file import AliasFileError
from hermes.directory.sources.alias_files import AliasFiles
from hermes.directory.walk import Walk

#: Findings of one kind that are told: whoever has mended these asks again.
MOST = 20

_ABOUT = "aliases"


def inspect_directory(settings: Settings) -> Iterator[Finding]:
    """Look at all of it."""
    try:
        accounts = local_accounts(settings).table()
        world = _world(settings, accounts)
    except AliasFileError as error:
        for line in str(error).splitlines():
            yield fail(_ABOUT, line)
        return
    except AccountsFileError:
        # Another line says so.
        return
    count = world.redirects.count
    yield ok(_ABOUT, f"{count} aliases, synonyms and groups" if count else "there are none")
    for remark in islice(world.redirects.remarks, MOST):
        yield warn(_ABOUT, remark)
    for finding in islice(_dead_ends(settings, world, accounts), MOST):
        yield warn(_ABOUT, finding)
    if settings.directory.name_forms:
        for finding in islice(_ambiguous(accounts), MOST):
            yield warn("names", finding)


def leads_somewhere(settings: Settings, address: str) -> bool:
    """True when the address stands for others, and the way to them has an end."""
    try:
        world = _world(settings, local_accounts(settings).table())
    except (AliasFileError, AccountsFileError):
        return False
    return isinstance(world.look(address), Hop) and not Walk(world, forwards=True).expansion(address).problem


def _world(settings: Settings, accounts: AccountTable) -> World:
    redirects = AliasFiles(files_of(settings)).load()
    domains = tuple(domain_key(domain) for domain in settings.hermes.domains)
    rules = attrs.evolve(rules_of(settings), domains=domains, postmaster=settings.hermes.postmaster)
    return World(rules, frozenset(domains), accounts, redirects)


def _dead_ends(settings: Settings, world: World, accounts: AccountTable) -> Iterator[str]:
    """Addresses of which nothing, or not everything, can be delivered."""
    way_out = settings.direct.enabled or bool(smarthosts_of(settings))
    for address, place in _addresses(world, accounts):
        expansion = Walk(world, forwards=True).expansion(address)
        if expansion.problem:
            yield f"{place}: {expansion.problem}"
        else:
            yield from (f"{place}: {address} {text}" for text in _missing(expansion, way_out=way_out))
            if not settings.ldap:
                # Else whoever is not kept here may be there.
                yield from (f"{place}: {address} {text}" for text in _without_mailbox(expansion, accounts))


def _missing(expansion: Expansion, *, way_out: bool) -> Iterator[str]:
    for target in expansion.targets:
        match target.kind:
            case Kind.NOBODY:
                yield f"stands for {target.address}, which does not exist"
            case Kind.DISABLED:
                yield f"stands for {target.address}, whose account is disabled"
            case Kind.OUTSIDE if not way_out:
                yield f"leads to {target.address}, and no way out is configured: mail for it waits"
            case Kind.FILE | Kind.TEMPLATE if not os.path.isfile(target.value):
                yield f"answers with {target.value}, which is not there"


def _without_mailbox(expansion: Expansion, accounts: AccountTable) -> Iterator[str]:
    """Accounts that rules write to and that there are not."""
    for target in expansion.targets:
        for rule in read_rules(target.value).rules if target.kind is Kind.RULES else ():
            to = rule.target
            if to is not None and to.kind is Kind.MAILBOX and accounts.named(to.value) is None:
                yield f"has its mail sent to {to.value} ({target.value}:{rule.line}), and there is no such account: it waits"


def _addresses(world: World, accounts: AccountTable) -> Iterator[tuple[str, str]]:
    """Everything that leads elsewhere, with its place."""
    first = next(iter(world.rules.domains), "")
    redirects = world.redirects
    for entries in (redirects.aliases, redirects.synonyms, redirects.groups):
        for key, entry in entries.items():
            yield (key if "@" in key else f"{key}@{first}"), entry.place
    for domain, rules in world.rules.of_domains.items():
        if rules.mailbox or rules.catch_all:
            # A name that nobody has: what is found for it is what the domain itself says.
            yield f"\N{SECTION SIGN}@{domain}", rules.place
    for record in accounts.by_name.values():
        if record.account.forward:
            yield world.main_address(record), record.place


def _ambiguous(accounts: AccountTable) -> Iterator[str]:
    for form, names in accounts.names_by_form.items():
        if len(names) > 1:
            yield f"{form} could be {', '.join(names)}, and so is no address: tell them apart in their names or addresses"
