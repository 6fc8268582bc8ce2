"""The drop directories by the clock, and when somebody says that there is something."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.dropping import Dropping
from hermes.config.schema import HermesSettings, Settings
from hermes.config.sections.drop import DropSettings
from hermes.core.dropped import head_of
from hermes.core.envelope import Envelope, Recipient
from tests.services.test_drop import Router
from tests.support.smtp_site import Site
from tests.support.worker import ImmediateWorker

MESSAGE = head_of(Envelope("", (Recipient("alice@example.org"),))) + b"Subject: x\n\nhi\n"
PLAIN = b"From: a@example.org\nTo: alice@example.org\n\nhi\n"


class Spool:
    """Knows nothing, or has a fault."""

    def __init__(self) -> None:
        self.fault: Exception | None = None

    async def track(self, query: str, limit: int) -> list[Any]:
        """Nothing."""
        if self.fault is not None:
            raise self.fault
        return []


class DroppingTests(SynchronousTestCase):
    """The module."""

    def setUp(self) -> None:
        """Two directories, looked at each ten seconds."""
        self.directory, self.queue = (os.path.abspath(self.mktemp()) for _ in range(2))
        os.mkdir(self.queue)
        self.smtp, self.spool, self.clock, self.worker = Site(), Spool(), Clock(), ImmediateWorker()
        drop = DropSettings(directory=self.directory, queues=(self.queue,), poll=10)
        self.settings = Settings(hermes=HermesSettings(hostname="mail.example.org"), drop=drop)
        self.module = self.made()

    def made(self, *, here: bool = True) -> Dropping:
        """A module."""
        circle: Any = SimpleNamespace(collecting_premises=lambda: self.smtp.premises, router=Router())
        spool: Any = self.spool
        return Dropping(self.clock, spool, lambda: (self.settings, circle), here=here, worker=self.worker)

    def start(self) -> None:
        """Start it, to be stopped at the end."""
        self.successResultOf(Deferred.fromCoroutine(self.module.start()))
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(self.module.stop())))

    @property
    def count(self) -> int:
        """How many messages have been taken."""
        return len(self.smtp.spool.committed)

    def leave(self, octets: bytes = MESSAGE, name: str = "abc") -> None:
        """Leave a file."""
        Path(self.directory, "new", name).write_bytes(octets)

    def test_looks(self) -> None:
        """The directory is made at the start; what is left is taken by the next look."""
        self.start()
        self.leave()
        self.clock.advance(9.9)
        self.assertEqual(self.count, 0)
        self.clock.advance(0.2)
        self.assertEqual(self.count, 1)
        self.clock.advance(10)
        self.assertEqual(self.count, 1)

    def test_poll_changed(self) -> None:
        """Another pause holds from the next look on."""
        self.start()
        self.settings = attrs.evolve(self.settings, drop=attrs.evolve(self.settings.drop, poll=60))
        self.clock.advance(10)
        self.leave()
        self.clock.advance(49)
        self.assertEqual(self.count, 0)
        self.clock.advance(1)
        self.assertEqual(self.count, 1)

    def test_two_looks(self) -> None:
        """A file of another program is taken when it has not changed between two looks (Mercury's TwoPasses)."""
        self.start()
        path = Path(self.queue, "m.101")
        path.write_bytes(PLAIN)
        self.clock.advance(10)
        path.write_bytes(PLAIN + b"more\n")
        self.clock.advance(10)
        self.assertEqual(self.count, 0)
        self.clock.advance(10)
        self.assertEqual(self.count, 1)
        self.assertTrue(self.smtp.spool.committed[0].text.endswith("more\n"))

    def test_faults(self) -> None:
        """A fault harms only its own file, and a directory that is away is told of once; the looks go on."""
        self.start()
        os.rmdir(self.queue)
        self.leave()
        self.spool.fault = OSError("the disk is broken")
        for _ in range(3):
            self.clock.advance(10)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 3)
        self.assertEqual(self.count, 0)
        self.spool.fault = None
        os.mkdir(self.queue)
        self.clock.advance(10)
        self.assertEqual(self.count, 1)

    def test_command(self) -> None:
        """Who has just left a file is answered when it has been taken, and told why it is refused; the file is gone then."""
        self.start()
        take = self.module.commands()["drop.take"]
        for octets, refused in ((MESSAGE, ""), (b"nonsense\n", "Expecting value")):
            self.leave(octets)
            answer = self.successResultOf(Deferred.fromCoroutine(take({"name": "abc"})))
            self.assertIn(refused, answer["refused"])
            self.assertEqual((bool(answer["queue_id"]), answer["for_good"]), (not refused, bool(refused)))
            self.assertEqual(os.listdir(os.path.join(self.directory, "new")), [])
        for name in ("../x", "", "."):
            self.failureResultOf(Deferred.fromCoroutine(take({"name": name})), ValueError)

    def test_elsewhere(self) -> None:
        """Of several workers only one looks; without directories nobody does anything."""
        self.module = self.made(here=False)
        self.start()
        self.assertEqual((self.module.commands(), os.path.exists(self.directory)), ({}, False))
        self.settings = Settings(drop=DropSettings(directory="", queues=()))
        self.worker = ImmediateWorker()
        self.module = self.made()
        self.start()
        self.clock.advance(100)
        self.assertEqual(self.count, 0)
