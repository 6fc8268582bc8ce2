"""Facts for the trace from another process, while no server has the spool: a command may have done what they tell."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence

from hermes.core.event import Event
from hermes.disk.small_database import transaction
from hermes.spool.database import LOCK, connect
from hermes.spool.errors import SpoolError
from hermes.spool.schema import migrate
from hermes.spool.transaction import Transaction

_GREATEST_EVENT = "SELECT coalesce(max(id), 0) FROM events"


def record(directory: str, events: Sequence[Event]) -> None:
    """
    Store facts, durably; raise SpoolError when a server has the spool in the meantime, or they cannot be stored.

    The lock is a shared one, by which a server that starts knows that it has to wait for a moment only.
    """
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        descriptor = os.open(os.path.join(directory, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            _store(directory, events)
        finally:
            os.close(descriptor)
    except BlockingIOError:
        raise SpoolError(f"the spool {directory} is in use by a server") from None
    except (OSError, sqlite3.Error) as error:
        raise SpoolError(f"nothing can be stored in the spool {directory}: {error}") from error


def _store(directory: str, events: Sequence[Event]) -> None:
    connection = connect(directory)
    try:
        migrate(connection)
        # Numbers are taken within the transaction: another command may be storing facts, too.
        with transaction(connection):
            (greatest,) = connection.execute(_GREATEST_EVENT).fetchone()
            gathered = Transaction(connection, greatest + 1)
            for event in events:
                gathered.add_event(event, (event.address, event.reverse_path, event.message_id))
            gathered.write()
    finally:
        connection.close()
