"""Delivery, passages for administrators, and signals."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.modules import Delivery, Passage, Signals
from hermes.net.listen import ListenError
from hermes.net.notify import Notifier

NO_SOCKETS: Mapping[str, int] = {}


class DeliveryTests(SynchronousTestCase):
    """The relay manager and its agents."""

    def test_order(self) -> None:
        """Leave is taken of other servers when no delivery needs them any more."""
        log: list[str] = []

        class Relay:
            def start(self) -> None:
                log.append("start")

            async def stop(self) -> None:
                log.append("stop")

        async def leave() -> None:
            log.append("leave")

        relay: Any = Relay()
        delivery = Delivery(lambda: [relay, relay], leave)
        self.successResultOf(Deferred.fromCoroutine(delivery.start()))
        self.successResultOf(Deferred.fromCoroutine(delivery.stop()))
        self.assertEqual(log, ["start", "start", "stop", "stop", "leave"])


class PassageTests(SynchronousTestCase):
    """The control socket, at a reactor in memory."""

    def setUp(self) -> None:
        """Bound."""
        self.directory = Path(mkdtemp(prefix="hermes-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = self.directory / "control.sock"
        self.reactor = MemoryReactorClock()
        self.passage = Passage("control", self.reactor, f"unix:{self.path}", object())

    def test_private(self) -> None:
        """Nobody but the server's own user may come in, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        self.passage.bind(NO_SOCKETS.__getitem__)
        self.addCleanup(self.passage.abandon)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_accepting(self) -> None:
        """It is accepted at when the module starts, and not when it has stopped."""
        stopped: list[object] = []
        self.passage.bind(NO_SOCKETS.__getitem__)
        # The reactor in memory knows TCP ports only.
        self.patch(self.reactor, "adoptStreamPort", lambda *arguments: _Port(stopped))
        self.successResultOf(Deferred.fromCoroutine(self.passage.start()))
        self.successResultOf(Deferred.fromCoroutine(self.passage.stop()))
        self.assertEqual(len(stopped), 1)

    def test_taken(self) -> None:
        """A place that is taken is an error that names it."""
        self.passage.bind(NO_SOCKETS.__getitem__)
        self.addCleanup(self.passage.abandon)
        other = Passage("manhole", self.reactor, f"unix:{self.path}", object())
        with self.assertRaisesRegex(ListenError, f"unix:{self.path}: something else listens there"):
            other.bind(NO_SOCKETS.__getitem__)
        other.abandon()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.path))

    def test_abandoned(self) -> None:
        """A start that never comes leaves no socket behind; a start without a socket does nothing."""
        self.passage.bind(NO_SOCKETS.__getitem__)
        self.passage.abandon()
        self.passage.abandon()
        self.assertEqual(list(self.directory.iterdir()), [])
        self.successResultOf(Deferred.fromCoroutine(self.passage.start()))
        self.successResultOf(Deferred.fromCoroutine(self.passage.stop()))

    def test_tcp(self) -> None:
        """A passage may be a port too."""
        passage = Passage("manhole", self.reactor, "127.0.0.1:0", object())
        passage.bind(NO_SOCKETS.__getitem__)
        self.successResultOf(Deferred.fromCoroutine(passage.start()))
        self.assertEqual(len(self.reactor.adoptedPorts), 1)


class _Port:
    """A port that remembers its end."""

    def __init__(self, stopped: list[object]) -> None:
        self._stopped = stopped

    def stopListening(self) -> None:
        """End."""
        self._stopped.append(self)


class SignalsTests(SynchronousTestCase):
    """What systemd is told."""

    def test_systemd(self) -> None:
        """The service manager hears when the server is ready, as does who waits for that, and when the stop begins."""
        directory = mkdtemp(prefix="hermes-")
        self.addCleanup(shutil.rmtree, directory)
        ready: list[bytes] = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"{directory}/notify")
            manager.setblocking(False)
            signals = Signals(
                lambda: ready.append(manager.recv(100)), Notifier({"NOTIFY_SOCKET": f"{directory}/notify"})
            )
            self.successResultOf(Deferred.fromCoroutine(signals.start()))
            self.assertEqual(ready, [b"READY=1"])
            self.successResultOf(Deferred.fromCoroutine(signals.stop()))
            self.assertEqual(manager.recv(100), b"STOPPING=1")
