"""
Who is who: what an address is, and whose password is right (RFC 5321 2.3.10, 4.5.1).

The accounts come from a source; this is what is made of them together with the server's domains:

* An account that lists addresses has these. One that lists none has its name at each of the server's domains, except where
  another account lists that address.
* ``joe+anything@`` reaches whoever ``joe@`` reaches, when nobody has the longer address.
* ``postmaster`` without a domain, and at each of the server's domains when no account lists it, is the account behind the
  postmaster's address of the settings (RFC 5321 4.5.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from zope.interface import implementer

from hermes.core.account import Account, Local, Remote, Resolution, Unknown
from hermes.core.address import split
from hermes.directory.accounts import AccountTable, Record, address_key, domain_key, local_part_key
from hermes.directory.passwords import Passwords, Verified
from hermes.interfaces import IDirectory, IScramKeys
from hermes.protocols.scram_keys import ScramKeys
from hermes.protocols.scram_keys import parse as parse_scram_keys

_POSTMASTER = "postmaster"


class AccountSource(Protocol):
    """Where accounts come from."""

    async def current(self) -> AccountTable:
        """All accounts, as they are now."""

    def known(self) -> AccountTable:
        """All accounts, as they were last read: for what must not wait."""

    async def change_password(
        self, name: str, password_hash: str, instead_of: str | None = None, scram: str = ""
    ) -> bool:
        """Store another hash and its keys for SCRAM, when ``instead_of`` is still the stored hash; False when it is not."""


@implementer(IDirectory, IScramKeys)
class Directory:
    """
    The directory over one source. ``domains`` and ``postmaster`` are those of the settings.

    With ``makes_scram`` an account without keys for SCRAM gets them at its next login with the password itself.
    """

    _log = Logger()

    def __init__(
        self,
        source: AccountSource,
        domains: Sequence[str],
        postmaster: str,
        passwords: Passwords,
        *,
        makes_scram: bool = False,
    ) -> None:
        self._source = source
        self._domains = tuple(dict.fromkeys(domain_key(domain) for domain in domains))
        self._local = frozenset(self._domains)
        self._postmaster = postmaster
        self._passwords = passwords
        self._makes_scram = makes_scram
        # Accounts that list no addresses, completed, and the table that they are of.
        self._completed: dict[str, Account] = {}
        self._completed_of: AccountTable | None = None

    async def resolve(self, address: str) -> Resolution:
        """Say what an address is: a mailbox here, somebody else's, or unknown."""
        local_part, domain = split(address)
        if domain:
            domain = domain_key(domain)
            if domain not in self._local:
                return Remote(domain)
        elif local_part.lower() != _POSTMASTER:
            # RFC 5321 4.1.1.3: only postmaster may stand without a domain.
            return Unknown(address)
        table = await self._source.current()
        record = self._reached(table, local_part_key(local_part), domain)
        if record is None:
            return Unknown(address)
        if record.account.disabled:
            return Unknown(address, disabled=True)
        return Local(self._complete(table, record.account))

    async def account(self, name: str) -> Account | None:
        """The account of that login name, in any case; None when there is none."""
        table = await self._source.current()
        record = table.by_name.get(name.lower())
        return self._complete(table, record.account) if record is not None else None

    async def verify(self, name: str, password: str) -> Account | None:
        """
        The account when the password is right and it is not disabled, else None. ``name`` is its name or one of its addresses.

        The answer takes as long for names that do not exist. Raises TooBusyError when too many wait already.
        """
        table = await self._source.current()
        record = self._login(table, name)
        if record is None:
            await self._passwords.verify("", "", password)
            return None
        account = record.account
        verified = await self._passwords.verify(
            account.name, record.password_hash, password, wants_scram=self._makes_scram and not record.scram
        )
        if not verified.matches or account.disabled:
            return None
        if verified.new_hash is not None or verified.scram is not None:
            await self._renew(record, verified)
        return self._complete(table, account)

    async def scram_keys(self, name: str) -> tuple[ScramKeys, str]:
        """The keys for SCRAM of that login, and the account's name; made-up keys and an empty name when there are none."""
        table = await self._source.current()
        record = self._login(table, name)
        # Made in every case: the time tells nothing that could be measured from outside.
        nobody = self._passwords.keys_of_nobody(self._like_an_account(name))
        if record is None or record.account.disabled or not record.password_hash or not record.scram:
            return nobody, ""
        return parse_scram_keys(record.scram), record.account.name

    async def sealed_secret(self, name: str) -> tuple[str, str]:
        """The account of that login, and its secret for CRAM-MD5 as it is kept; both are empty when there is none."""
        record = self._login(await self._source.current(), name)
        if record is None or record.account.disabled or not record.cram:
            return "", ""
        return record.account.name, record.cram

    def offers_digests(self) -> bool:
        """Whether some account has a secret for CRAM-MD5 and APOP."""
        return self._source.known().has_cram

    def _login(self, table: AccountTable, name: str) -> Record | None:
        """Who logs in by that name or address."""
        record = table.by_name.get(name.lower())
        if record is None and "@" in name:
            local_part, domain = split(name)
            record = self._listed(table, local_part_key(local_part), domain_key(domain))
        return record

    def _like_an_account(self, name: str) -> str:
        """One form for the names by which one account could be meant: an account has one salt for all of them."""
        local_part, domain = split(name)
        return local_part_key(local_part) if domain_key(domain) in self._local else name.lower()

    async def _renew(self, record: Record, verified: Verified) -> None:
        """Store a hash with today's parameters, and keys for SCRAM; the login does not fail when that does."""
        name, old_hash = record.account.name, record.password_hash
        new_hash, scram = verified.new_hash or old_hash, verified.scram or record.scram
        try:
            await self._source.change_password(name, new_hash, instead_of=old_hash, scram=scram)
        except CancelledError:
            # Who logged in is gone. The worker stores it all the same.
            raise
        except Exception:
            self._log.failure("the password hash of {name} could not be renewed", name=name)

    def _reached(self, table: AccountTable, local_part: str, domain: str) -> Record | None:
        """Whom an address at one of our domains, or at none, reaches."""
        for part in _without_details(local_part):
            if domain and (record := self._listed(table, part, domain)) is not None:
                return record
            if part == _POSTMASTER:
                return self._postmaster_record(table)
        return None

    def _listed(self, table: AccountTable, local_part: str, domain: str) -> Record | None:
        """Who has this very address, listed or implied."""
        name = table.name_by_address.get(f"{local_part}@{domain}")
        if name is not None:
            return table.by_name[name]
        record = table.by_name.get(local_part)
        if record is not None and not record.account.addresses and domain in self._local:
            return record
        return None

    def _postmaster_record(self, table: AccountTable) -> Record | None:
        local_part, domain = split(self._postmaster)
        if not domain:
            # The settings may name the account itself.
            return table.by_name.get(local_part.lower())
        domain = domain_key(domain)
        if domain not in self._local:
            return None
        for part in _without_details(local_part_key(local_part)):
            if (record := self._listed(table, part, domain)) is not None:
                return record
        return None

    def _complete(self, table: AccountTable, account: Account) -> Account:
        """The account with the addresses that its name implies, when it lists none."""
        if account.addresses:
            return account
        if table is not self._completed_of:
            self._completed_of, self._completed = table, {}
        if account.name not in self._completed:
            self._completed[account.name] = self._with_implied(table, account)
        return self._completed[account.name]

    def _with_implied(self, table: AccountTable, account: Account) -> Account:
        implied = (f"{account.name}@{domain}" for domain in self._domains)
        addresses = tuple(address for address in implied if address_key(address) not in table.name_by_address)
        return attrs.evolve(account, addresses=addresses)


def _without_details(local_part: str) -> Iterator[str]:
    """The local part, and what is left of it without its last ``+detail``, as often as it has one."""
    while local_part:
        yield local_part
        local_part = local_part.rpartition("+")[0]
