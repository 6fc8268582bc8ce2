"""One reader at a time: the exclusive lock that a POP3 session holds (RFC 1939 4)."""

from __future__ import annotations

import fcntl
import os

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
