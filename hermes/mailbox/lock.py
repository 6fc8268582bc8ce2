"""One reader at a time: the exclusive lock that a POP3 session holds (RFC 1939 4)."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from hermes.mailbox.maildir import FILE_MODE

#: The file in the maildir that is locked. It stays when the lock is gone: removing it would let two sessions in.
FILE = "hermes-lock"


class MailboxLock:
    """A lock on a maildir, by ``flock``: it ends with the process, and holds against other processes of ours."""

    def __init__(self, path: str) -> None:
        self._path = os.path.join(path, FILE)
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock; False when somebody has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


class InUseError(ValueError):
    """Somebody is importing into a maildir, exporting into it, or taking it away; the text says so."""


def lock_directory(path: str) -> int:
    """
    Keep a directory for a command that fills it or takes it away; a descriptor, to be closed at the end.

    Of a maildir it is ``tmp`` that is locked. Readers and deliveries know nothing of this lock, and are not kept waiting.
    Raises :class:`InUseError`, and OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may have been given another name in between.
        is_it = os.path.samestat(os.fstat(descriptor), os.stat(path))
    except (BlockingIOError, FileNotFoundError):
        is_it = False
    if not is_it:
        os.close(descriptor)
        raise InUseError("mail is being imported or exported there just now: wait for that to end")
    return descriptor


@contextlib.contextmanager
def alone_in(path: str) -> Iterator[None]:
    """Keep a maildir for as long as something is done with it; with one that is not there nobody does anything."""
    tmp = os.path.join(path, "tmp")
    descriptor = lock_directory(tmp) if os.path.isdir(tmp) else -1
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)
