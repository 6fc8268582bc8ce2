"""Tests of files that are whole or not there."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path
from unittest import SkipTest, mock

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.durable import write_durably


class DurableTests(SynchronousTestCase):
    """Putting octets at a path."""

    def setUp(self) -> None:
        """Make a directory."""
        self.directory = Path(tempfile.mkdtemp(prefix="hermes-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = str(self.directory / "file")

    def test_written(self) -> None:
        """The file has the octets and exactly the rights, whatever the umask; nothing else is left."""
        for mode in (0o600, 0o644, 0o666):
            write_durably(self.path, b"octets", mode)
            self.assertEqual(Path(self.path).read_bytes(), b"octets")
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), mode)
        self.assertEqual(os.listdir(self.directory), ["file"])

    def test_order_of_steps(self) -> None:
        """The octets are on disk before the name leads to them, and the name before the caller goes on."""
        steps: list[str] = []
        fsync, replace = os.fsync, os.replace

        def synced(descriptor: int) -> None:
            steps.append("fsync directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
            fsync(descriptor)

        def replaced(source: str, target: str) -> None:
            steps.append("rename")
            replace(source, target)

        with mock.patch("os.fsync", synced), mock.patch("os.replace", replaced):
            write_durably(self.path, b"octets", 0o600)
        self.assertEqual(steps, ["fsync file", "rename", "fsync directory"])

    def test_failure_at_each_step(self) -> None:
        """When a step fails, the old file stays as it was and nothing is left beside it."""
        write_durably(self.path, b"old", 0o600)
        for step in ("os.fchmod", "os.fsync", "os.replace"):
            with mock.patch(step, side_effect=OSError(5, "Input/output error")):
                self.assertRaises(OSError, write_durably, self.path, b"new", 0o600)
            self.assertEqual(Path(self.path).read_bytes(), b"old", step)
            self.assertEqual(os.listdir(self.directory), ["file"], step)

    def test_what_failed(self) -> None:
        """An error names the file that was to be written, in whichever step it came."""
        for step in ("os.fchmod", "os.fsync", "os.replace"):
            with mock.patch(step, side_effect=OSError(28, "No space left on device")):
                error = self.assertRaises(OSError, write_durably, self.path, b"new", 0o600)
            self.assertEqual((error.filename, error.errno), (self.path, 28), step)
        missing = str(self.directory / "missing" / "file")
        self.assertEqual(self.assertRaises(FileNotFoundError, write_durably, missing, b"new", 0o600).filename, missing)

    def test_owner(self) -> None:
        """A file that root writes for somebody else is theirs."""
        if os.geteuid() != 0:
            raise SkipTest("only root can give files away")
        write_durably(self.path, b"octets", 0o600, owner=(12345, 54321))
        status = os.stat(self.path)
        self.assertEqual((status.st_uid, status.st_gid), (12345, 54321))

    def test_owner_without_the_right(self) -> None:
        """Who may not give files away keeps them."""
        with mock.patch("os.fchown", side_effect=PermissionError(1, "Operation not permitted")):
            write_durably(self.path, b"octets", 0o600, owner=(12345, 54321))
        self.assertEqual(os.stat(self.path).st_uid, os.geteuid())
