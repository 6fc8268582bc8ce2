"""Looking into a spool from another process, while the server runs and when it does not: for the command line."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from hermes.core.accountability import Tally
from hermes.core.event import Event
from hermes.core.message import QueuedMessage
from hermes.core.period import Period
from hermes.core.selection import Selection
from hermes.core.shape import By, Counted, Shape
from hermes.spool import history, selecting, summary
from hermes.spool.bodies import BodyFiles, Disk
from hermes.spool.database import DATABASE, connect_read_only
from hermes.spool.errors import SpoolError, opening_words
from hermes.spool.rows import read_message
from hermes.spool.schema import MIGRATIONS, version
from hermes.spool.trace import track

#: Faults named one by one by :meth:`SpoolReader.integrity`; a torn database has thousands.
MAX_FAULTS = 100

#: A limit of -1 is none.
_IDS = "SELECT queue_id FROM messages ORDER BY queue_id LIMIT ?"
_AFTER = "SELECT count(*) FROM messages WHERE accepted_at > ?"
_NO_BODY = "SELECT queue_id FROM messages WHERE NOT in_file AND queue_id NOT IN (SELECT queue_id FROM bodies)"
_IN_FILES = "SELECT queue_id, size_octets FROM messages WHERE in_file"
_TWO_BODIES = "SELECT queue_id FROM messages WHERE in_file AND queue_id IN (SELECT queue_id FROM bodies)"
_NO_MESSAGE = """
    SELECT 'recipient', queue_id FROM recipients WHERE queue_id NOT IN (SELECT queue_id FROM messages)
    UNION SELECT 'body', queue_id FROM bodies WHERE queue_id NOT IN (SELECT queue_id FROM messages)
    UNION SELECT 'signature', queue_id FROM signatures WHERE queue_id NOT IN (SELECT queue_id FROM messages)
