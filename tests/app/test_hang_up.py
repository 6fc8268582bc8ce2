"""SIGHUP: each is a reload, at its time."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, capturedLogs, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.early_hang_up import expected
from hermes.app.hang_up import HangUps
from hermes.spool.store import Spool
from tests.support.server import ServerTestCase


class Reactor:
    """The only thread."""

    def callFromThread(self, function: Callable[[], None]) -> None:
        """Call it at once."""
        function()


class HangUpsTests(SynchronousTestCase):
    """The module, with reloads that end when the test says so."""

    def setUp(self) -> None:
        """Started, and stopped at the end."""
        before = signal.getsignal(signal.SIGHUP)
        self.reloads: list[Deferred[str]] = []
        self.others: list[Deferred[None]] = []
        self.hang_ups = HangUps(Reactor(), self.reload, self.idle)
        self.successResultOf(Deferred.fromCoroutine(self.hang_ups.start()))

        def stop() -> None:
            self.successResultOf(Deferred.fromCoroutine(self.hang_ups.stop()))
            self.assertIs(signal.getsignal(signal.SIGHUP), before)

        self.addCleanup(stop)

    async def reload(self) -> str:
        """Goes on until the test ends it."""
        self.reloads.append(Deferred())
        return await self.reloads[-1]

    async def idle(self) -> None:
        """Waits for what the test has put there."""
        for other in self.others:
            await other

    def test_during_the_start(self) -> None:
        """Those that come during the start are one reload when that is over; without any there is none."""
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        self.assertEqual(self.reloads, [])
        self.hang_ups.ready()
        self.assertEqual(len(self.reloads), 1)
        self.reloads[0].callback("")
        self.assertEqual(len(self.reloads), 1)

    def test_before_the_start(self) -> None:
        """One that comes before there is a server is obeyed by it; what took it takes it again when the server has stopped."""
        before = signal.getsignal(signal.SIGHUP)
        for comes in (True, False):
            self.reloads.clear()
            with expected():
                early = signal.getsignal(signal.SIGHUP)
                if comes:
                    signal.raise_signal(signal.SIGHUP)
                hang_ups = HangUps(Reactor(), self.reload, self.idle)
                self.successResultOf(Deferred.fromCoroutine(hang_ups.start()))
                hang_ups.ready()
                self.assertEqual(len(self.reloads), int(comes))
                for each in self.reloads:
                    each.callback("")
                self.successResultOf(Deferred.fromCoroutine(hang_ups.stop()))
                self.assertIs(signal.getsignal(signal.SIGHUP), early)
                signal.raise_signal(signal.SIGHUP)
                self.assertEqual(len(self.reloads), int(comes))
            self.assertIs(signal.getsignal(signal.SIGHUP), before)

    def test_one_after_the_other(self) -> None:
        """Those that come while a reload goes on are one more after it; whenever one comes afterwards it is another."""
        self.hang_ups.ready()
        self.assertEqual(self.reloads, [])
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
        self.assertEqual(len(self.reloads), 1)
        self.reloads[0].callback("")
        self.assertEqual(len(self.reloads), 2)
        self.reloads[1].callback("")
        self.assertEqual(len(self.reloads), 2)
        signal.raise_signal(signal.SIGHUP)
        self.assertEqual(len(self.reloads), 3)
        self.reloads[2].callback("")

    def test_after_another(self) -> None:
        """A reload that somebody else has asked for is waited for."""
        self.hang_ups.ready()
        self.others.append(Deferred())
        signal.raise_signal(signal.SIGHUP)
        self.assertEqual(self.reloads, [])
        self.others[0].callback(None)
        self.assertEqual(len(self.reloads), 1)
        self.reloads[0].callback("")

    def test_refused(self) -> None:
        """A reload that is refused is an ordinary event without a traceback, and the next one is none the worse."""
        self.hang_ups.ready()
        signal.raise_signal(signal.SIGHUP)
        with capturedLogs() as said:
            self.reloads[0].errback(ValueError("the file is wrong"))
        self.assertEqual([each["reason"] for each in said], ["the file is wrong"])
        self.assertNotIn("log_failure", said[0])
        signal.raise_signal(signal.SIGHUP)
        self.reloads[1].callback("")

    def test_fault(self) -> None:
        """A fault in a reload is logged with its traceback and harms nothing else."""
        self.hang_ups.ready()
        signal.raise_signal(signal.SIGHUP)
        self.reloads[0].errback(RuntimeError("a fault"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        signal.raise_signal(signal.SIGHUP)
        self.reloads[1].callback("")


class ServerTests(ServerTestCase):
    """In a whole server."""

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for what the reactor does."""
        while not holds():
            await deferLater(reactor, 0.001)

    async def test_from_beginning_to_end(self) -> None:
        """During the start and during the stop it ends nothing; what was edited during the start is in force after it."""
        server = self.make()
        self.addCleanup(server.service.stopService)
        opening: Deferred[None] = Deferred()
        open_spool, close_spool = Spool.open, Spool.close
        said: list[LogEvent] = []

        def refused() -> list[str]:
            return [event["reason"] for event in said if "reason" in event]

        async def open_slowly(spool: Spool) -> None:
            await opening
            await open_spool(spool)

        async def close(spool: Spool) -> None:
            os.kill(os.getpid(), signal.SIGHUP)
            await self.until(refused)
            await close_spool(spool)

        self.patch(Spool, "open", open_slowly)
        self.patch(Spool, "close", close)
        server.service.startService()
        path = Path(self.path)
        path.write_text(path.read_text().replace("mail.example.org", "mx.example.org"))
        os.kill(os.getpid(), signal.SIGHUP)
        await self.until(lambda: server._hang_ups._wanted)
        self.assertEqual(server.settings.hermes.hostname, "mail.example.org")
        opening.callback(None)
        await self.until(lambda: server.settings.hermes.hostname == "mx.example.org")
        await server._reload.idle()
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        await server.service.stopService()
        self.assertEqual(refused(), ["the server is stopping: it reads the configuration when it starts again"])
