"""
What one address is, looked up once: Mercury's order of processing, one step of it.

For an address at one of our domains, in this order: an alias; a synonym for the whole address; the mailbox of its domain,
where it has one; a synonym for the local part; a group; an account, by its address, by a form of its owner's name, or by
the address without ``+detail``; postmaster; a group that a directory service has; an address that a sender was rewritten to;
the domain's catch-all. A detail is taken off only when nothing has the longer name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from hermes.core.address import domain_key, split
from hermes.core.expansion import Means
from hermes.core.srs import SRS
from hermes.directory.accounts import Accounts, Record, address_key, local_part_key
from hermes.directory.redirects import RedirectTable
from hermes.directory.sources.alias_file import Entry

POSTMASTER = "postmaster"

#: Details that are taken off an address one by one. Each is a question or two to a directory service, and a stranger could write
#: a hundred of them into one address; people write one, and names of accounts have few.
MAX_DETAILS = 4


@attrs.frozen
class DomainRules:
    """What one domain has beside accounts: ``mailbox`` takes everything, ``catch_all`` what nobody else takes; or both empty."""

    mailbox: str = ""
    catch_all: str = ""
    place: str = ""


@attrs.frozen
class Rules:
    """
    What the settings say. ``domains`` are ours, as :func:`~hermes.core.address.domain_key` makes them, the first being the
    one of names without a domain.
    """

    domains: tuple[str, ...]
    postmaster: str = ""
    depth: int = 5
    name_forms: bool = False
    of_domains: Mapping[str, DomainRules] = attrs.field(factory=dict)


@attrs.frozen
class Hop:
    """The address stands for others. ``identity`` tells one entry from all others."""

    means: Means
    place: str
    targets: tuple[str, ...]

    @property
    def identity(self) -> tuple[Means, str]:
        """What it is, and where it is written."""
        return self.means, self.place


@attrs.frozen
class Owner:
    """The address is an account's; ``hop`` is set where a form of the name, or the postmaster's title, led there."""

    record: Record
    means: Means | None = None


@attrs.frozen
class Elsewhere:
    """The address is at another server."""

    domain: str


@attrs.frozen
class Nobody:
    """The address is ours, and nobody's."""


Found = Hop | Owner | Elsewhere | Nobody

_NOBODY = Nobody()


