"""Tests of :mod:`hermes.spool.recording`: facts from a command, while no server has the spool."""

from __future__ import annotations

import fcntl
import os

from hermes.core.event import Event, Kind
from hermes.core.identifiers import decode, imported_id
from hermes.spool import database
from hermes.spool.database import LOCK, DirectoryLock
from hermes.spool.errors import SpoolError
from hermes.spool.reader import SpoolReader
from hermes.spool.recording import record
from tests.support.real_spool import START, SpoolTestCase, envelope

ID = imported_id(b"\xff" * 16)


def imported(queue_id: str = ID, account: str = "anna") -> Event:
    """A fact."""
    return Event(START, Kind.IMPORTED, queue_id, account, None, "<m@example.org>", {"service": "import"})


class RecordingTests(SpoolTestCase):
    """record()."""

    def found(self, query: str, directory: str = "") -> list[Event]:
        """What is known."""
        with SpoolReader(directory or self.directory) as reader:
            return reader.track(query)

    def test_found(self) -> None:
        """A fact is found by its id, its account and its Message-ID, behind those that there were."""
        message = self.accept(envelope("anna@example.org"))
        self.done(self.spool.close())
        record(self.directory, [imported()])
        record(self.directory, [imported(account="bob")])
        self.assertEqual(self.found(ID), [imported(), imported(account="bob")])
        self.assertEqual(self.found("ANNA"), [imported(), imported(account="bob")])
        self.assertEqual(self.found("<m@example.org>"), [imported(), imported(account="bob")])
        self.assertEqual(len(self.found(message.queue_id)), 1)
        self.spool = self.opened()
        self.assertEqual(self.done(self.spool.track(ID, 10)), [imported(), imported(account="bob")])

    def test_ids_go_on(self) -> None:
        """The id of an imported message, which is greater than all others, is not what the next message's follows."""
        self.done(self.spool.record([imported()]))
        self.reopen()
        queue_id = self.accept(envelope("anna@example.org")).queue_id
        self.assertEqual(decode(queue_id) // 32, int(START * 1_000_000) // 32)

    def test_server_has_it(self) -> None:
        """While a server has the spool nothing is written into it."""
        with self.assertRaises(SpoolError) as caught:
            record(self.directory, [imported()])
        self.assertIn("in use by a server", str(caught.exception))
        self.assertEqual(self.found(ID), [])

    def test_never_run(self) -> None:
        """A site whose server has never run gets its spool."""
        directory = self.mktemp()
        record(directory, [imported()])
        self.assertEqual(self.found(ID, directory), [imported()])
        self.assertEqual(os.stat(directory).st_mode & 0o777, 0o700)

    def test_cannot_be_stored(self) -> None:
        """A place that is none is told."""
        path = self.mktemp()
        with open(path, "wb"):
            pass
        self.assertRaises(SpoolError, record, path, [imported()])

    def test_damaged(self) -> None:
        """A database that is none is told, and left as it is."""
        self.done(self.spool.close())
        path = os.path.join(self.directory, "spool.sqlite")
        os.rename(path, path + ".whole")
        with open(path, "wb") as file:
            file.write(b"x" * 10_000)
        self.assertRaises(SpoolError, record, self.directory, [imported()])
        os.rename(path + ".whole", path)
        self.spool = self.opened()


class LockTests(SpoolTestCase):
    """A server that starts while a command stores facts."""

    def setUp(self) -> None:
        """A spool that nobody has."""
        super().setUp()
        self.done(self.spool.close())
        self.held = os.open(os.path.join(self.directory, LOCK), os.O_RDWR)
        self.addCleanup(lambda: os.close(self.held) if self.held >= 0 else None)
        self.waits = 0

    def let_go_after(self, waits: int) -> None:
        """The command comes to its end while the server waits."""
        fcntl.flock(self.held, fcntl.LOCK_SH)

        def sleep(seconds: float) -> None:
            self.waits += 1
            if self.waits == waits:
                fcntl.flock(self.held, fcntl.LOCK_UN)

        self.patch(database.time, "sleep", sleep)

    def test_waits(self) -> None:
        """It waits until the command is done, and then has the spool alone."""
        self.let_go_after(3)
        lock = DirectoryLock(self.directory)
        self.assertEqual(self.waits, 3)
        self.assertRaises(SpoolError, DirectoryLock, self.directory)
        lock.release()

    def test_waits_not_for_ever(self) -> None:
        """There is an end to it."""
        self.let_go_after(10**9)
        self.assertRaises(SpoolError, DirectoryLock, self.directory)
        self.assertEqual(self.waits, database._MOMENT_TRIES)

    def test_does_not_wait_for_a_server(self) -> None:
        """A server has the spool for long: another one is told so at once."""
        self.let_go_after(1)
        fcntl.flock(self.held, fcntl.LOCK_EX)
        self.assertRaises(SpoolError, DirectoryLock, self.directory)
        self.assertEqual(self.waits, 0)
