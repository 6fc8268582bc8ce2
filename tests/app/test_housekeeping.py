"""What happens by the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.at_once import AtOnce
from hermes.app.housekeeping import (
    CERTIFICATE_PAUSE_SECONDS,
    EXPIRY_PAUSE_SECONDS,
    Housekeeping,
)
from hermes.policy.edited_file import LOOK_SECONDS, EditedFile, Lines


class Certificate:
    """A certificate that counts how often it is looked at."""

    def __init__(self) -> None:
        self.looks = 0
        self.days = 31

    def reload_if_changed(self) -> bool:
        """Look."""
        self.looks += 1
        return False

    def describe(self) -> list[dict[str, object]]:
        """One, as the test says."""
        return [{"file": "a.pem", "days_left": self.days}]


class Manager:
    """A service manager that counts signs of life."""

    def __init__(self, watchdog_seconds: float | None) -> None:
        self.watchdog_seconds = watchdog_seconds
        self.signs = 0

    def alive(self) -> None:
        """Count."""
        self.signs += 1


class HousekeepingTests(SynchronousTestCase):
    """Loops on a clock of the test's own."""

    def setUp(self) -> None:
        """Nothing has happened."""
        self.clock = Clock()
        self.certificate: Certificate | None = Certificate()
        self.expiries: list[float] = []
        self.fault: Exception | None = None
        self.waits_for: Deferred[None] | None = None
        self.edited: list[Any] = []

    async def expire(self) -> None:
        """Expire the trace, as the test says."""
        self.expiries.append(self.clock.seconds())
        if self.fault is not None:
            raise self.fault
        if self.waits_for is not None:
            await self.waits_for

    def housekeeping(self, watchdog_seconds: float | None = None) -> Housekeeping:
        """Start it."""
        self.manager: Any = Manager(watchdog_seconds)
        certificate: Any = lambda: self.certificate  # noqa: E731
        housekeeping = Housekeeping(
            self.clock,
            expire_trace=self.expire,
            certificates=certificate,
            edited=lambda: self.edited,
            notifier=self.manager,
        )
        self.successResultOf(Deferred.fromCoroutine(housekeeping.start()))
        return housekeeping

    def stop(self, housekeeping: Housekeeping) -> Deferred[None]:
        """Begin to stop it."""
        return Deferred.fromCoroutine(housekeeping.stop())

    def test_edited_files(self) -> None:
        """An edit is in force a second later though nobody asks: also for the first who comes after it."""
        path = Path(self.mktemp())
        path.write_text("one")
        read: list[str] = []

        def parse(lines: Lines) -> None:
            read.append(lines.text)

        self.edited = [EditedFile(str(path), parse, AtOnce(), self.clock.seconds)]
        housekeeping = self.housekeeping()
        path.write_text("three")
        self.clock.advance(LOOK_SECONDS - 0.1)
        self.assertEqual(read, ["one"])
        self.clock.advance(0.1)
        self.assertEqual(read, ["one", "three"])
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(read, ["one", "three"])
        self.successResultOf(self.stop(housekeeping))

    def test_expiry(self) -> None:
        """The trace expires at the start and every hour, until the stop."""
        housekeeping = self.housekeeping()
        self.clock.advance(EXPIRY_PAUSE_SECONDS - 1)
        self.assertEqual(self.expiries, [0.0])
        self.clock.advance(1)
        self.assertEqual(self.expiries, [0.0, EXPIRY_PAUSE_SECONDS])
        self.successResultOf(self.stop(housekeeping))
        self.clock.advance(2 * EXPIRY_PAUSE_SECONDS)
        self.assertEqual(len(self.expiries), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_waits(self) -> None:
        """What is being done when the stop comes is finished first: the store is still needed for it."""
        self.waits_for = Deferred()
        stopped = self.stop(self.housekeeping())
        self.assertNoResult(stopped)
        self.waits_for.callback(None)
        self.successResultOf(stopped)

    def test_faults(self) -> None:
        """A fault is logged, and the work is done again the next time."""
        self.fault = RuntimeError("no room")
        housekeeping = self.housekeeping()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.fault = None
        self.clock.advance(EXPIRY_PAUSE_SECONDS)
        self.assertEqual(len(self.expiries), 2)
        self.successResultOf(self.stop(housekeeping))

    def test_file(self) -> None:
        """What the system says of a file is a line that names it, without a traceback; the work is done again."""
        self.fault = PermissionError(13, "Permission denied", "data/mail")
        with capturedLogs() as events:
            housekeeping = self.housekeeping()
        told = [formatEvent(event) for event in events]
        self.assertEqual(told, ["Housekeeping failed, and will be tried again: data/mail: Permission denied"])
        self.fault = OSError("what is it?")
        self.clock.advance(EXPIRY_PAUSE_SECONDS)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.fault = None
        self.clock.advance(EXPIRY_PAUSE_SECONDS)
        self.assertEqual(len(self.expiries), 3)
        self.successResultOf(self.stop(housekeeping))

    def test_certificate(self) -> None:
        """The certificate of the moment is looked at; there may be none for a while."""
        self.housekeeping()
        first = self.certificate
        assert first is not None
        self.assertEqual(first.looks, 1)
        self.certificate = None
        self.clock.advance(CERTIFICATE_PAUSE_SECONDS)
        self.certificate = Certificate()
        self.clock.advance(CERTIFICATE_PAUSE_SECONDS)
        self.assertEqual((first.looks, self.certificate.looks), (1, 1))

    def test_warning(self) -> None:
        """An administrator hears of a certificate that expires soon, and never of one that does not."""
        with capturedLogs() as said:
            self.housekeeping()
            self.assertEqual(said, [])
            assert self.certificate is not None
            self.certificate.days = 14
            self.clock.advance(CERTIFICATE_PAUSE_SECONDS)
            self.assertEqual([(each["log_level"], each["days"]) for each in said], [(LogLevel.warn, 14)])

    def test_signs_of_life(self) -> None:
        """The watchdog hears from the reactor as often as it wants to, and nothing when there is none."""
        self.housekeeping(watchdog_seconds=15.0)
        self.clock.pump([5.0] * 6)
        self.assertEqual(self.manager.signs, 3)
        self.housekeeping(watchdog_seconds=None)
        self.clock.advance(EXPIRY_PAUSE_SECONDS)
        self.assertEqual(self.manager.signs, 0)