@attrs.frozen
class World:
    """Everything that is known at one moment; ``day`` is the day since 1970."""

    rules: Rules
    local: frozenset[str]
    accounts: Accounts
    redirects: RedirectTable
    srs: SRS | None = None
    day: int = 0

    def look(self, address: str, *, redirected: bool = True) -> Found:
        """
        What the address is. Without ``redirected`` aliases and the like are passed over.

        One without a domain is a postmaster's, or nobody's (RFC 5321 4.1.1.3).
        """
        local_part, domain = split(address)
        if domain:
            domain = domain_key(domain)
            if domain not in self.local:
                return Elsewhere(domain)
        elif local_part.lower() != POSTMASTER:
            return _NOBODY
        return self._ours(local_part, local_part_key(local_part), domain, redirected)

    def look_for_name(self, name: str, domain: str, *, redirected: bool = True) -> Found:
        """What a name is that stands for another address, without a domain: an alias, an account, or an address at ``domain``."""
        key = local_part_key(name)
        if redirected and (entry := self._alias(key, domain)) is not None:
            return Hop(Means.ALIAS, entry.place, entry.targets)
        record = self.accounts.named(key)
        if record is not None:
            return Owner(record)
        return self._ours(name, key, domain, redirected)

    def _ours(self, written: str, local_part: str, domain: str, redirected: bool) -> Found:
        of_domain = self.rules.of_domains.get(domain) if redirected else None
        if of_domain is not None and of_domain.mailbox:
            found = self._redirect(local_part, domain, whole=True)
            return found or Hop(Means.DOMAIN_MAILBOX, of_domain.place, (of_domain.mailbox,))
        for part in without_details(local_part):
            if redirected and (hop := self._redirect(part, domain, whole=False)) is not None:
                return hop
            if (owner := self._owner(part, domain)) is not None:
                return owner
            if redirected and domain and (group := self.accounts.group(part, domain)) is not None:
                return Hop(Means.DIRECTORY_GROUP, group.place, group.targets)
        if self.srs is not None and self.srs.is_rewritten(local_part):
            first = self.srs.reverse(written, self.day)
            return _NOBODY if first is None else Hop(Means.RETURN, "SRS", (first,))
        if of_domain is not None and of_domain.catch_all:
            return Hop(Means.CATCH_ALL, of_domain.place, (of_domain.catch_all,))
        return _NOBODY

    def _redirect(self, part: str, domain: str, *, whole: bool) -> Hop | None:
        """The alias, synonym or group of a name; with ``whole`` only what comes before the mailbox of a domain."""
        redirects = self.redirects
        if (entry := self._alias(part, domain)) is not None:
            return Hop(Means.ALIAS, entry.place, entry.targets)
        if redirects.synonyms:
            synonym = redirects.synonyms.get(f"{part}@{domain}")
            if synonym is None and not whole:
                synonym = redirects.synonyms.get(part)
            if synonym is not None:
                return Hop(Means.SYNONYM, synonym.place, synonym.targets)
        if redirects.groups and not whole:
            group = redirects.groups.get(f"{part}@{domain}") or redirects.groups.get(part)
            if group is not None:
                return Hop(Means.GROUP, group.place, group.targets)
        return None

    def _alias(self, part: str, domain: str) -> Entry | None:
        aliases = self.redirects.aliases
        return (aliases.get(f"{part}@{domain}") or aliases.get(part)) if aliases else None

    def _owner(self, part: str, domain: str) -> Owner | None:
        if domain:
            if (record := self.listed(part, domain)) is not None:
                return Owner(record)
            if self.rules.name_forms and (record := self._by_form(part, domain)) is not None:
                return Owner(record, Means.NAME_FORM)
        if part == POSTMASTER and (record := self._postmaster()) is not None:
            return Owner(record, Means.POSTMASTER)
        return None

    def listed(self, part: str, domain: str) -> Record | None:
        """Who has this very address, listed or implied."""
        record = self.accounts.listed(part, domain)
        # A name implies addresses at our domains alone.
        return record if record is not None and (record.account.addresses or domain in self.local) else None

    def _by_form(self, part: str, domain: str) -> Record | None:
        """Who is called so, and has an address at that domain; nobody when several are."""
        records = self.accounts.of_form(part)
        if len(records) != 1:
            return None
        (record,) = records
        addresses = record.account.addresses
        has_one = not addresses or any(domain_key(split(address)[1]) == domain for address in addresses)
        return record if has_one else None

    def _postmaster(self) -> Record | None:
        local_part, domain = split(self.rules.postmaster)
        if not domain:
            # The settings may name the account itself.
            return self.accounts.named(local_part.lower())
        domain = domain_key(domain)
        if domain not in self.local:
            return None
        for part in without_details(local_part_key(local_part)):
            if (record := self.listed(part, domain)) is not None:
                return record
        return None

    def main_address(self, record: Record) -> str:
        """The address that an account writes from; for one that lists none, and has none, its name at our first domain."""
        account = record.account
        if account.addresses:
            return account.addresses[0]
        implied = [f"{account.name}@{domain}" for domain in self.rules.domains]
        free = (address for address in implied if not self.accounts.taken_from(account.name, address_key(address)))
        return next(free, implied[0] if implied else account.name)


def without_details(local_part: str) -> Iterator[str]:
    """
    The local part, and what is left of it without its last ``+detail``, as often as it has one.

    Of very many only the last few are taken off one by one, and then all of them.
    """
    for _ in range(MAX_DETAILS):
        if not local_part:
            return
        yield local_part
        local_part = local_part.rpartition("+")[0]
    if first := local_part.partition("+")[0]:
        yield first
