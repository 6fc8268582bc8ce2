"""
A small SQLite file for what Hermes remembers beside mail: lists, counts, what others have promised.

It is made when it is first needed, for its owner alone. One that is damaged is put aside and begun anew: a server that does not
start, or takes no mail, because of such a memory would be the greater harm. The queue is nothing of the kind (``hermes/spool``).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import quote

from twisted.logger import Logger

#: How long another process (the command line, another worker) may hold the file: it reads or writes some rows.
BUSY_SECONDS = 5.0

#: What says nothing about the file, only of the moment: somebody holds it, or the disk is full (over quota, to SQLite, is an
#: error of writing).
_OF_THE_MOMENT = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE}
)

#: What the file is called by that could not be used.
DAMAGED = ".damaged"

_T = TypeVar("_T")


class SmallDatabase:
    """
    The file at ``path``; ``schema`` is the script of what is done each time it is opened.

    It may be opened in one thread and used in another, but not in both at a time.
    """

    _log = Logger()

    def __init__(self, path: str, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._connection: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """True from the first use on until it is closed."""
        return self._connection is not None

    def connection(self) -> sqlite3.Connection:
        """The connection, which is made when there is none. It commits by itself. Raises OSError and sqlite3.Error."""
        if self._connection is None:
            # SQLite would create it as the umask says. Who writes to whom is nobody else's business.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(
                self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                connection.executescript(self._schema)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is done within, or nothing of it; begun for writing, so that nobody can come in between."""
        with transaction(self.connection()) as connection:
            yield connection

    def load(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        """
        What ``read`` makes of the file when a server starts, or of a new one, whatever is wrong with that which is there.

        ``read`` raises ValueError for rows that it cannot understand. A disk that is full, or a file that is held for too long,
        is a fault of the moment, and raises OSError.
        """
        try:
            return read(self.connection())
        except (sqlite3.DatabaseError, ValueError) as error:
            if getattr(error, "sqlite_errorcode", None) in _OF_THE_MOMENT:
                raise OSError(f"{self._path} cannot be used now: {error}") from error
            self._put_aside(error)
            return read(self.connection())

    def guarded(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """
        What comes of ``work``; done again with a new file when this one is damaged, so it has to undo what it has begun.

        A disk that is full, or a file that is held for too long, is a fault of the moment, and is raised.
        """
        try:
            return work(self.connection())
        except (sqlite3.DatabaseError, ValueError) as error:
            # A file that is none, or is torn, has this very class; the others speak of the statement or of the moment.
            if isinstance(error, sqlite3.DatabaseError) and type(error) is not sqlite3.DatabaseError:
                raise
            self._put_aside(error)
            return work(self.connection())

    def close(self) -> None:
        """Close it; it is opened again when it is needed again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _put_aside(self, error: Exception) -> None:
        self._log.error(
            "{path} cannot be read ({error}): it is kept as {path}{damaged}, and a new one begun",
            path=self._path,
            error=str(error),
            damaged=DAMAGED,
        )
        self.close()
        os.replace(self._path, self._path + DAMAGED)
        # What the old one had begun to write is no part of the new one.
        for rest in ("-journal", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path + rest)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One transaction on a connection that commits by itself."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have ended it already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def beside(path: str, mode: str = "rw", *, same_thread: bool = True) -> contextlib.closing[sqlite3.Connection]:
    """A file that may be in use by a server, which must be there; ``ro`` cannot repair what a killed server has left."""
    uri = f"file:{quote(path)}?mode={mode}"
    return contextlib.closing(
        sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=same_thread)
    )
