"""Accounts as a source lists them, and the rules for their names and addresses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Protocol

import attrs

from hermes.core.account import Account
from hermes.core.address import MAX_ADDRESS_OCTETS, domain_key, key, split

#: A name is also the name of a directory and may follow a command's name on a command line, so that it begins neither with
#: a dot (which hides, and in ``..`` leads elsewhere) nor with ``-``; 64 octets are what RFC 5321 4.5.3.1.1 allows a
#: local part.
_NAME = re.compile(r"[a-z0-9_+][a-z0-9._+-]{0,63}\Z")

#: Neither dots, which would make other forms, nor what needs quotes (RFC 5321 4.1.2).
_UNFIT_IN_FORM = re.compile(r"[\x00-\x20\x7f.,:;@<>()\[\]\\\"]")

_UNFIT_IN_ADDRESS = re.compile(r"[\x00-\x20\x7f,<>]")


class PasswordKeeper(Protocol):
    """Who checks and changes passwords that are not kept here. All that it does may raise UnavailableError or TooBusyError."""

    async def proves(self, record: Record, password: str) -> bool:
        """Whether that is the record's password, and its owner may log in with it now."""

    async def change(self, record: Record, old: str, new: str) -> str:
        """Set another password for somebody who knows the old one; empty, or why not, in words for that person."""

    async def pretend(self, password: str) -> None:
        """Take as long as :meth:`proves` does for a wrong password."""


@attrs.frozen
class Record:
    """
    An account as it stands in the source: ``password_hash`` is empty when nobody can log in, ``scram`` when its password cannot
    be proved by SCRAM, ``cram`` when it has no secret for CRAM-MD5 (:mod:`hermes.directory.recoverable`).
    ``place`` says where it is written, for people. Where there is a ``keeper``, that one has the password, and ``key`` is what it
    knows the account by.
    """

    account: Account
    password_hash: str = ""
    scram: str = ""
    cram: str = ""
    place: str = attrs.field(default="", eq=False)
    keeper: PasswordKeeper | None = attrs.field(default=None, eq=False)
    key: str = ""


class Accounts(Protocol):
    """
    What is known of accounts, and of groups of them, for as long as one question takes.

    Not everything need be known at once: what is asked for and is not known yet counts as not there, and :meth:`learn` finds
    it out; the question is then asked again from its beginning.
    """

    def named(self, name: str) -> Record | None:
        """The account of that name, in lower case."""

    def listed(self, local_part: str, domain: str) -> Record | None:
        """Who has this very address, listed or by the name alone; both parts as their keys."""

    def of_form(self, form: str) -> tuple[Record, ...]:
        """The accounts whose owner's name may be written so before the ``@``."""

    def taken_from(self, name: str, address: str) -> bool:
        """Whether another account lists that address, given by its key, which an account has by its name else."""

    def group(self, local_part: str, domain: str) -> Group | None:
        """The group that has this address."""

    def of_windows_domain(self, domain: str, name: str) -> Record | None:
        """The account that a Windows domain has under that name, both in lower case."""

    async def learn(self) -> bool:
        """
        Find out what was asked for and was not known; True when there was such a thing.

        Raises UnavailableError when that cannot be found out now.
        """


@attrs.frozen
class Group:
    """A group of accounts that has an address; ``targets`` are its members' addresses, ``place`` is for people."""

    place: str
    targets: tuple[str, ...]


@attrs.frozen
class AccountTable:
    """
    All accounts at one moment, ready to be looked up.

    ``by_name`` is keyed by name, ``name_by_address`` by :func:`address_key` of the addresses that accounts list;
    ``has_cram`` says that some account has a secret for CRAM-MD5 and may log in.
    ``names_by_form`` has the accounts whose full name may be written so before the ``@`` (:func:`forms_of`).
    ``name_by_login`` is keyed by the further names to log in by; ``expiries`` are the ages at which accounts have their mail
    removed, where they say so themselves.
    """

    by_name: Mapping[str, Record]
    name_by_address: Mapping[str, str]
    has_cram: bool = False
    names_by_form: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    name_by_login: Mapping[str, str] = attrs.field(factory=dict)
    expiries: frozenset[int] = frozenset()

    def named(self, name: str) -> Record | None:
        """The account of that name."""
        return self.by_name.get(name)

    def listed(self, local_part: str, domain: str) -> Record | None:
        """Who has this very address, listed or by the name alone."""
        name = self.name_by_address.get(f"{local_part}@{domain}")
        if name is not None:
            return self.by_name[name]
        record = self.by_name.get(local_part)
        return record if record is not None and not record.account.addresses else None

    def of_form(self, form: str) -> tuple[Record, ...]:
        """The accounts whose owner's name may be written so."""
        return tuple(self.by_name[name] for name in self.names_by_form.get(form, ()))

    def taken_from(self, name: str, address: str) -> bool:
        """Whether another account lists that address."""
        return address in self.name_by_address

    def group(self, local_part: str, domain: str) -> Group | None:
        """There are none: files of groups are no accounts' business."""
        return None

    def of_windows_domain(self, domain: str, name: str) -> Record | None:
        """Files are no domain."""
        return None

    async def learn(self) -> bool:
        """Everything is known."""
        return False


