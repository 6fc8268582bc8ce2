"""
The accounts of an SQLite database, for those whose other tools want tables.

All of them are read, in one transaction and in a bounded time, and are then looked up in memory like those of ``accounts.ini``.
Others may write to the database at any time: within a second their change is in force. While it is locked or broken, those who
were known stay so, and everything else is put off (:mod:`hermes.directory.sources.doubtful`).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from typing_extensions import override

from hermes.core.account import Account
from hermes.core.jobs import perform_each
from hermes.core.reading_profile import ReadingProfile
from hermes.directory.accounts import Accounts, check_address, check_name
from hermes.directory.sources.account_rows import SCHEMA, VERSION, RowsError, check_version, read_table
from hermes.directory.sources.accounts_file import (
    READING,
    AccountsFileError,
    check_password_hash,
    check_scram_keys,
    check_sealed,
    checked,
    read_value,
)
from hermes.directory.sources.doubtful import Doubtful
from hermes.directory.sources.watched import Loaded, Refused, WatchedSource
from hermes.disk.small_database import beside, transaction
from hermes.interfaces import IGroupWorker

#: How long another program's transaction is waited for: those who ask meanwhile wait, too.
BUSY_MILLISECONDS = 2000

#: How long reading may take: a hundred thousand accounts take some seconds. What takes longer is no list of accounts.
READ_SECONDS = 20.0

#: Steps of SQLite's engine between two looks at the clock, a millisecond or so.
_STEPS = 20_000

#: How often a database is tried that cannot be used: each try may wait for a lock.
RETRY_SECONDS = 5.0

#: What a key of ``accounts.ini`` is called here.
_COLUMNS = {
    "name": "full_name",
    **{key: key for key in ("cram", "disabled", "quota", "deliver_also", "new_recipients", *READING)},
}


class DatabaseSource(WatchedSource):
    """
    Accounts in the SQLite database at ``path``; see :class:`WatchedSource` for the rest.

    The worker is its own: it is started here when it is first needed, and stopped.
    :meth:`current` and :meth:`change_password` are for servers; the other methods read and write at once, and may be used by
    several processes.
    """

    def __init__(
        self, path: str, worker: IGroupWorker | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(path, worker, now)
        self._problem = ""
        self._started = False
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)
        self._last: Loaded | AccountsFileError | None = None
        self._stamp_of_last: object = None

    async def current(self) -> Accounts:
        """All accounts; when the database has changed, those that it has now."""
        if self._problem:
            # Nobody waits for what may be locked.
            self.known()
            return Doubtful(self._table, self._problem)
        if self._loading.under_way or self._now() >= self._look_at:
            await self._look()
        return Doubtful(self._table, self._problem) if self._problem else self._table

    @override
    def _may_have_changed(self) -> bool:
        # SQLite knows it exactly, and is asked in the worker's thread: times of files are too coarse to tell two changes apart.
        return True

    @override
    def _refused(self, refused: Refused) -> None:
        if refused.problem != self._problem:
            super()._refused(refused)
        self._problem = refused.problem
        self._look_at = self._now() + RETRY_SECONDS

    @override
    def _take(self, loaded: Loaded) -> None:
        super()._take(loaded)
        self._problem = ""

    @override
    def _submit(self, job: Callable[[], Any]) -> Deferred[Any]:
        assert self._worker is not None
        if not self._started:
            self._started = True
            self._worker.start(perform_each)
        return self._worker.submit(job)

    @override
    async def stop(self) -> None:
        if self._worker is not None:
            await self._worker.stop()
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    @override
    def _read(self) -> Loaded:
        try:
            connection = self._current()
            # Only commits of other connections change it, and every edit has a connection of its own.
            stamp = connection.execute("PRAGMA data_version").fetchone()
            if self._last is None or stamp != self._stamp_of_last:
                self._stamp_of_last = stamp
                self._last = self._outcome(connection, stamp)
        except (sqlite3.Error, OSError) as error:
            self._close()
            raise self._error(error) from None
        finally:
            if self._worker is None:
                # A command reads once, and has nobody to close it.
                self._close()
        if isinstance(self._last, AccountsFileError):
            raise self._last
        return self._last

    def _outcome(self, connection: sqlite3.Connection, stamp: object) -> Loaded | AccountsFileError:
        deadline = time.monotonic() + READ_SECONDS
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        connection.execute("BEGIN")
        try:
            return Loaded(read_table(connection, self.path), stamp)
        except RowsError as error:
            # Until it is changed again there is nothing to be read anew.
            return AccountsFileError(self.path, 0, str(error))
        finally:
            connection.set_progress_handler(None, 0)
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _current(self) -> sqlite3.Connection:
        """The connection that reads; another file in the place of the one before is opened anew."""
        status = os.stat(self.path)
        if self._connection is None or (status.st_dev, status.st_ino) != self._identity:
            self._close()
            self._last = None
            self._connection = _connect(self.path)
            self._identity = status.st_dev, status.st_ino
        return self._connection

    def make(self) -> bool:
        """Make the database with its tables, for the owner of the directory alone; False when it is there already."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return False
        try:
            owner = os.stat(os.path.dirname(os.path.abspath(self.path)))
            if os.geteuid() == 0:
                # The administrator makes it, and the server uses it.
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
        finally:
            os.close(descriptor)
        with contextlib.closing(_connect(self.path)) as connection:
            # Readers go on while somebody writes; the file keeps that.
            connection.execute("PRAGMA journal_mode = WAL")
            with transaction(connection):
                for statement in SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION:d}")
        return True

    def add(self, account: Account, password_hash: str, scram: str = "") -> None:
        """Add an account; ValueError when its name or one of its addresses cannot be, or is somebody's already."""
        account = checked(account, password_hash, scram)
        self.make()
        with self._edit(account.addresses) as connection:
            _refuse_taken(connection, account.name)
            connection.execute(
                "INSERT INTO accounts (name, password, scram, full_name, disabled, quota, deliver_also, new_recipients)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(account.name, password_hash, scram, account.full_name, account.disabled),
                    *(account.quota_octets, account.deliver_also, account.new_recipients),
                ),
            )
            _set_reading(connection, account.name, account.reading)
            _set_addresses(connection, account.name, account.addresses)
            _set_forwards(connection, account.name, account.forward)
            _set_logins(connection, account.name, account.logins)

    def remove(self, name: str) -> None:
        """Remove an account, not its mailbox; LookupError when there is none."""
        with self._edit() as connection:
            _found(connection.execute("DELETE FROM accounts WHERE name = ?", (name,)), name)

    def set_forward(self, name: str, forward: Sequence[str], *, deliver_also: bool = False) -> None:
        """Have an account's mail sent on, or with no address keep it here; LookupError when there is no such account."""
        addresses = [check_address(address) for address in forward]
        with self._edit() as connection:
            _set(connection, name, {"deliver_also": bool(addresses) and deliver_also})
            _set_forwards(connection, name, addresses)

    @override
    def set_password(self, name: str, password_hash: str, instead_of: str | None = None, scram: str = "") -> bool:
        check_password_hash(password_hash)
        check_scram_keys(scram)
        with self._edit() as connection:
            row = connection.execute("SELECT password FROM accounts WHERE name = ?", (name,)).fetchone()
            if instead_of is not None and row is not None and row[0] != instead_of:
                return False
            _set(connection, name, {"password": password_hash, "scram": scram})
        return True

    def set_cram(self, name: str, sealed: str) -> None:
        """Set an account's secret for CRAM-MD5, in its sealed form, or remove it; LookupError when there is no such account."""
        check_sealed(sealed)
        with self._edit() as connection:
            _set(connection, name, {"cram": sealed})

    def set_reading(self, name: str, reading: ReadingProfile, logins: Sequence[str]) -> None:
        """Set how an account's mailbox is read, and its further logins; LookupError when there is no such account."""
        names = [check_name(login) for login in logins]
        with self._edit() as connection:
            _set_reading(connection, name, reading)
            _set_logins(connection, name, names)

    def change(self, name: str, keys: Mapping[str, str]) -> None:
        """
        Give keys of an account other values, as they are written in ``accounts.ini``, an empty one for the usual.

        LookupError when there is no such account, ValueError when it could not be so: then nothing is written.
        """
        columns = {key: text for key, text in keys.items() if key != "addresses"}
        values = {_COLUMNS[key]: read_value(key, text) if text else _usual(key) for key, text in columns.items()}
        addresses = read_value("addresses", keys.get("addresses", ""))
        with self._edit(addresses) as connection:
            _set(connection, name, values)
            if "addresses" in keys:
                _set_addresses(connection, name, addresses)

    def rename(self, name: str, new_name: str) -> None:
        """Give an account another name; LookupError when there is no such account, ValueError when the name cannot be its."""
        check_name(new_name)
        with self._edit() as connection:
            _refuse_taken(connection, new_name, by=name)
            _set(connection, name, {"name": new_name})

    @contextlib.contextmanager
    def _edit(self, addresses: Sequence[str] = ()) -> Iterator[sqlite3.Connection]:
        """One transaction for writing, these addresses among others; nothing is written when something is raised."""
        try:
            os.stat(self.path)
            with contextlib.closing(_connect(self.path)) as connection, transaction(connection):
                check_version(connection)
                yield connection
                if any(not address.isascii() or "xn--" in address.lower() for address in addresses):
                    # Two ways to write one domain, which the database takes for two: all accounts are held against one another.
                    read_table(connection, self.path)
        except (sqlite3.Error, OSError) as error:
            raise self._error(error) from None

    def _error(self, error: sqlite3.Error | OSError) -> AccountsFileError:
        if isinstance(error, FileNotFoundError):
            remedy = "`hermes user make-database` makes it, and so does `hermes user add`"
            return AccountsFileError(self.path, 0, f"there is no such file: {remedy}")
        return AccountsFileError(self.path, 0, (error.strerror if isinstance(error, OSError) else "") or str(error))


