"""The mail log's file."""

from __future__ import annotations

import json
import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.event import Event, Kind
from hermes.services import mail_log
from hermes.services.mail_log import FLUSH_SECONDS, MailLog


class MailLogTests(SynchronousTestCase):
    """One file in a directory of its own."""

    def setUp(self) -> None:
        """Open."""
        self.path = Path(self.mktemp())
        self.path.mkdir()
        self.path /= "mail.log"
        self.clock = Clock()

    def log(self, form: str = "text") -> MailLog:
        """A log that is closed at the end."""
        log = MailLog(str(self.path), form, self.clock)
        self.addCleanup(log.close)
        return log

    def lines(self) -> list[str]:
        """What stands in the file."""
        return self.path.read_text().splitlines()

    def test_written_soon(self) -> None:
        """Lines are in the file a moment later, in order."""
        log = self.log()
        for number in range(3):
            log.write(Event(number, Kind.RECEIVED, f"{number:012d}"))
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual([line.split()[2] for line in self.lines()], [f"id={number:012d}" for number in range(3)])

    def test_closed(self) -> None:
        """What waits is written when the log is closed."""
        log = self.log()
        log.write(Event(0, Kind.LOGIN))
        log.close()
        self.assertEqual(len(self.lines()), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_json(self) -> None:
        """One object a line."""
        log = self.log("json")
        log.write(Event(0, Kind.LOGIN, facts={"peer": "192.0.2.1"}))
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(json.loads(self.lines()[0])["peer"], "192.0.2.1")

    def test_reopened(self) -> None:
        """After the file was moved away, a reopen begins a new one."""
        log = self.log()
        log.write(Event(0, Kind.LOGIN))
        self.clock.advance(FLUSH_SECONDS)
        self.path.rename(self.path.with_name("old"))
        log.reopen()
        log.write(Event(0, Kind.REFUSED))
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual([line.split()[1] for line in self.lines()], ["refused"])

    def test_not_reopened(self) -> None:
        """When no new file can be made, the fault is logged and the lines go on into the old one."""
        log = self.log()
        moved = self.path.parent.with_name("moved")
        self.path.parent.rename(moved)
        log.reopen()
        log.write(Event(0, Kind.REFUSED))
        self.clock.advance(FLUSH_SECONDS)
        self.assertIn("refused", (moved / self.path.name).read_text())

    def test_turns_over(self) -> None:
        """A file that is full is put aside, and only so many are kept."""
        self.patch(mail_log, "ROTATE_OCTETS", 100)
        self.patch(mail_log, "FILES_KEPT", 2)
        log = self.log()
        for _ in range(20):
            log.write(Event(0, Kind.LOGIN, facts={"peer": "192.0.2.1"}))
            self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(sorted(os.listdir(self.path.parent)), ["mail.log", "mail.log.1", "mail.log.2"])

    def test_two_processes(self) -> None:
        """Who finds the log full puts it aside, and the other one goes on in the new file; no line is lost or torn."""
        self.patch(mail_log, "ROTATE_OCTETS", 400)
        logs = [self.log(), self.log()]
        for number in range(40):
            logs[number % 2].write(Event(number, Kind.RECEIVED, f"{number:012d}"))
            self.clock.advance(FLUSH_SECONDS)
        names = os.listdir(self.path.parent)
        lines = [line for name in names for line in (self.path.parent / name).read_text().splitlines()]
        self.assertEqual(sorted(line.split()[2] for line in lines), [f"id={number:012d}" for number in range(40)])
        self.assertTrue(all((self.path.parent / name).stat().st_size < 600 for name in names))

    def test_put_aside_by_another(self) -> None:
        """Two who find the same file full at once put it aside once."""
        log, other = self.log(), self.log()
        log.write(Event(0, Kind.LOGIN))
        self.clock.advance(FLUSH_SECONDS)
        other._turn_over()
        log._turn_over()
        self.assertEqual(sorted(os.listdir(self.path.parent)), ["mail.log", "mail.log.1"])

    def test_removed(self) -> None:
        """When the file has been put aside and the new one removed, it is made anew."""
        log = self.log()
        log._turn_over()
        self.path.unlink()
        log.write(Event(0, Kind.LOGIN))
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(len(self.lines()), 1)

    def test_kept_from_others(self) -> None:
        """Who writes to whom is not for everybody on the machine."""
        self.log()
        self.assertEqual(self.path.stat().st_mode & 0o007, 0)

    def test_a_full_disk_harms_no_mail(self) -> None:
        """A fault in writing is logged once, not for every message, and raises nothing."""
        log = self.log()

        def full(descriptor: int, octets: bytes) -> int:
            raise OSError(28, "No space left on device")

        self.patch(mail_log.os, "write", full)
        for _ in range(3):
            log.write(Event(0, Kind.LOGIN))
            self.clock.advance(FLUSH_SECONDS)
        self.assertTrue(log._broken)
