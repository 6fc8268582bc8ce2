"""
Bodies that are too large for a row: one file each, complete and durable before the message exists.

The steps that touch the disk are methods of :class:`Disk`, one each, so that tests can stop the process between any two
of them. Everything here runs in a thread that may block; :mod:`hermes.spool.body_stream` is the reactor's side.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable

from hermes.core.identifiers import is_queue_id

#: The directory of the body files. They are spread over directories below it by the last two characters of their queue
#: id, which change fastest: 1024 directories at most, of some hundred files each in the largest queue.
BODIES = "bodies"

#: What a file may hold before it is brought to the disk. It bounds how long the last fsync of a large message takes, for
#: which the bodies of all others wait.
SYNC_OCTETS = 8 * 1024 * 1024


class Disk:
    """The disk steps of the spool."""

    def make_directory(self, path: str) -> None:
        """Create a directory, unless it is there."""
        os.makedirs(path, mode=0o700, exist_ok=True)

    def open(self, path: str) -> int:
        """Create a file that was not there, for writing."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, octets: bytes) -> None:
        """Append all of the octets."""
        view = memoryview(octets)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Bring what was written to the disk."""
        os.fsync(descriptor)

    def sync_directory(self, path: str) -> None:
        """Bring the names in a directory to the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(path)

    def commit(self, connection: sqlite3.Connection) -> None:
        """Make a transaction durable."""
        connection.execute("COMMIT")


class BodyFiles:
    """All body files of a spool directory."""

    def __init__(self, directory: str, disk: Disk) -> None:
        self._directory = os.path.join(directory, BODIES)
        self._disk = disk
        #: Directories whose names are known to be on disk.
        self._known: set[str] = set()

    def path(self, queue_id: str) -> str:
        """The file of a queue id."""
        return os.path.join(self._directory, queue_id[-2:], queue_id)

    def prepare(self) -> None:
        """Make the directory, and make sure that the names in it are on disk."""
        self._disk.make_directory(self._directory)
        self._disk.sync_directory(os.path.dirname(self._directory))
        self._disk.sync_directory(self._directory)
        self._known = {entry.path for entry in os.scandir(self._directory)}

    def create(self, queue_id: str) -> BodyFile:
        """Begin a file."""
        path = self.path(queue_id)
        directory = os.path.dirname(path)
        if directory not in self._known:
            self._disk.make_directory(directory)
            self._disk.sync_directory(self._directory)
            self._known.add(directory)
        return BodyFile(path, self._disk)

    def remove(self, queue_id: str) -> None:
        """Remove the file of a message that is gone; it may be gone too."""
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(self.path(queue_id))

    def found(self) -> set[str]:
        """The queue ids of all files that are there."""
        return {
            file.name
            for directory in os.scandir(self._directory)
            if directory.is_dir()
            for file in os.scandir(directory.path)
            if is_queue_id(file.name)
        }


class BodyFile:
    """One file while it is being written."""

    def __init__(self, path: str, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._unsynced = 0
        self._descriptor: int | None = disk.open(path)

    def write(self, octets: bytes) -> None:
        """Append octets."""
        assert self._descriptor is not None
        self._disk.write(self._descriptor, octets)
        self._unsynced += len(octets)
        if self._unsynced >= SYNC_OCTETS:
            self._disk.sync(self._descriptor)
            self._unsynced = 0

    def finish(self) -> None:
        """Make it durable: first the octets, then the name."""
        assert self._descriptor is not None
        self._disk.sync(self._descriptor)
        self._close()
        self._disk.sync_directory(os.path.dirname(self._path))

    def discard(self) -> None:
        """Remove it, however far it has come."""
        self._close()
        self._disk.unlink(self._path)

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


def perform_each(steps: Iterable[Callable[[], object]]) -> list[object]:
    """What the thread of the body files does with a group of steps: each by itself, a fault harms only its own."""
    results: list[object] = []
    for step in steps:
        try:
            results.append(step())
        except Exception as error:
            results.append(error)
    return results
