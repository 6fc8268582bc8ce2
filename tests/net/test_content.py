"""Reading content in pieces."""

from __future__ import annotations

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
    """Performs at once."""

    def submit(self, item: Any) -> Deferred[Any]:
        """Do it."""
        (result,) = perform_each([item])
        if isinstance(result, Exception):
            failed: Deferred[Any] = Deferred()
            failed.errback(Failure(result))
            return failed
        return succeed(result)


class ContentReaderTests(SynchronousTestCase):
    """From memory and from files."""

    def read(self, content: Content, offset: int = 0) -> list[bytes]:
        """All pieces."""
        reader = ContentReader(Worker())  # type: ignore[arg-type]
        self.assertTrue(verifyObject(IContentReader, reader))

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
