"""
Small messages that the system has in memory (:mod:`hermes.disk.in_memory`), read without waiting for a disk.

Where that cannot be, the thread reads them as it reads large messages.
"""

from __future__ import annotations

import errno
import os
import stat

from hermes.disk.in_memory import READ_IN_MEMORY, ReadInMemory

#: What is copied at once on the reactor's thread, in some microseconds: as much as one piece of a message that is streamed.
MAX_OCTETS = 64 * 1024

#: A link is not the message that was listed, and what has become a pipe must not hold up who opens it.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class CachedFiles:
    """Reads small files, on the reactor's thread alone."""

    def __init__(self, read: ReadInMemory | None = READ_IN_MEMORY) -> None:
        self._read = read
        self._room = memoryview(bytearray(MAX_OCTETS))

    def octets(self, path: bytes) -> bytes | None:
        """
        All of a file; None when it is large, not in memory, no file, not there or not to be read: then ask in the other way.

        To open a file of this machine takes what ``lstat`` takes, its directory and its inode, and nothing else from a disk.
        """
        if self._read is None:
            return None
        try:
            descriptor = os.open(path, _FLAGS)
        except OSError:
            return None
        try:
            status = os.fstat(descriptor)
            if status.st_size > MAX_OCTETS or not stat.S_ISREG(status.st_mode):
                return None
            count = self._read(descriptor, self._room, 0)
        except OSError as fault:
            if fault.errno == errno.EOPNOTSUPP:
                # A file system that cannot say whether it would wait is not asked for each message.
                self._read = None
            return None
        finally:
            os.close(descriptor)
        # Fewer octets: the rest is not in memory.
        return bytes(self._room[:count]) if count == status.st_size else None
