"""
What has been imported into a mailbox: a line in a file of the maildir for each message, so that none comes twice.

A message that its owner has fetched and deleted since must not come again, so the mailbox itself cannot tell. The file goes where
the maildir goes; without it messages that are still there are known by their names, and others would come again. It is locked
while somebody imports.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from hermes.config.durable import sync_directory
from hermes.mailbox import maildir
from hermes.mailbox.lock import lock_directory

#: The file in the maildir. Other programs pass over names that they do not know beside new, cur and tmp.
FILE = "hermes-imported"

#: Messages remembered: as many as a mailbox is listed with. They take 33 MB, and some 100 MB of memory while somebody imports.
MAX_REMEMBERED = 1_000_000

_LINE_OCTETS = 2 * 16 + 1


class ImportRecordError(ValueError):
    """The record cannot be used; the text says what to do."""


class ImportRecord:
    """
    The record of the maildir at ``path``, which must be there, for one import at a time: it raises
    :class:`hermes.mailbox.lock.InUseError`.

    ``known`` are the identities, as hexadecimal digits, of what has been imported.
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.join(path, FILE)
        self._descriptor = -1
        self._lock = lock_directory(os.path.join(path, "tmp"))
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, maildir.FILE_MODE)
            self.known = self._read()
            sync_directory(path)
        except BaseException:
            self.close()
            raise

    def _read(self) -> set[str]:
        size = os.fstat(self._descriptor).st_size
        if size > MAX_REMEMBERED * _LINE_OCTETS:
            raise ImportRecordError(
                f"{MAX_REMEMBERED} messages have been imported into this mailbox, and no more can be remembered: move "
                f"{self._path} away to import others; what was imported before then comes again"
            )
        with open(self._descriptor, "rb", closefd=False) as file:
            lines = file.read().decode("ascii", "replace").split("\n")
        # The last line is empty, or was being written when a process died.
        torn = len(lines.pop())
        if any(len(line) != _LINE_OCTETS - 1 for line in lines):
            raise ImportRecordError(
                f"{self._path} is damaged: move it away; what is not in the mailbox any more then comes again"
            )
        if torn:
            os.ftruncate(self._descriptor, size - torn)
        return set(lines)

    def add(self, identities: Iterable[str]) -> None:
        """Remember more, durably."""
        octets = "".join(f"{each}\n" for each in identities).encode("ascii")
        while octets:
            octets = octets[os.write(self._descriptor, octets) :]
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let others have it; harmless when it is closed already."""
        descriptors, self._descriptor, self._lock = (self._descriptor, self._lock), -1, -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)
