"""
``accounts.ini``: the accounts in a file that people can read and edit.

    # who has a mailbox
    [joe]
    password = $argon2id$...
    scram = SCRAM-SHA-256$...
    cram = gAAAAA...
    addresses = joe@example.org, info@example.org
    name = Joe of the Front Desk
    disabled = no
    quota = 100M
    forward = joe@example.net
    deliver_also = yes
    new_recipients = 500
    logins = joe.desk, desk
    mark_read = no
    show_read = no
    show_status = yes
    no_delete = yes
    delete_is_final = yes
    expire = 30d

One section for each account, named for it. Every key may be missing: without ``password`` nobody can log in, without
``addresses`` the account has its name at each of the server's domains, and ``quota`` is the default one. Mail for the account
goes on to the addresses in ``forward``, and into the mailbox as well when ``deliver_also`` says so.
``new_recipients`` stands in the place of that of the settings, and so do those from ``mark_read`` to ``expire`` (a time of a
day or more, or ``never``), see ``[pop3]``. ``logins`` are further names to log in by. ``scram`` are keys
of the same password (:mod:`hermes.protocols.scram_keys`): who changes ``password`` by hand removes that line.
``cram`` is a secret of its own, in a form that only the server can read (:mod:`hermes.directory.recoverable`). The rules are
those of the standard INI reader, without interpolation; a line that begins with white space continues the value above it.

The file is read and edited here rather than by ``configparser`` and ``configupdater``: with 100,000 accounts these take five and
eight seconds (measured), ours well under one, which matters because a server edits it whenever somebody changes a
password; and every complaint can name its line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from hermes.core.account import Account
from hermes.core.reading_profile import SECONDS_A_DAY, ReadingProfile
from hermes.core.units import parse_flag, parse_size, parse_time
from hermes.directory.accounts import (
    AccountTable,
    DuplicateAddressError,
    DuplicateLoginError,
    Record,
    check_address,
    check_name,
    table_of,
)
from hermes.directory.old_hashes import is_old_hash
from hermes.protocols.scram_keys import parse as parse_scram_keys

KEYS = (
    "password",
    "scram",
    "cram",
    "addresses",
    "name",
    "disabled",
    "quota",
    "forward",
    "deliver_also",
    "new_recipients",
    "logins",
    "mark_read",
    "show_read",
    "show_status",
    "no_delete",
    "delete_is_final",
    "expire",
)

#: The keys about reading mail, and what they are in :class:`hermes.core.reading_profile.ReadingProfile`.
READING = {
    "mark_read": "mark_read",
    "show_read": "show_read",
    "show_status": "show_status",
    "no_delete": "no_delete",
    "delete_is_final": "delete_is_final",
    "expire": "expire_seconds",
}

# What argon2-cffi writes and reads: "$argon2id$v=19$m=65536,t=3,p=4$SALT$HASH"
_PASSWORD_HASH = re.compile(r"\$argon2(?:id|i|d)\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+\Z")

# What Fernet writes: version 0x80 and the upper half of a time, then more, in the base64 that is safe in names of files.
_SEALED = re.compile(r"gAAAAA[A-Za-z0-9_-]{90,4000}={0,2}\Z")

_BETWEEN_ADDRESSES = re.compile(r"[,\s]+")


class AccountsFileError(Exception):
    """The file cannot be used; the text names file and line."""

    def __init__(self, path: str, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}" if line else f"{path}: {problem}")
        self.line = line


@attrs.define
class Section:
    """The lines of one account, counted from 1: its header, and the keys with first and last line and value."""

    name: str
    line: int
    last_line: int
    values: dict[str, tuple[int, int, str]] = attrs.field(factory=dict)


def sections_of(path: str, text: str) -> Iterator[Section]:
    """Take the text apart, section by section; ``path`` is for complaints. Raises AccountsFileError."""
    section: Section | None = None
    current = ""
    for number, line in enumerate(text.split("\n"), 1):
        content = line.strip()
        if not content:
            current = ""
            continue
        if content[0] in "#;":
            continue
        if line[0] in " \t":
            if section is None or not current:
                raise AccountsFileError(path, number, "a line that begins with white space has nothing to continue")
            first, _, value = section.values[current]
            section.values[current] = (first, number, f"{value}\n{content}")
            section.last_line = number
        elif content[0] == "[":
            if content[-1] != "]":
                raise AccountsFileError(path, number, f"{content!r} lacks its closing bracket")
            if section is not None:
                yield section
            section = Section(content[1:-1], number, number)
            current = ""
        else:
            key, equals, value = content.partition("=")
            current = key.strip().lower()
            if not equals or not current:
                raise AccountsFileError(path, number, f"{content!r} is neither [account] nor key = value")
            if section is None:
                raise AccountsFileError(path, number, f"{current!r} stands above the first [account]")
            if current in section.values:
                raise AccountsFileError(
                    path, number, f"{current!r} is already set in line {section.values[current][0]}"
                )
            section.values[current] = (number, number, value.strip())
            section.last_line = number
    if section is not None:
        yield section


def parse(path: str, text: str) -> AccountTable:
    """Read all accounts; ``path`` is for complaints. Raises AccountsFileError."""
    records: list[Record] = []
    # Name -> the lines of its header, addresses and logins, for complaints about what two sections have in common.
    lines: dict[str, tuple[int, int, int]] = {}
    for section in sections_of(path, text):
        records.append(_record(path, section))
        if section.name in lines:
            first = lines[section.name][0]
            raise AccountsFileError(path, section.line, f"{section.name!r} is already an account in line {first}")
        listed, logins = (section.values.get(key, (0, 0, ""))[0] for key in ("addresses", "logins"))
        lines[section.name] = (section.line, listed, logins)
    try:
        return table_of(records)
    except DuplicateAddressError as error:
        raise AccountsFileError(path, lines[error.name][1], str(error)) from None
    except DuplicateLoginError as error:
        raise AccountsFileError(path, lines[error.name][2], str(error)) from None


def _record(path: str, section: Section) -> Record:
    try:
        check_name(section.name)
    except ValueError as error:
        raise AccountsFileError(path, section.line, str(error)) from None
    found: dict[str, object] = {}
    for key, (line, _, value) in section.values.items():
        reader = _READERS.get(key)
        if reader is None:
            meant = difflib.get_close_matches(key, KEYS, 1)
            hint = f"did you mean {meant[0]!r}?" if meant else f"there are {', '.join(KEYS)}"
            raise AccountsFileError(path, line, f"an account has no {key!r}: {hint}")
        try:
            found[key] = reader(value)
        except ValueError as error:
            raise AccountsFileError(path, line, str(error)) from None
    account = Account(
        section.name,
        found.get("addresses", ()),  # type: ignore[arg-type]
        found.get("name", ""),  # type: ignore[arg-type]
        found.get("disabled", False),  # type: ignore[arg-type]
        found.get("quota", 0),  # type: ignore[arg-type]
        found.get("forward", ()),  # type: ignore[arg-type]
        found.get("deliver_also", False),  # type: ignore[arg-type]
        found.get("new_recipients"),  # type: ignore[arg-type]
        found.get("logins", ()),  # type: ignore[arg-type]
        ReadingProfile(**{name: found.get(key) for key, name in READING.items()}),  # type: ignore[arg-type]
    )
    place = f"{path}:{section.line}"
    hashed, scram, cram = found.get("password", ""), found.get("scram", ""), found.get("cram", "")
    return Record(account, hashed, scram, cram, place)  # type: ignore[arg-type]


def checked(account: Account, password_hash: str, scram: str) -> Account:
    """A new account as it is to be written, when it can be; ValueError with what is wrong."""
    check_name(account.name)
    check_password_hash(password_hash)
    check_scram_keys(scram)
    return attrs.evolve(
        account,
        addresses=tuple(check_address(address) for address in account.addresses),
        full_name=" ".join(account.full_name.split()),
        forward=tuple(check_address(address) for address in account.forward),
        logins=tuple(check_name(login) for login in account.logins),
    )


def read_value(key: str, text: str) -> Any:
    """What one of :data:`KEYS` says that is written so; ValueError for a text that cannot be."""
    return _READERS[key](text)


def check_password_hash(value: str) -> str:
    """The hash when it is one of argon2, or an old one; ValueError else, above all when somebody wrote a password there."""
    if value and not _PASSWORD_HASH.match(value) and not is_old_hash(value):
        # The value may be somebody's password: it must not be repeated.
        raise ValueError("the password is not an argon2 hash: set it with `hermes user password`")
    return value


def check_scram_keys(value: str) -> str:
    """The keys as they are written when they can be read; ValueError else."""
    if value:
        parse_scram_keys(value)
    return value


def _number(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise ValueError(f"{value!r} is not a number: write one like 200, or 0 for no limit")
    return int(value)


def check_sealed(value: str) -> str:
    """The sealed secret when it looks like one; ValueError else, above all when somebody wrote a secret there."""
    if value and not _SEALED.match(value):
        raise ValueError("the secret for CRAM-MD5 is not in its sealed form: set it with `hermes user cram`")
    return value


def _addresses(value: str) -> tuple[str, ...]:
    return tuple(check_address(address) for address in _BETWEEN_ADDRESSES.split(value) if address)


def parse_logins(value: str) -> tuple[str, ...]:
    """Further names to log in by: each could be an account's."""
    return tuple(check_name(name) for name in _BETWEEN_ADDRESSES.split(value) if name)


def parse_expiry(value: str) -> int:
    """The age at which mail is removed, in seconds; ``never`` is 0."""
    seconds = 0 if value.strip().lower() == "never" else parse_time(value)
    if 0 < seconds < SECONDS_A_DAY:
        # RFC 2449 6.7: EXPIRE is told in days, and 0 would tell clients that they cannot leave mail here at all.
        raise ValueError(f"{value!r} is less than a day: write 1d or more, or never")
    return seconds


def _full_name(value: str) -> str:
    return " ".join(value.split())


_READERS: dict[str, Callable[[str], object]] = {
    "password": check_password_hash,
    "scram": check_scram_keys,
    "cram": check_sealed,
    "addresses": _addresses,
    "name": _full_name,
    "disabled": parse_flag,
    "quota": parse_size,
    "forward": _addresses,
    "deliver_also": parse_flag,
    "new_recipients": _number,
    "logins": parse_logins,
    "mark_read": parse_flag,
    "show_read": parse_flag,
    "show_status": parse_flag,
    "no_delete": parse_flag,
    "delete_is_final": parse_flag,
    "expire": parse_expiry,
}