def _connect(path: str) -> sqlite3.Connection:
    """A connection of our own."""
    with contextlib.ExitStack() as stack:
        # Made where a server starts, used in the worker's thread afterwards.
        connection = stack.enter_context(beside(path, same_thread=False))
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS:d}")
        connection.execute("PRAGMA foreign_keys = ON")
        stack.pop_all()
    return connection


def _usual(key: str) -> object:
    """What a column has when nothing is said."""
    if key in READING or key == "new_recipients":
        return None
    return 0 if key in ("disabled", "quota", "deliver_also") else ""


def _found(cursor: sqlite3.Cursor, name: str) -> None:
    if not cursor.rowcount:
        raise LookupError(f"there is no account {name!r}")


def _refuse_taken(connection: sqlite3.Connection, name: str, by: str = "") -> None:
    """ValueError for a name that is an account's already, or that another than ``by`` logs in by."""
    if connection.execute("SELECT 1 FROM accounts WHERE name = ?", (name,)).fetchone():
        raise ValueError(f"there is an account {name!r} already")
    others = "SELECT account FROM logins WHERE login = ? AND account <> ?"
    if owner := connection.execute(others, (name, by)).fetchone():
        raise ValueError(f"{name!r} cannot be used: {owner[0]} logs in by it")


def _set(connection: sqlite3.Connection, name: str, values: Mapping[str, object]) -> None:
    # The columns are ours.
    columns = ", ".join([f"{column} = ?" for column in values] or ["name = name"])
    _found(connection.execute(f"UPDATE accounts SET {columns} WHERE name = ?", (*values.values(), name)), name)  # noqa: S608


