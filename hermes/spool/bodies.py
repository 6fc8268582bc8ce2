"""
Bodies that are too large for a row: one file each, complete and durable before the message exists.

The steps that touch the disk are methods of :class:`Disk`, one each, so that tests can stop the process between any two
of them. Everything here runs in a thread that may block; :mod:`hermes.spool.body_stream` is the reactor's side.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial

from hermes.config.durable import sync_directory
from hermes.core.identifiers import is_queue_id
from hermes.spool.figures import Faults

#: The directory of the body files.
BODIES = "bodies"

#: They are spread over at most 1024 directories below it by two characters of their queue id, those that change every 18
#: minutes and come round in 12 days: so what comes in together is in one directory, and made durable by one fsync of it.
_SPREAD = slice(4, 6)

#: What a file may hold before it is brought to the disk. It bounds how long the last fsync of a large message takes, for
#: which the bodies of all others wait.
SYNC_OCTETS = 8 * 1024 * 1024


#: What is moved at once when octets are inserted: memory for one message at a time, in one thread.
MOVED_OCTETS = 1024 * 1024


class Disk:
    """The disk steps of the spool."""

    def make_directory(self, path: str) -> None:
        """Create a directory, unless it is there."""
        os.makedirs(path, mode=0o700, exist_ok=True)

    def open(self, path: str) -> int:
        """Create a file that was not there, for writing and for moving what was written."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, octets: bytes) -> None:
        """Append all of the octets."""
        view = memoryview(octets)
        while view:
            view = view[os.write(descriptor, view) :]

    def move(self, descriptor: int, begin: int, end: int, distance: int) -> None:
        """Move what stands from ``begin`` to ``end`` towards the end of the file."""
        while end > begin:
            start = max(begin, end - MOVED_OCTETS)
            view = memoryview(_read(descriptor, start, end - start))
            written = 0
            while written < len(view):
                written += os.pwrite(descriptor, view[written:], start + distance + written)
            end = start

    def write_at(self, descriptor: int, offset: int, octets: bytes) -> None:
        """Write over what stands at an offset."""
        view = memoryview(octets)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written

    def begin_writing(self, descriptor: int, offset: int, octets: int) -> None:
        """Let the disk begin with what was just written, so that the fsync finds the work under way."""
        # Only advice; a file system that takes none is only slower. What is on its way to the disk is not forgotten by it.
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, offset, octets, os.POSIX_FADV_DONTNEED)

    def sync(self, descriptor: int) -> None:
        """Bring what was written to the disk."""
        os.fsync(descriptor)

    def sync_directory(self, path: str) -> None:
        """Bring the names in a directory to the disk."""
        sync_directory(path)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(path)

    def commit(self, connection: sqlite3.Connection) -> None:
        """Make a transaction durable."""
        connection.execute("COMMIT")


def _read(descriptor: int, offset: int, octets: int) -> bytes:
    parts = []
    while octets:
        part = os.pread(descriptor, octets, offset)
        if not part:
            raise OSError("a body file is shorter than what was written to it")
        parts.append(part)
        offset, octets = offset + len(part), octets - len(part)
    return b"".join(parts)


class BodyFile:
    """One file while it is being written."""

    def __init__(self, path: str, disk: Disk) -> None:
        self.directory = os.path.dirname(path)
        self._path = path
        self._disk = disk
        self._size = 0
        self._synced = 0
        self._descriptor: int | None = disk.open(path)

    def write(self, octets: bytes) -> None:
        """Append octets."""
        descriptor = self._opened()
        self._disk.write(descriptor, octets)
        self._disk.begin_writing(descriptor, self._size, len(octets))
        self._size += len(octets)
        if self._size - self._synced >= SYNC_OCTETS:
            self._disk.sync(descriptor)
            self._synced = self._size

    def insert(self, offset: int, octets: bytes) -> None:
        """Put octets between those that were written. The message does not exist yet, so a crash in the middle harms nothing."""
        descriptor = self._opened()
        self._disk.move(descriptor, offset, self._size, len(octets))
        self._disk.write_at(descriptor, offset, octets)
        self._size += len(octets)
        os.lseek(descriptor, 0, os.SEEK_END)

    def sync(self) -> None:
        """Make the octets durable; there will be no more."""
        self._disk.sync(self._opened())
        self._close()

    def discard(self) -> None:
        """Remove it, however far it has come."""
        self._close()
        self._disk.unlink(self._path)

    def _opened(self) -> int:
        if self._descriptor is None:
            raise ValueError(f"body file {self._path} is closed")
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


#: What the thread is asked to do: something, or to make a file durable.
Step = Callable[[], object] | BodyFile


class BodyFiles:
    """All body files of a spool directory."""

    def __init__(self, directory: str, disk: Disk) -> None:
        self._directory = os.path.join(directory, BODIES)
        self._disk = disk
        self.faults = Faults()
        #: Directories whose names are known to be on disk.
        self._known: set[str] = set()

    def path(self, queue_id: str) -> str:
        """The file of a queue id."""
        return os.path.join(self._directory, queue_id[_SPREAD], queue_id)

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

    def perform(self, steps: Sequence[Step]) -> list[object]:
        """
        What the thread does with a group of steps; one result each, a fault harms only its own.

        Files that are to be made durable come last: their octets have been on the way to the disk while everything else was
        done, and the first fsync takes much of the work from the others. A file and a directory are synced in this order,
        so that no name leads to half a message.
        """
        results: list[object] = [None if isinstance(step, BodyFile) else _result(step) for step in steps]
        finished: dict[str, list[int]] = {}
        for number, file in enumerate(steps):
            if isinstance(file, BodyFile):
                results[number] = _result(file.sync)
                if results[number] is None:
                    finished.setdefault(file.directory, []).append(number)
        for directory, numbers in finished.items():
            fault = _result(partial(self._disk.sync_directory, directory))
            for number in numbers:
                results[number] = fault
        for result in results:
            if isinstance(result, OSError):
                self.faults.count(result)
        return results


def _result(step: Callable[[], object]) -> object:
    try:
        return step()
    except Exception as error:
        return error
