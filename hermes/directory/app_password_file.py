"""
The file of the app passwords: digests of them, what they are for, and when they were used last.

It is SQLite, because the command line and every worker use it at the same time, and each sees at once what another has done. It
is beside the sources of accounts, so that people of a directory service can have app passwords too. Other than what is remembered
beside mail it holds what people rely on: a file that is damaged is neither put aside nor begun anew.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator

from hermes.core.app_password import MAX_OF_AN_ACCOUNT, AppPassword, check_name, check_services
from hermes.disk.small_database import beside, transaction

_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS app_passwords (
    account TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE, digest BLOB NOT NULL UNIQUE, services TEXT NOT NULL,
    made_at REAL NOT NULL, used_at REAL, used_from TEXT NOT NULL DEFAULT '', used_for TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (account, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removed (
    digest BLOB NOT NULL PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, removed_at REAL NOT NULL
) WITHOUT ROWID;
"""

#: How long one that was taken away is known as such: a device that nobody has told of it asks every few minutes, and must not be
#: taken for somebody who guesses the account's own password. A directory service would close the account.
REMOVED_SECONDS = 90 * 86400

#: How many of those are known; who is over it is a site of thousands, whose older devices are then taken for guessing.
MAX_REMOVED = 10_000

_TABLES = ("app_passwords", "removed")
_WHICH = "account = :account AND (:name IS NULL OR name = :name)"
_REMEMBER = f"INSERT OR REPLACE INTO removed SELECT digest, account, name, :now FROM app_passwords WHERE {_WHICH}"  # noqa: S608
_REMOVE = f"DELETE FROM app_passwords WHERE {_WHICH}"  # noqa: S608 - constants only
_OLDEST_REMOVED = """
    DELETE FROM removed WHERE digest IN (SELECT digest FROM removed ORDER BY removed_at DESC LIMIT -1 OFFSET ?)
"""
_FIND_REMOVED = "SELECT account, name, '', removed_at, NULL, '', '' FROM removed WHERE digest = ?"

_SELECT = "SELECT account, name, services, made_at, used_at, used_from, used_for FROM app_passwords"


class AppPasswordFile:
    """
    The file at ``path``, for commands: every call opens it.

    All raise ValueError, with a text, for a file that cannot be used.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def add(self, account: str, name: str, digest: bytes, services: tuple[str, ...], now: float) -> None:
        """Keep a new one; ValueError for a name that the account has already, and when it has too many."""
        name, services = check_name(name), check_services(services)
        self._make()
        with self._opened() as connection, transaction(connection):
            (count,) = connection.execute("SELECT count(*) FROM app_passwords WHERE account = ?", (account,)).fetchone()
            if count >= MAX_OF_AN_ACCOUNT:
                raise ValueError(f"{account} has {count} app passwords already: remove those that nobody uses")
            try:
                connection.execute(
                    "INSERT INTO app_passwords (account, name, digest, services, made_at) VALUES (?, ?, ?, ?, ?)",
                    (account, name, digest, " ".join(services), now),
                )
            except sqlite3.IntegrityError:
                raise ValueError(
                    f"{account} has an app password {name!r} already: remove it, or choose another name"
                ) from None

    def remove(self, account: str, name: str | None, now: float) -> int:
        """Take one away, or with None all of an account; how many there were. It stays known that they are no good any more."""
        if not os.path.exists(self._path):
            return 0
        values = {"account": account, "name": None if name is None else name.strip(), "now": now}
        with self._opened() as connection, transaction(connection):
            connection.execute(_REMEMBER, values)
            connection.execute("DELETE FROM removed WHERE removed_at < ?", (now - REMOVED_SECONDS,))
            connection.execute(_OLDEST_REMOVED, (MAX_REMOVED,))
            return connection.execute(_REMOVE, values).rowcount

    def forget(self, account: str) -> None:
        """Keep nothing of an account."""
        if not os.path.exists(self._path):
            return
        with self._opened() as connection, transaction(connection):
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table} WHERE account = ?", (account,))  # noqa: S608 - the tables are ours

    def rename(self, account: str, new_name: str) -> None:
        """Give those of an account to its new name. What that name had was somebody else's. It can be done again."""
        if not os.path.exists(self._path):
            return
        with self._opened() as connection, transaction(connection):
            for table in _TABLES:
                if connection.execute(f"SELECT 1 FROM {table} WHERE account = ?", (account,)).fetchone():  # noqa: S608 - ours
                    connection.execute(f"DELETE FROM {table} WHERE account = ?", (new_name,))  # noqa: S608
                    connection.execute(f"UPDATE {table} SET account = ? WHERE account = ?", (new_name, account))  # noqa: S608

    def list(self, account: str | None = None) -> list[AppPassword]:
        """Those of one account, or all, by account and name."""
        if not os.path.exists(self._path):
            return []
        text = _SELECT + " WHERE ?1 IS NULL OR account = ?1 ORDER BY account, name"
        with self._opened() as connection:
            return [_of_row(row) for row in connection.execute(text, (account,))]

    def _make(self) -> None:
        """Make the file, for the owner of the directory alone: the administrator may make it, and the server must read it."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return
        except OSError as error:
            raise ValueError(f"{self._path} cannot be made: {error.strerror}") from None
        try:
            owner = os.stat(os.path.dirname(self._path))
            if os.geteuid() == 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with beside(self._path) as connection:
                connection.executescript(_SCHEMA)
                yield connection
        except sqlite3.Error as error:
            raise ValueError(f"{self._path}: {error}") from None


class Opened:
    """The file as a server has it open, for one thread: opened when there is one, and anew when it was replaced."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)

    def find(self, digest: bytes) -> AppPassword | None:
        """The one with that digest, also when it was taken away. Raises sqlite3.Error and OSError when that cannot be told."""
        connection = self._current()
        if connection is None:
            return None
        # Found by the digest: that takes as long however many an account has, and whoever can choose digests has broken BLAKE2.
        for text in (_SELECT + " WHERE digest = ?", _FIND_REMOVED):
            if (row := connection.execute(text, (digest,)).fetchone()) is not None:
                return _of_row(row)
        return None

    def note(self, found: AppPassword, at: float, peer: str, service: str) -> None:
        """Keep when it was used last. One that was taken away meanwhile stays away."""
        connection = self._current()
        if connection is not None:
            connection.execute(
                "UPDATE app_passwords SET used_at = ?, used_from = ?, used_for = ? WHERE account = ? AND name = ?",
                (at, peer, service, found.account, found.name),
            )

    def close(self) -> None:
        """Close it; it is opened again when it is needed."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def _current(self) -> sqlite3.Connection | None:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            self.close()
            return None
        identity = status.st_dev, status.st_ino
        if self._connection is None or identity != self._identity:
            self.close()
            with contextlib.ExitStack() as stack:
                # Used in the worker's thread, closed when that has ended.
                connection = stack.enter_context(beside(self._path, same_thread=False))
                connection.executescript(_SCHEMA)
                # The last times may be missing after a power cut; what commands have written is not.
                connection.execute("PRAGMA synchronous = NORMAL")
                self._connection, self._identity = connection, identity
                stack.pop_all()
        return self._connection


def _of_row(row: tuple[str, str, str, float, float | None, str, str]) -> AppPassword:
    account, name, services, made_at, used_at, used_from, used_for = row
    return AppPassword(account, name, tuple(services.split()), made_at, used_at, used_from, used_for)
