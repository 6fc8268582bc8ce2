"""
Who is who: what an address is, and whose password is right (RFC 5321 2.3.10, 4.5.1).

The accounts come from a source; this is what is made of them together with the server's domains:

* An account that lists addresses has these. One that lists none has its name at each of the server's domains, except where
  another account lists that address.
* Aliases, synonyms and groups, forms of people's names, mailboxes of whole domains and catch-alls: see
  :mod:`hermes.directory.lookup` for what comes first.
* ``joe+anything@`` reaches whoever ``joe@`` reaches, when nobody has the longer address.
* ``postmaster`` without a domain, and at each of the server's domains when no account lists it, is the account behind the
  postmaster's address of the settings (RFC 5321 4.5.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from zope.interface import implementer

from hermes.core.account import Account, Local, Redirected, Remote, Resolution, Unknown
from hermes.core.address import domain_key, split
from hermes.core.expansion import Expansion, Kind
from hermes.core.srs import SRS
from hermes.directory.accounts import Accounts, AccountTable, PasswordKeeper, Record, address_key, local_part_key
from hermes.directory.lookup import Elsewhere, Hop, Nobody, Owner, Rules, World
from hermes.directory.passwords import Passwords, Verified, is_password
from hermes.directory.redirects import NoRedirects, RedirectSource
from hermes.directory.walk import Walk
from hermes.interfaces import IDirectory, IExpander, IScramKeys, TooBusyError, UnavailableError
from hermes.protocols.scram_keys import ScramKeys
from hermes.protocols.scram_keys import parse as parse_scram_keys

_SECONDS_A_DAY = 86400

#: How often a question is asked again because something new had to be found out for it. Each time it gets one step further, and
#: no way has more steps than this; a directory that says something else each time would be asked for ever.
MAX_ROUNDS = 100

#: Addresses of which it is kept whose they are; those that mail comes for again and again are fewer at most sites.
MAX_KEPT = 4096

_T = TypeVar("_T")


class AccountSource(Protocol):
    """Where accounts come from."""

    async def current(self) -> Accounts:
        """The accounts as they are now, to be asked one question; raises UnavailableError when there is no telling."""

    def known(self) -> AccountTable:
        """The accounts that are listed here, as they were last read: for what must not wait."""

    def keepers(self) -> Sequence[PasswordKeeper]:
        """Who checks the passwords that are not kept here."""

    async def change_password(
        self, name: str, password_hash: str, instead_of: str | None = None, scram: str = ""
    ) -> bool:
        """Store another hash and its keys for SCRAM, when ``instead_of`` is still the stored hash; False when it is not."""


@implementer(IDirectory, IExpander, IScramKeys)
class Directory:
    """
    The directory over one source of accounts, and one of aliases, synonyms and groups. ``domains``, ``postmaster`` and ``rules``
    (for all but these two) are those of the settings.

    With ``makes_scram`` an account without keys for SCRAM gets them at its next login with the password itself. ``srs`` gives
    what senders are rewritten with, once that is known; ``now`` seconds since the epoch.
    """

    _log = Logger()

    def __init__(
        self,
        source: AccountSource,
        domains: Sequence[str],
        postmaster: str,
        passwords: Passwords,
        *,
        rules: Rules | None = None,
        redirects: RedirectSource | None = None,
        makes_scram: bool = False,
        srs: Callable[[], SRS | None] = lambda: None,
        now: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._source = source
        self._redirects = redirects or NoRedirects()
        self._domains = tuple(dict.fromkeys(domain_key(domain) for domain in domains))
        self._local = frozenset(self._domains)
        self._rules = attrs.evolve(rules or Rules(()), domains=self._domains, postmaster=postmaster)
        self._passwords = passwords
        self._makes_scram = makes_scram
        self._srs = srs
        self._now = now
        # Accounts that list no addresses, completed, and the table that they are of.
        self._completed: dict[str, Account] = {}
        self._completed_of: AccountTable | None = None
        # The world as it was when it was last asked about, and whose addresses were found in it: each is asked about several
        # times for every message.
        self._world: World | None = None
        self._kept: dict[str, Local] = {}

    async def resolve(self, address: str) -> Resolution:
        """Say what an address is: a mailbox here, somebody else's, unknown, or one that stands for others."""
        if (domain := split(address)[1]) and (domain := domain_key(domain)) not in self._local:
            return Remote(domain)
        world = await self._world_of_now()
        if not isinstance(world.accounts, AccountTable):
            resolution = await self._answered(world, lambda: self._resolution(world, address))
        elif (kept := self._kept.get(address)) is not None:
            return kept
        else:
            # All is known here, so there is nothing to be found out.
            resolution = self._resolution(world, address)
            if isinstance(resolution, Local):
                if len(self._kept) >= MAX_KEPT:
                    self._kept.clear()
                self._kept[address] = resolution
        if isinstance(resolution, Redirected) and resolution.problem:
            self._log.warn("{address}: {problem}", address=address, problem=resolution.problem)
        return resolution

    def _resolution(self, world: World, address: str) -> Resolution:
        match world.look(address):
            case Owner(record):
                return self._local_or_disabled(world.accounts, record, address)
            case Hop():
                return self._led_to(world, Walk(world, forwards=False).expansion(address))
            case Elsewhere(domain):
                return Remote(domain)
            case Nobody():
                return Unknown(address)

    def _led_to(self, world: World, expansion: Expansion) -> Resolution:
        """An address that leads to one mailbox is that mailbox's, if to no other; one that leads to nobody at all is unknown."""
        address, targets = expansion.address, expansion.targets
        if expansion.problem:
            return Redirected(address, expansion.problem)
        if len(targets) == 1 and targets[0].kind is Kind.MAILBOX and not expansion.left_out:
            record = world.accounts.named(targets[0].value)
            # One that was there a moment ago, and is not known by its name alone, is delivered to by its address.
            return Redirected(address) if record is None else self._local_or_disabled(world.accounts, record, address)
        if all(target.kind in {Kind.NOBODY, Kind.DISABLED} for target in targets):
            return Unknown(address, disabled=any(target.kind is Kind.DISABLED for target in targets))
        return Redirected(address)

    def _local_or_disabled(self, accounts: Accounts, record: Record, address: str) -> Resolution:
        if record.account.disabled:
            return Unknown(address, disabled=True)
        return Local(self._complete(accounts, record.account))

    async def expand(self, address: str) -> Expansion:
        """Follow an address to all its ends, accounts' forwards included."""
        return await self._asked(lambda world: Walk(world, forwards=True).expansion(address))

    async def _asked(self, question: Callable[[World], _T]) -> _T:
        """The answer to a question about the world as it is now."""
        world = await self._world_of_now()
        return await self._answered(world, lambda: question(world))

    async def _world_of_now(self) -> World:
        accounts, redirects = await self._source.current(), await self._redirects.current()
        srs, day, world = self._srs(), int(self._now() // _SECONDS_A_DAY), self._world
        same = world is not None and world.accounts is accounts and world.redirects is redirects
        if world is None or not same or world.srs is not srs or world.day != day:
            world = self._world = World(self._rules, self._local, accounts, redirects, srs, day)
            self._kept = {}
        return world

    async def _answered(self, world: World, question: Callable[[], _T]) -> _T:
        """The answer to a question, asked again for as long as there was something to be found out for it."""
        for _ in range(MAX_ROUNDS):
            answer = question()
            if not await world.accounts.learn():
                return answer
        raise UnavailableError(f"{MAX_ROUNDS} questions to the directory did not lead to an end")

    async def account(self, name: str) -> Account | None:
        """The account of that login name, in any case; None when there is none."""

        def named(world: World) -> Account | None:
            record = world.accounts.named(name.lower())
            return self._complete(world.accounts, record.account) if record is not None else None

        return await self._asked(named)

    async def login(self, name: str) -> Account | None:
        """Who logs in by that name, a further one, or an address; None when nobody does. It may be disabled."""
        _, account = await self._asked(lambda world: self._login_of(world, name))
        return account

    async def verify(self, name: str, password: str) -> Account | None:
        """
        The account when the password is right and it is not disabled, else None. ``name`` is its name or one of its addresses.

        The answer takes as long for names that do not exist. Raises TooBusyError when too many wait already, UnavailableError
        when the password is kept elsewhere and cannot be checked now.
        """
        record, account = await self._asked(lambda world: self._login_of(world, name))
        if record is None or account is None:
            await self.pretend(password)
            return None
        if record.keeper is not None:
            return await self._proved_elsewhere(record.keeper, record, account, password)
        verified = await self._passwords.verify(
            account.name, record.password_hash, password, wants_scram=self._makes_scram and not record.scram
        )
        if not verified.matches or account.disabled:
            await self._pretend(password)
            return None
        if verified.new_hash is not None or verified.scram is not None:
            await self._renew(record, verified)
        return account

    async def _proved_elsewhere(
        self, keeper: PasswordKeeper, record: Record, account: Account, password: str
    ) -> Account | None:
        if is_password(password) and await keeper.proves(record, password) and not account.disabled:
            return account
        # As for everybody else, so that the time does not tell where somebody's password is kept.
        await self._passwords.verify("", "", password)
        return None

    async def pretend(self, password: str) -> None:
        """Take as long as :meth:`verify` does for a wrong password."""
        await self._passwords.verify("", "", password)
        await self._pretend(password)

    async def _pretend(self, password: str) -> None:
        """Have those who keep passwords elsewhere take their time, too."""
        for keeper in self._source.keepers() if is_password(password) else ():
            with suppress(UnavailableError, TooBusyError):
                await keeper.pretend(password)

    def _login_of(self, world: World, name: str) -> tuple[Record | None, Account | None]:
        """Who logs in by that name or address, and the whole account."""
        record = self._login(world, name)
        return record, None if record is None else self._complete(world.accounts, record.account)

    async def scram_keys(self, name: str) -> tuple[ScramKeys, str]:
        """The keys for SCRAM of that login, and the account's name; made-up keys and an empty name when there are none."""
        record = await self._asked(lambda world: self._login(world, name))
        # Made in every case: the time tells nothing that could be measured from outside.
        nobody = self._passwords.keys_of_nobody(self._like_an_account(name))
        if record is None or record.account.disabled or not record.password_hash or not record.scram:
            return nobody, ""
        return parse_scram_keys(record.scram), record.account.name

    async def sealed_secret(self, name: str) -> tuple[str, str]:
        """The account of that login, and its secret for CRAM-MD5 as it is kept; both are empty when there is none."""
        record = await self._asked(lambda world: self._login(world, name))
        if record is None or record.account.disabled or not record.cram:
            return "", ""
        return record.account.name, record.cram

    def offers_digests(self) -> bool:
        """Whether some account has a secret for CRAM-MD5 and APOP."""
        return self._source.known().has_cram

    def expiries(self) -> frozenset[int]:
        """The ages, in seconds, at which accounts that say so have their mail removed; 0 is never."""
        return self._source.known().expiries

    def _login(self, world: World, name: str) -> Record | None:
        """Who logs in by that name, by a further one, by one with a Windows domain, or by an address."""
        login = name.lower()
        record = world.accounts.named(self._source.known().name_by_login.get(login, login))
        if record is None and "\\" in name:
            domain, _, rest = login.partition("\\")
            record = world.accounts.of_windows_domain(domain, rest)
        if record is None and "@" in name:
            local_part, domain = split(name)
            record = world.listed(local_part_key(local_part), domain_key(domain))
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

    def _complete(self, accounts: Accounts, account: Account) -> Account:
        """The account with the addresses that its name implies, when it lists none."""
        if account.addresses:
            return account
        if not isinstance(accounts, AccountTable):
            return self._with_implied(accounts, account)
        if accounts is not self._completed_of:
            self._completed_of, self._completed = accounts, {}
        if account.name not in self._completed:
            self._completed[account.name] = self._with_implied(accounts, account)
        return self._completed[account.name]

    def _with_implied(self, accounts: Accounts, account: Account) -> Account:
        implied = (f"{account.name}@{domain}" for domain in self._domains)
        addresses = tuple(each for each in implied if not accounts.taken_from(account.name, address_key(each)))
        return attrs.evolve(account, addresses=addresses)
