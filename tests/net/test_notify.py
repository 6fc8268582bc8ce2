"""sd_notify(3): what reaches the service manager."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.net.notify import Notifier


class NotifierTests(SynchronousTestCase):
    """A service manager in the shape of a datagram socket."""

    def manager(self) -> tuple[socket.socket, str]:
        """A socket to listen at, and its path."""
        # The path must be short: trial's own directories may be too deep for a UNIX socket.
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = str(Path(directory.name) / "notify")
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(path)
        manager.setblocking(False)
        self.addCleanup(manager.close)
        return manager, path

    def test_words(self) -> None:
        """Each state has its word."""
        manager, path = self.manager()
        notifier = Notifier({"NOTIFY_SOCKET": path})
        notifier.ready()
        notifier.reloading(1.5)
        notifier.alive()
        notifier.stopping()
        self.assertEqual(
            [manager.recv(100) for _ in range(4)],
            [b"READY=1", b"RELOADING=1\nMONOTONIC_USEC=1500000", b"WATCHDOG=1", b"STOPPING=1"],
        )

    def test_abstract_socket(self) -> None:
        """An address that begins with an at-sign is in the abstract name space."""
        name = f"hermes-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind("\0" + name)
            manager.setblocking(False)
            Notifier({"NOTIFY_SOCKET": "@" + name}).ready()
            self.assertEqual(manager.recv(100), b"READY=1")

    def test_nobody_listens(self) -> None:
        """A service manager that has gone does no harm."""
        notifier = Notifier({"NOTIFY_SOCKET": "/nonexistent/socket", "WATCHDOG_USEC": "2000000"})
        notifier.ready()
        self.assertEqual(notifier.watchdog_seconds, 1.0)

    def test_watchdog(self) -> None:
        """The watchdog is for the process named, and half its time is the pause."""
        here = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "60000000"}
        found = [
            Notifier({**here, **more}).watchdog_seconds
            for more in ({}, {"WATCHDOG_PID": str(os.getpid())}, {"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"})
        ]
        self.assertEqual(found, [30.0, 30.0, None, None])
        self.assertEqual(Notifier({"WATCHDOG_USEC": "60000000"}).watchdog_seconds, None)
