"""What comes of a queued message: how much of that is looked at."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.core.header_facts import MAX_HEADER_OCTETS
from hermes.core.message import Content
from hermes.queue.derived import beginning_of
from tests.support.queue_site import MemoryReader, Site


class CountingReader(MemoryReader):
    """Counts the octets that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    @override
    async def chunks(self, content: Content, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Pieces of 10,000 octets."""
        async for piece in super().chunks(content, offset):
            self.read += len(piece)
            yield piece


class BeginningTests(SynchronousTestCase):
    """beginning_of()."""

    def test_bounded(self) -> None:
        """All of a message that is as long as a header may be; of a longer one that much, and not many more octets are read."""
        for octets in (MAX_HEADER_OCTETS - 1, MAX_HEADER_OCTETS, MAX_HEADER_OCTETS + 1, 10 * MAX_HEADER_OCTETS):
            reader, text = CountingReader(), bytes(octets)
            message = Site().message("x@example.net", octets=text)
            beginning = self.successResultOf(Deferred.fromCoroutine(beginning_of(reader, message)))
            self.assertEqual(beginning, text[:MAX_HEADER_OCTETS])
            self.assertLess(reader.read, MAX_HEADER_OCTETS + 10_000)
