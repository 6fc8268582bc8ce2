"""Files that are read without waiting for a disk."""

from __future__ import annotations

import errno
import os

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.mailbox.cached import MAX_OCTETS, CachedFiles


class CachedFilesTests(SynchronousTestCase):
    """All of a small file, or nothing; and nothing stays open."""

    @override
    def setUp(self) -> None:
        self.asked = 0
        self.fault: OSError | None = None
        #: Octets that are not in memory.
        self.missing = 0
        self.cached = CachedFiles(self.read)
        self.path = os.fsencode(self.mktemp())
        descriptors = os.listdir("/dev/fd")
        self.addCleanup(lambda: self.assertEqual(len(os.listdir("/dev/fd")), len(descriptors)))

    def read(self, descriptor: int, room: bytearray | memoryview, position: int) -> int:
        """What the system does with a file that it has in memory, as far as the test says so."""
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return max(0, os.preadv(descriptor, (room,), position) - self.missing)

    def put(self, octets: bytes) -> None:
        """Write the file."""
        with open(self.path, "wb") as file:
            file.write(octets)

    def test_limit(self) -> None:
        """A file of nothing, of one octet, and of just below and exactly the limit is read; a longer one is not begun."""
        for count in (0, 1, MAX_OCTETS - 1, MAX_OCTETS):
            octets = os.urandom(count)
            self.put(octets)
            self.assertEqual(self.cached.octets(self.path), octets)
        self.assertEqual(self.asked, 4)
        self.put(bytes(MAX_OCTETS + 1))
        self.assertIsNone(self.cached.octets(self.path))
        self.assertEqual(self.asked, 4)

    def test_one_after_another(self) -> None:
        """What one file leaves behind is not in the next, and what was given out stays as it was."""
        self.put(b"a long message\n")
        first = self.cached.octets(self.path)
        self.put(b"short\n")
        self.assertEqual(self.cached.octets(self.path), b"short\n")
        self.assertEqual(first, b"a long message\n")

    def test_by_the_system(self) -> None:
        """The system gives all of a file, or says that it cannot; where it cannot say, it is not asked."""
        self.put(b"octets\n")
        for _ in range(2):
            self.assertIn(CachedFiles().octets(self.path), (b"octets\n", None))
        self.assertIsNone(CachedFiles(None).octets(self.path))

    def test_not_in_memory(self) -> None:
        """What would have to be waited for is not given, in whole or in part; it may be there the next time."""
        self.put(b"octets\n")
        self.fault = BlockingIOError(errno.EAGAIN, "not now")
        self.assertIsNone(self.cached.octets(self.path))
        self.fault = None
        self.missing = 1
        self.assertIsNone(self.cached.octets(self.path))
        self.missing = 0
        self.assertEqual(self.cached.octets(self.path), b"octets\n")

    def test_not_supported(self) -> None:
        """A file system that does not know what it has in memory is asked once."""
        self.put(b"octets\n")
        self.fault = OSError(errno.EOPNOTSUPP, "not supported")
        for _ in range(2):
            self.assertIsNone(self.cached.octets(self.path))
        self.assertEqual(self.asked, 1)

    def test_no_file(self) -> None:
        """What is not there, is a directory, or has become a link or a pipe is neither read nor waited for."""
        self.assertIsNone(self.cached.octets(self.path))
        self.put(b"octets\n")
        link = self.path + b".link"
        os.symlink(os.path.abspath(self.path), link)
        pipe = self.path + b".pipe"
        os.mkfifo(pipe)
        for path in (link, pipe, os.path.dirname(self.path) or b"."):
            self.assertIsNone(self.cached.octets(path))
        self.assertEqual(self.asked, 0)
