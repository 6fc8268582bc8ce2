"""Reading content in pieces."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.jobs import perform_each
from hermes.core.message import Content
from hermes.interfaces import IContentReader
from hermes.net.content import PIECE_OCTETS, ContentReader


class Worker:
    """Performs at once; ``turns`` counts how often."""

    turns = 0

    def submit(self, item: Any) -> Deferred[Any]:
        """Do it."""
        self.turns += 1
        (result,) = perform_each([item])
        if isinstance(result, Exception):
            failed: Deferred[Any] = Deferred()
            failed.errback(Failure(result))
            return failed
        return succeed(result)


def read_all(descriptor: int, room: bytearray, position: int) -> int:
    """As a system that has all in memory."""
    return os.preadv(descriptor, [room], position)


def would_wait(descriptor: int, room: bytearray, position: int) -> int:
    """As one that has nothing in memory."""
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def cannot_say(descriptor: int, room: bytearray, position: int) -> int:
    """As a file system that does not know."""
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


class Halves:
    """As a system that has the first half of each piece in memory, and then nothing."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, descriptor: int, room: bytearray, position: int) -> int:
        """Half of it, or nothing."""
        self._calls += 1
        return os.preadv(descriptor, [memoryview(room)[: len(room) // 2]], position) if self._calls % 2 else 0


def open_files() -> list[str]:
    """What this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return found


class ContentReaderTests(SynchronousTestCase):
    """From memory and from files."""

    def read(self, content: Content, offset: int = 0) -> list[bytes]:
        """All pieces."""
        reader = ContentReader(Worker())  # type: ignore[arg-type]
        self.assertTrue(verifyObject(IContentReader, reader))

        return self.all_of(reader, content, offset)

    def all_of(self, reader: ContentReader, content: Content, offset: int = 0) -> list[bytes]:
        """All pieces that a reader gives."""

        async def collect() -> list[bytes]:
            return [piece async for piece in reader.chunks(content, offset)]

        return self.successResultOf(Deferred.fromCoroutine(collect()))

    def content(self, data: bytes, *, file: bool) -> Content:
        """The octets in memory or in a file."""
        if not file:
            return Content(len(data), len(data), 0, data=data)
        path = Path(self.mktemp())
        path.write_bytes(data)
        return Content(len(data), len(data), 0, path=str(path))

    def test_pieces(self) -> None:
        """Nothing is larger than a piece, and nothing is missing, at and around the size of a piece."""
        for file in (False, True):
            for size in (0, 1, PIECE_OCTETS - 1, PIECE_OCTETS, PIECE_OCTETS + 1, 3 * PIECE_OCTETS + 5):
                data = bytes(range(256)) * (size // 256 + 1)
                data = data[:size]
                for offset in (0, 1, 100):
                    pieces = self.read(self.content(data, file=file), offset)
                    self.assertEqual(b"".join(pieces), data[offset:])
                    self.assertTrue(all(0 < len(piece) <= PIECE_OCTETS for piece in pieces))

    def test_in_memory(self) -> None:
        """Behind the first piece only every eighth costs a turn of the thread, as long as the system has the others in memory."""
        data = bytes(range(256)) * (20 * PIECE_OCTETS // 256) + b"end"
        for cached, turns in (
            (read_all, 3),
            (would_wait, 21),
            (cannot_say, 21),
            (None, 21),
            # What is missing of a piece comes with the next, from the thread.
            (Halves(), None),
        ):
            worker = Worker()
            reader = ContentReader(worker, cached)  # type: ignore[arg-type]
            content = self.content(data, file=True)
            pieces = self.all_of(reader, content)
            self.assertEqual(b"".join(pieces), data)
            if turns is not None:
                self.assertEqual(worker.turns, turns)
            self.assertLessEqual(max(map(len, pieces)), PIECE_OCTETS)

    def test_file_changes(self) -> None:
        """A file that another program cuts off while it is read ends there; what it adds is not of the message."""
        for cached in (read_all, None):
            for change, expected in (("truncate", 2), ("append", 3)):
                content = self.content(bytes(3 * PIECE_OCTETS), file=True)
                reader = ContentReader(Worker(), cached)  # type: ignore[arg-type]

                async def collect(
                    content: Content = content, reader: ContentReader = reader, change: str = change
                ) -> int:
                    octets = 0
                    async for piece in reader.chunks(content):
                        if not octets:
                            path = Path(content.path or "")
                            if change == "truncate":
                                os.truncate(path, 2 * PIECE_OCTETS)
                            else:
                                with path.open("ab") as file:
                                    file.write(bytes(PIECE_OCTETS))
                        octets += len(piece)
                    return octets

                self.assertEqual(self.successResultOf(Deferred.fromCoroutine(collect())), expected * PIECE_OCTETS)

    def test_closed(self) -> None:
        """Whoever stops early leaves no file open."""
        reader, content = ContentReader(Worker()), self.content(bytes(3 * PIECE_OCTETS), file=True)  # type: ignore[arg-type]

        async def first() -> list[str]:
            chunks = reader.chunks(content)
            await anext(chunks)
            path = str(Path(content.path or "").resolve())
            self.assertIn(path, open_files())
            await chunks.aclose()
            return [each for each in open_files() if each == path]

        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(first())), [])

    def test_file_is_gone(self) -> None:
        """A file that is not there is an error of the system, for whoever reads."""
        reader = ContentReader(Worker())  # type: ignore[arg-type]

        async def first() -> bytes:
            return await anext(reader.chunks(Content(1, 1, 0, path="/nonexistent")))

        self.failureResultOf(Deferred.fromCoroutine(first()), FileNotFoundError)

    def test_nothing_to_read(self) -> None:
        """Content without octets is a fault of the caller."""
        reader = ContentReader(Worker())  # type: ignore[arg-type]

        async def first() -> bytes:
            return await anext(reader.chunks(Content(1, 1, 0)))

        self.failureResultOf(Deferred.fromCoroutine(first()), ValueError)
