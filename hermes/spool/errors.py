"""What can be wrong with the store, in words for the person who runs it."""

from __future__ import annotations

import errno
import sqlite3

from hermes.interfaces import SpoolFullError

#: Over quota is an input/output error to SQLite, which knows only ENOSPC as "full"; both are a matter of room.
_FULL_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
_DAMAGED_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})


class SpoolError(Exception):
    """The store cannot be opened or used; the text says why and is meant for the administrator."""


def opening_words(error: BaseException) -> str:
    """Why the store cannot be opened, and what to do about it where that can be said in general."""
    if isinstance(translated(error), SpoolFullError):
        # SQLite calls it an input/output error, which sounds like a broken disk.
        return "its disk is full: make room there"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'its disk'}: {error.strerror}"
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED_CODES:
        return f"it is damaged ({error}): docs/trouble.md says how to save what is in it"
    return str(error)


def translated(error: BaseException) -> BaseException:
    """The error as callers of the spool know it: SpoolFullError when room is what is missing, else unchanged."""
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) in _FULL_CODES:
        return SpoolFullError(f"no room for the queue: {error}")
    if isinstance(error, OSError) and error.errno in _FULL_ERRNOS:
        return SpoolFullError(f"no room for a message body: {error.strerror}")
    return error
