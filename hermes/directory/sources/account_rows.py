"""
Accounts as rows: the tables that other tools may read and write, and what is made of them.

``docs/directory.md`` describes them for people. Each row is held against the rules of ``accounts.ini``; what cannot be is named,
and then nothing of the database is used.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from hermes.core.account import Account
from hermes.core.reading_profile import SECONDS_A_DAY, ReadingProfile
from hermes.directory.accounts import (
    AccountTable,
    DuplicateAddressError,
    DuplicateLoginError,
    Record,
    check_address,
    check_name,
    table_of,
)
from hermes.directory.sources.accounts_file import READING, check_password_hash, check_scram_keys, check_sealed

#: Written to ``user_version``: a database of a later form is not understood by halves.
VERSION = 1

SCHEMA = """\
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT NOT NULL PRIMARY KEY,
    password TEXT NOT NULL DEFAULT '',
    scram TEXT NOT NULL DEFAULT '',
    cram TEXT NOT NULL DEFAULT '',
    full_name TEXT NOT NULL DEFAULT '',
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    quota INTEGER NOT NULL DEFAULT 0 CHECK (quota >= 0),
    deliver_also INTEGER NOT NULL DEFAULT 0 CHECK (deliver_also IN (0, 1)),
    new_recipients INTEGER CHECK (new_recipients >= 0),
    mark_read INTEGER CHECK (mark_read IN (0, 1)),
    show_read INTEGER CHECK (show_read IN (0, 1)),
    show_status INTEGER CHECK (show_status IN (0, 1)),
    no_delete INTEGER CHECK (no_delete IN (0, 1)),
    delete_is_final INTEGER CHECK (delete_is_final IN (0, 1)),
    expire INTEGER CHECK (expire = 0 OR expire >= 86400)
);
CREATE TABLE IF NOT EXISTS addresses (
    address TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
    account TEXT NOT NULL REFERENCES accounts (name) ON UPDATE CASCADE ON DELETE CASCADE,
    position INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS addresses_by_account ON addresses (account, position);
CREATE TABLE IF NOT EXISTS forwards (
    account TEXT NOT NULL REFERENCES accounts (name) ON UPDATE CASCADE ON DELETE CASCADE,
    address TEXT NOT NULL COLLATE NOCASE,
    position INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, address)
);
CREATE TABLE IF NOT EXISTS logins (
    login TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (name) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS logins_by_account ON logins (account);
"""

#: Rows that are named at once: whoever has mended these looks again.
MOST_PROBLEMS = 20

_TEXTS = ("name", "password", "scram", "cram", "full_name")
_FLAGS = ("disabled", "deliver_also")
_COLUMNS = (*_TEXTS, *_FLAGS, "quota", "new_recipients", *READING)
_ACCOUNTS = f"SELECT {', '.join(_COLUMNS)} FROM accounts ORDER BY rowid"  # noqa: S608 - the names are ours


class RowsError(ValueError):
    """Rows that cannot be; the text names them."""


def read_table(connection: sqlite3.Connection, path: str) -> AccountTable:
    """All accounts; raise RowsError, and sqlite3.Error. It is for the caller to hold the database still."""
    check_version(connection)
    problems: list[str] = []
    addresses = _listed(connection.execute("SELECT account, address FROM addresses ORDER BY position, rowid"))
    forwards = _listed(connection.execute("SELECT account, address FROM forwards ORDER BY position, rowid"))
    logins = _listed(connection.execute("SELECT account, login FROM logins ORDER BY rowid"))
    records: list[Record] = []
    known: set[object] = set()
    for row in connection.execute(_ACCOUNTS):
        name = row[0]
        known.add(name)
        try:
            lists = addresses.get(name, ()), forwards.get(name, ()), logins.get(name, ())
            records.append(_record(row, lists, f"{path}: account {name}"))
        except ValueError as error:
            problems.append(f"account {_shown(name)}: {error}")
    for what, listed in (("address", addresses), ("forward", forwards), ("login", logins)):
        problems += [
            f"{what} {_shown(values[0])}: there is no account {_shown(name)}"
            for name, values in listed.items()
            if name not in known
        ]
    if not problems:
        try:
            return table_of(records)
        except (DuplicateAddressError, DuplicateLoginError) as error:
            problems.append(f"account {_shown(error.name)}: {error}")
    more = [f"and {len(problems) - MOST_PROBLEMS} more"] if len(problems) > MOST_PROBLEMS else []
    raise RowsError("; ".join([*problems[:MOST_PROBLEMS], *more]))


def check_version(connection: sqlite3.Connection) -> None:
    """RowsError for a database whose tables may mean something else."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise RowsError(f"it is of the later form {version}, and this Hermes knows {VERSION}")


def _listed(rows: Iterable[tuple[object, object]]) -> Mapping[object, list[object]]:
    listed: dict[object, list[object]] = {}
    for account, value in rows:
        listed.setdefault(account, []).append(value)
    return listed


def _record(
    row: tuple[object, ...],
    lists: tuple[Iterable[object], Iterable[object], Iterable[object]],
    place: str,
) -> Record:
    addresses, forwards, logins = lists
    # SQLite keeps what it is given, whatever a column is declared as.
    name, password, scram, cram, full_name = map(_text, _TEXTS, row)
    disabled, deliver_also = map(_flag, _FLAGS, row[len(_TEXTS) :])
    quota, new_recipients, *reading = row[len(_TEXTS) + len(_FLAGS) :]
    account = Account(
        check_name(name),
        tuple(check_address(_text("address", each)) for each in addresses),
        " ".join(full_name.split()),
        disabled,
        _number("quota", quota),
        tuple(check_address(_text("forward", each)) for each in forwards),
        deliver_also,
        None if new_recipients is None else _number("new_recipients", new_recipients),
        tuple(check_name(_text("login", each)) for each in logins),
        _reading(reading) if any(each is not None for each in reading) else _USUAL,
    )
    return Record(account, check_password_hash(password), check_scram_keys(scram), check_sealed(cram), place)


_USUAL = ReadingProfile()


def _reading(values: Iterable[object]) -> ReadingProfile:
    found: dict[str, bool | int | None] = {}
    for (column, name), value in zip(READING.items(), values, strict=True):
        if value is None:
            found[name] = None
        elif column == "expire":
            found[name] = seconds = _number(column, value)
            if 0 < seconds < SECONDS_A_DAY:
                raise ValueError(f"expire is {seconds}: write {SECONDS_A_DAY} seconds, a day, or more, or 0 for never")
        else:
            found[name] = _flag(column, value)
    return ReadingProfile(**found)  # type: ignore[arg-type]


def _text(column: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{column} is no text")
    return value


def _flag(column: str, value: object) -> bool:
    if value not in (0, 1):
        raise ValueError(f"{column} is neither 0 nor 1")
    return bool(value)


def _number(column: str, value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{column} is no number of 0 or more")
    return value


def _shown(value: object) -> str:
    return repr(value)[:80]
