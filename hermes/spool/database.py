"""Opening the database of the spool, and the lock that keeps a second server away from it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from urllib.parse import quote

from hermes.spool.errors import SpoolError

#: The files of the spool directory, beside what SQLite itself puts there (``-wal``, ``-shm``).
DATABASE = "spool.sqlite"
LOCK = "spool.lock"

#: Pages in the write-ahead log before they are copied into the database (16 MiB). A message that is delivered at once
#: is gone again before that, and its body is then never copied at all.
_CHECKPOINT_PAGES = 4096

#: KiB of pages kept in memory: the inner pages of every table of a large queue, at a fraction of an idle server's size.
_CACHE_KIBIBYTES = 8192

#: A reader never blocks the writer in WAL mode. What can hold it for a moment is another process that opens the database
#: after a crash and recovers the log.
_BUSY_SECONDS = 10.0

#: How often, and after what time, a server that starts looks again whether a command has stored its facts: five seconds in all,
#: where a transaction takes a tenth of one.
_MOMENT_TRIES = 500
_MOMENT_SECONDS = 0.01

#: More than there are different statements in this package: each is compiled once.
_CACHED_STATEMENTS = 200


def connect(directory: str) -> sqlite3.Connection:
    """
    Open the database for writing, in the thread that will use it; the lock must be held.

    What has been committed survives a power cut (WAL with ``synchronous=FULL``: one fsync a transaction).
    """
    path = os.path.join(directory, DATABASE)
    # SQLite would create it as the umask says, and what it puts beside it takes after it. It holds people's mail.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        path,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_CACHED_STATEMENTS,
    )
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise SpoolError("its file system cannot share memory, which the write-ahead log needs")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
        # Some distributions overwrite deleted rows with zeros, which writes every body a second time.
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_read_only(directory: str) -> sqlite3.Connection:
    """Open the database for reading, beside a running server or without one."""
    location = f"file:{quote(os.path.join(directory, DATABASE))}"
    try:
        return _reading(f"{location}?mode=ro")
    except sqlite3.OperationalError:
        if os.path.exists(os.path.join(directory, f"{DATABASE}-wal")):
            raise
        # Without a log there is no server, and nothing is missing from the database itself: it can be read even where
        # this user may not create the shared memory that SQLite would like to have.
        return _reading(f"{location}?immutable=1")


def _reading(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


class DirectoryLock:
    """Exclusive use of a spool directory for the life of the process; the kernel lets go of it however that ends."""

    def __init__(self, directory: str) -> None:
        descriptor = os.open(os.path.join(directory, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not _shared_for_a_moment(descriptor):
                holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
                os.close(descriptor)
                raise SpoolError(f"it is in use by another process ({holder or 'unknown'})") from None
        # For people only: the lock is what counts.
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)


def _shared_for_a_moment(descriptor: int) -> bool:
    """
    Whether those who have the lock are commands that store some facts (:mod:`hermes.spool.recording`); then it is ours now.

    A server has it alone and for long; commands share it, for as long as one transaction takes. Another server that starts at the
    same time must not be waited for, so this asks again and again.
    """
    for _ in range(_MOMENT_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_MOMENT_SECONDS)
    return False