"""
_NO_RECIPIENT = "SELECT queue_id FROM messages WHERE queue_id NOT IN (SELECT queue_id FROM recipients)"


def _is_there(path: str) -> bool:
    """
    Whether there is such a file; raise OSError where that cannot be known, or it may not be read.

    It is not opened to find out: to close it again would end the locks that SQLite has in this process (fcntl(2)).
    """
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return True


class SpoolReader:
    """
    Reads the spool in ``directory``; a spool that was never used is empty. Use it in a ``with`` statement, or close it.

    Every method raises SpoolError when the spool cannot be read.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._files = BodyFiles(directory, Disk())
        self._connection: sqlite3.Connection | None = None
        try:
            if _is_there(os.path.join(directory, DATABASE)):
                self._connection = connect_read_only(directory)
        except (OSError, sqlite3.Error) as error:
            raise self._unreadable(error) from error
        with self._readable() as connection:
            if connection is not None:
                self._check_version(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def queue(self, queue_id: str | None = None, limit: int | None = None) -> list[QueuedMessage]:
        """One message or all (or the first ``limit``), oldest first, with every unfinished recipient; without their octets."""
        with self._readable() as connection:
            if connection is None:
                return []
            many = -1 if limit is None else limit
            ids = [queue_id] if queue_id is not None else [name for (name,) in connection.execute(_IDS, (many,))]
            messages = (read_message(connection, name) for name in ids)
            return [message for message in messages if message is not None and message.recipients]

    def count(self) -> int:
        """How many messages are in the queue."""
        with self._readable() as connection:
            return 0 if connection is None else int(connection.execute("SELECT count(*) FROM messages").fetchone()[0])

    def accepted_after(self, moment: float) -> int:
        """How many messages of the queue say that they were accepted after a moment, in seconds since the epoch."""
        with self._readable() as connection:
            return 0 if connection is None else int(connection.execute(_AFTER, (moment,)).fetchone()[0])

    def listed(self, selection: Selection, limit: int | None = None) -> Iterator[QueuedMessage]:
        """The messages that a selection names, oldest first, with those of their recipients; without their octets."""
        with self._readable() as connection:
            if connection is not None:
                selecting.prepare(connection)
                yield from selecting.listed(connection, selection, limit)

    def counted(self, selection: Selection) -> Counted:
        """How much of the queue a selection names."""
        with self._readable() as connection:
            if connection is None:
                return Counted()
            selecting.prepare(connection)
            return selecting.count(connection, selection)

    def states(self) -> dict[str, Counted]:
        """How much there is in each state; ``queued`` is what has not been tried yet, the others of that are ``deferred``."""
        with self._readable() as connection:
            return {} if connection is None else selecting.states(connection)

    def shape(self, selection: Selection, by: By, now: float) -> Shape:
        """How many recipients there are of each age, by what they have in common."""
        with self._readable() as connection:
            if connection is None:
                return {}
            selecting.prepare(connection)
            return selecting.shape(connection, selection, by, now)

    def tally(self, since: float, until: float) -> Tally:
        """What happened in a time, and what is in the queue now."""
        with self._readable() as connection:
            return Tally() if connection is None else summary.tally(connection, since, until)

    def track(self, query: str, limit: int = 1000) -> list[Event]:
        """What is known about a queue id, an address or a Message-ID, newest last."""
        with self._readable() as connection:
            return [] if connection is None else track(connection, query, limit)

    def want_history(self, periods: Sequence[Period]) -> None:
        """Look for all that is known about addresses and names, each in its time, for :meth:`wanted_events`."""
        with self._readable() as connection:
            if connection is not None:
                history.want(connection, periods)

    def count_others(self, name: str) -> int:
        """How much is known about an address or a name that was not looked for."""
        with self._readable() as connection:
            return 0 if connection is None else history.count_others(connection, name)

    def wanted_messages(self) -> Iterator[str]:
        """The queue ids that were found."""
        with self._readable() as connection:
            if connection is not None:
                yield from history.messages(connection)

    def want_message(self, queue_id: str) -> None:
        """What is known of a message belongs to it as well."""
        with self._readable() as connection:
            if connection is not None:
                history.want_message(connection, queue_id)

    def wanted_events(self) -> Iterator[Event]:
        """All that was found, newest last, however much it is."""
        with self._readable() as connection:
            if connection is not None:
                yield from history.wanted(connection)

    def integrity(self) -> list[str]:
        """What is wrong with the spool, a sentence each; empty when nothing is. Takes long for a large spool."""
        with self._readable() as connection:
            if connection is None:
                return []
            try:
                return self._faults(connection)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                # Damage so bad that SQLite cannot even look for more.
                return [opening_words(error)]

    def _faults(self, connection: sqlite3.Connection) -> list[str]:
        faults = [text for (text,) in connection.execute(f"PRAGMA integrity_check({MAX_FAULTS})") if text != "ok"]
        if not faults:
            # One picture for all questions, while the server goes on.
            connection.execute("BEGIN")
            try:
                faults = list(self._inconsistencies(connection))
            finally:
                connection.execute("ROLLBACK")
        return faults[:MAX_FAULTS]

    def _inconsistencies(self, connection: sqlite3.Connection) -> Iterator[str]:
        for (queue_id,) in connection.execute(_NO_BODY):
            yield f"message {queue_id} has no body"
        for (queue_id,) in connection.execute(_TWO_BODIES):
            yield f"message {queue_id} has two bodies, a row and a file"
        for (queue_id,) in connection.execute(_NO_RECIPIENT):
            yield f"message {queue_id} has no recipient"
        for what, queue_id in connection.execute(_NO_MESSAGE):
            yield f"there is a {what} of {queue_id}, but no message"
        for queue_id, size_octets in connection.execute(_IN_FILES):
            yield from self._file_fault(queue_id, size_octets)

    def _file_fault(self, queue_id: str, size_octets: int) -> Iterator[str]:
        path = self._files.path(queue_id)
        try:
            found = os.stat(path).st_size
        except OSError as error:
            # While the server runs, the message may have been delivered since the question was asked.
            if not self._gone(queue_id):
                yield f"the body of message {queue_id} cannot be read: {path}: {error.strerror}"
            return
        if found != size_octets:
            yield f"the body of message {queue_id} has {found} octets instead of {size_octets}: {path}"

    def _gone(self, queue_id: str) -> bool:
        with SpoolReader(self._directory) as fresh:
            return not fresh.queue(queue_id)

    def _check_version(self, connection: sqlite3.Connection) -> None:
        try:
            found = version(connection)
        except SpoolError as error:
            raise SpoolError(f"cannot read the spool {self._directory}: {error}") from error
        if found < len(MIGRATIONS):
            raise SpoolError(
                f"the spool {self._directory} is of an older Hermes: start the server once to bring it up to date"
            )

    @contextmanager
    def _readable(self) -> Iterator[sqlite3.Connection | None]:
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError | sqlite3.Error) -> SpoolError:
        return SpoolError(f"cannot read the spool {self._directory}: {opening_words(error)}")