class DuplicateAddressError(ValueError):
    """Two accounts list the same address; ``name`` is the second of them."""

    def __init__(self, address: str, first: str, name: str) -> None:
        super().__init__(f"{address} is listed by {first} and by {name}: an address reaches one account")
        self.address = address
        self.name = name


class DuplicateLoginError(ValueError):
    """A further name to log in by is another account's name, or also another's; ``name`` is the account that lists it."""

    def __init__(self, login: str, first: str, name: str) -> None:
        super().__init__(f"{login!r} cannot be a login of {name}: {first} logs in by it")
        self.name = name


def table_of(records: Iterable[Record]) -> AccountTable:
    """Index accounts; raise DuplicateAddressError when two list the same address, DuplicateLoginError likewise."""
    by_name: dict[str, Record] = {}
    name_by_address: dict[str, str] = {}
    has_cram = False
    names_by_form: dict[str, tuple[str, ...]] = {}
    expiries: set[int] = set()
    for record in records:
        account = record.account
        has_cram = has_cram or bool(record.cram and not account.disabled)
        by_name[account.name] = record
        for address in account.addresses:
            first = name_by_address.setdefault(address_key(address), account.name)
            if first != account.name:
                raise DuplicateAddressError(address, first, account.name)
        if account.full_name:
            for form in forms_of(account.full_name):
                names_by_form[form] = (*names_by_form.get(form, ()), account.name)
        if account.reading.expire_seconds is not None:
            expiries.add(account.reading.expire_seconds)
    return AccountTable(by_name, name_by_address, has_cram, names_by_form, _name_by_login(by_name), frozenset(expiries))


def _name_by_login(by_name: Mapping[str, Record]) -> dict[str, str]:
    name_by_login: dict[str, str] = {}
    for name, record in by_name.items():
        for login in record.account.logins:
            first = login if login in by_name else name_by_login.setdefault(login, name)
            if first != name:
                raise DuplicateLoginError(login, first, name)
    return name_by_login


def forms_of(full_name: str) -> tuple[str, ...]:
    """
    How a full name may be written before the ``@``: First.Last, I.Last, and the same with ``_``.

    First and last are the first and the last word; a name of one word, or of words that no address can hold, has no forms.
    """
    words = local_part_key(full_name).split()
    if len(words) < 2 or _UNFIT_IN_FORM.search(first := words[0]) or _UNFIT_IN_FORM.search(last := words[-1]):
        return ()
    return tuple(dict.fromkeys((f"{first}.{last}", f"{first[0]}.{last}", f"{first}_{last}", f"{first[0]}_{last}")))


def check_name(name: str) -> str:
    """The name when it can be an account's; else ValueError with what is wrong."""
    if _NAME.match(name):
        return name
    if _NAME.match(name.lower()):
        raise ValueError(f"{name!r} can not be an account: names are written in lower case, like {name.lower()!r}")
    raise ValueError(
        f"{name!r} can not be an account: a name has 1 to 64 characters out of a-z 0-9 . _ - + and does not begin with . or -"
    )


def check_address(address: str) -> str:
    """The address when it can be listed; else ValueError with what is wrong."""
    local_part, domain = split(address)
    # RFC 5321 4.1.2: an @ in the local part stands in quotes.
    stray = "@" in local_part and not local_part.startswith('"')
    if not local_part or not domain or stray or _UNFIT_IN_ADDRESS.search(address):
        raise ValueError(f"{address!r} is not an address: write it like joe@example.org")
    if len(address.encode("utf-8", "replace")) > MAX_ADDRESS_OCTETS:
        raise ValueError(f"the address {address[:40]!r}... is longer than {MAX_ADDRESS_OCTETS} octets")
    return address


def address_key(address: str) -> str:
    """The form under which addresses are looked up: case does not matter, nor which way a domain is written."""
    if address.isascii():
        return key(address)
    local_part, domain = split(address)
    return f"{local_part_key(local_part)}@{domain_key(domain)}"


def local_part_key(local_part: str) -> str:
    """The form under which local parts are looked up; composed and decomposed letters are the same (RFC 6532 3.1)."""
    return key(local_part if local_part.isascii() else unicodedata.normalize("NFC", local_part))