def _set_reading(connection: sqlite3.Connection, name: str, reading: ReadingProfile) -> None:
    _set(connection, name, {column: getattr(reading, attribute) for column, attribute in READING.items()})


def _set_addresses(connection: sqlite3.Connection, name: str, addresses: Sequence[str]) -> None:
    connection.execute("DELETE FROM addresses WHERE account = ?", (name,))
    for position, address in enumerate(dict.fromkeys(addresses)):
        owner = connection.execute("SELECT account FROM addresses WHERE address = ?", (address,)).fetchone()
        if owner is not None:
            raise ValueError(f"{address} is listed by {owner[0]} already: an address reaches one account")
        connection.execute("INSERT INTO addresses VALUES (?, ?, ?)", (address, name, position))


def _set_forwards(connection: sqlite3.Connection, name: str, addresses: Sequence[str]) -> None:
    connection.execute("DELETE FROM forwards WHERE account = ?", (name,))
    rows = [(name, address, position) for position, address in enumerate(addresses)]
    connection.executemany("INSERT OR IGNORE INTO forwards VALUES (?, ?, ?)", rows)


def _set_logins(connection: sqlite3.Connection, name: str, logins: Sequence[str]) -> None:
    connection.execute("DELETE FROM logins WHERE account = ?", (name,))
    for login in dict.fromkeys(logins):
        if login != name:
            _refuse_taken(connection, login)
        connection.execute("INSERT INTO logins VALUES (?, ?)", (login, name))
