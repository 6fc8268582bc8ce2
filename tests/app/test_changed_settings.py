"""Reloads, one at a time, and what is told of them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.changed_settings import Reload
from hermes.config.loader import load
from hermes.config.schema import Settings
from hermes.net.notify import Notifier


class ReloadTests(SynchronousTestCase):
    """Reload.run() and Reload.families()."""

    def test_goes_on(self) -> None:
        """While a reload goes on the one before is the last that is told of; nobody is warned of one that succeeds."""
        path = Path(self.mktemp())
        path.write_text("")
        before, service, taking = load(str(path)), Service(), [Deferred[None](), Deferred[None]()]
        waiting = iter(taking)

        async def take(settings: Settings) -> None:
            await next(waiting)

        service.startService()
        reload = Reload(str(path), service, Notifier({}), take, lambda: 1.0)

        def succeeded() -> float:
            return reload.families()[0].samples[0].value

        first = Deferred.fromCoroutine(reload.run(before))
        self.assertEqual(succeeded(), 1)
        second = Deferred.fromCoroutine(reload.run(before))
        self.assertIn("going on already", str(self.failureResultOf(second, ValueError).value))
        self.assertEqual(succeeded(), 1)
        taking[0].errback(ValueError("it cannot be taken"))
        self.failureResultOf(first, ValueError)
        self.assertEqual(succeeded(), 0)
        self.successResultOf(Deferred.fromCoroutine(reload.idle()))
        third = Deferred.fromCoroutine(reload.run(before))
        idle = [Deferred.fromCoroutine(reload.idle()) for _ in range(2)]
        self.assertNoResult(idle[0])
        self.assertEqual(succeeded(), 0)
        taking[1].callback(None)
        self.successResultOf(third)
        for each in idle:
            self.successResultOf(each)
        self.assertEqual(succeeded(), 1)

    def test_threads_have_ended(self) -> None:
        """A reload that finds no threads any more is told of the stop; without a stop that is a fault."""
        path = Path(self.mktemp())
        path.write_text("")
        before, service = load(str(path)), Service()

        async def take(settings: Settings) -> None:
            if stopping:
                _ = service.stopService()
            raise RuntimeError("worker mailboxes is stopping")

        reload = Reload(str(path), service, Notifier({}), take, lambda: 1.0)
        service.startService()
        stopping: list[None] = []
        for kind in (RuntimeError, ValueError):
            self.failureResultOf(Deferred.fromCoroutine(reload.run(before)), kind)
            self.assertFalse(reload.succeeded)
            stopping.append(None)

    def test_stops_meanwhile(self) -> None:
        """The service manager is told that all is well again, unless it has been told of a stop meanwhile."""
        path = Path(self.mktemp())
        path.write_text("")
        before, service = load(str(path)), Service()
        taking: list[Deferred[None]] = []

        async def take(settings: Settings) -> None:
            taking.append(Deferred())
            await taking[-1]

        name = f"@hermes-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind("\0" + name[1:])
            manager.setblocking(False)

            def told() -> str:
                try:
                    return manager.recv(100).decode().partition("\n")[0]
                except BlockingIOError:
                    return ""

            service.startService()
            reload = Reload(str(path), service, Notifier({"NOTIFY_SOCKET": name}), take, lambda: 1.0)
            for stops in (False, True):
                reloading = Deferred.fromCoroutine(reload.run(before))
                self.assertEqual(told(), "RELOADING=1")
                if stops:
                    _ = service.stopService()
                taking[-1].callback(None)
                self.successResultOf(reloading)
                self.assertEqual(told(), "" if stops else "READY=1")
