"""Many operations, one transaction: they share the fsync, and not one another's faults."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.event import Kind
from hermes.core.message import Finished
from hermes.interfaces import SpoolFullError
from hermes.spool.committer import Committer
from hermes.spool.errors import translated
from hermes.spool.figures import families_of
from hermes.spool.operations import Nothing
from hermes.spool.schema import migrate
from hermes.spool.transaction import Transaction
from tests.support.real_spool import FullDisk, SpoolTestCase, begun, envelope, fact


class BrokenCommitCase(SpoolTestCase):
    """Tests with a disk that fails for a moment."""

    def fail_to_commit(self) -> None:
        """A message comes while nothing can be committed; afterwards all is well again."""

        def broken(connection: sqlite3.Connection) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        commit = self.disk.commit
        self.disk.commit = broken  # type: ignore[method-assign]
        self.failureResultOf(begun(self.accepting(envelope("a@example.com"))), sqlite3.OperationalError)
        self.disk.commit = commit  # type: ignore[method-assign]


class GroupTests(BrokenCommitCase):
    """What waits together."""

    def test_one_transaction(self) -> None:
        """A group is committed once; reads in it see what it wrote."""
        commits: list[sqlite3.Connection] = []
        commit = self.disk.commit

        def counted(connection: sqlite3.Connection) -> None:
            commits.append(connection)
            commit(connection)

        self.disk.commit = counted  # type: ignore[method-assign]
        self.worker.paused = True
        due = begun(self.spool.due(self.time, 100, (), ()))
        accepting = [begun(self.accepting(envelope("a@example.com"))) for _ in range(50)]
        self.worker.resume()
        ids = [self.successResultOf(each).queue_id for each in accepting]
        self.assertEqual([message.queue_id for message in self.successResultOf(due)], ids)
        self.assertEqual(len(commits), 1)

    def test_any_number(self) -> None:
        """However many there are, each message is there when its group was committed, and gone when it was settled."""
        for number in (1, 2, 5, 6, 7, 31, 32, 33, 38, 39, 70):
            self.worker.paused = True
            accepting = [
                begun(self.accepting(envelope(f"a{each}@example.com", "b@example.com"), b"%d" % each))
                for each in range(number)
            ]
            self.worker.resume()
            messages = [self.successResultOf(each) for each in accepting]
            self.assertEqual(self.done(self.spool.due(self.time, 100, (), ())), messages)
            self.worker.paused = True
            settled = [begun(self.spool.settle(each.queue_id, [Finished(0)], [])) for each in messages]
            self.worker.resume()
            for each in settled:
                self.successResultOf(each)
            for message, left in zip(messages, self.done(self.spool.select(None)), strict=True):
                self.assertEqual((left.queue_id, left.recipients), (message.queue_id, message.recipients[1:]))
            # Half of them end, and of the others nothing is lost.
            self.worker.paused = True
            settled = [begun(self.spool.settle(each.queue_id, [Finished(1)], [])) for each in messages[::2]]
            self.worker.resume()
            for each in settled:
                self.successResultOf(each)
            self.assertEqual(self.due_ids(), [each.queue_id for each in messages[1::2]])
            for message in messages[1::2]:
                self.assertEqual(self.done(self.spool.content(message.queue_id)), message.content)
                self.done(self.spool.settle(message.queue_id, [Finished(1)], []))
        self.assertEqual(self.faults(), [])

    def test_no_table_is_looked_through(self) -> None:
        """What ends a delivery finds its rows by their keys: a queue of a million messages must not make it slow."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            migrate(connection)
            ran: list[str] = []
            connection.set_trace_callback(ran.append)
            writing = Transaction(connection, 1)
            for number in range(40):
                writing.settle(f"0TEST{number:07}", [Finished(0)])
            writing.write()
            connection.set_trace_callback(None)
            self.assertEqual(len([each for each in ran if each.startswith("DELETE")]), 4 * 4)
            for statement in ran:
                plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
                self.assertFalse([step for step in plan if step.startswith("SCAN")], statement)

    def test_reads_alone(self) -> None:
        """Looking does not write."""
        self.disk.commit = None  # type: ignore[assignment]
        self.assertEqual(self.due_ids(), [])

    def test_one_bad_operation(self) -> None:
        """An operation that cannot be done fails by itself; the others of its group are durable."""
        self.worker.paused = True
        good = [begun(self.accepting(envelope("a@example.com")))]
        bad = begun(self.accepting(envelope("\udcff@example.com"), destinations={"\udcff@example.com": "local:a"}))
        good.append(begun(self.accepting(envelope("b@example.com"))))
        self.worker.resume()
        self.failureResultOf(bad, UnicodeEncodeError)
        ids = [self.successResultOf(each).queue_id for each in good]
        self.assertEqual(self.due_ids(), ids)
        self.assertEqual([event.queue_id for event in self.seen], ids)
        self.reopen()
        self.assertEqual(self.due_ids(), ids)
        self.assertEqual(self.faults(), [])

    def test_read_at_fault(self) -> None:
        """A read that fails harms neither writes nor other reads."""
        self.worker.paused = True
        missing = begun(self.spool.content("000000000000"))
        accepting = begun(self.accepting(envelope("a@example.com")))
        due = begun(self.spool.due(self.time, 100, (), ()))
        self.worker.resume()
        self.failureResultOf(missing, KeyError)
        self.assertEqual(
            [message.queue_id for message in self.successResultOf(due)], [self.successResultOf(accepting).queue_id]
        )

    def test_commit_fails(self) -> None:
        """A fault of the commit itself fails what it was for, and is over when the disk is well again."""
        self.fail_to_commit()
        self.assertEqual(self.due_ids(), [])
        committed = self.accept(envelope("a@example.com"))
        self.assertEqual(self.due_ids(), [committed.queue_id])

    def test_flush(self) -> None:
        """flush() returns when what was handed over before has been committed, facts on their way included."""
        self.worker.paused = True
        accepting = begun(self.accepting(envelope("a@example.com")))
        for number in range(3):
            self.spool.journal.record(fact(Kind.REFUSED, address=f"{number}@example.com"))
        flushing = begun(self.spool.flush())
        self.worker.step()
        self.successResultOf(accepting)
        self.assertNoResult(flushing)
        self.worker.resume()
        self.successResultOf(flushing)
        self.assertEqual(len(self.seen), 4)


class FigureTests(BrokenCommitCase):
    """What is told of the disk."""

    def figures(self) -> dict[str, list[Any]]:
        """Names and values."""
        return {
            family.name: [sample.value for sample in family.samples] for family in families_of([self.spool.figures()])
        }

    def test_commits(self) -> None:
        """A group is one transaction, timed once, with all that was in it."""
        before = self.figures()
        ticks = iter(range(100))
        self.spool._committer._seconds = lambda: float(next(ticks))
        self.worker.paused = True
        accepting = [begun(self.accepting(envelope("a@example.com"))) for _ in range(5)]
        self.worker.resume()
        for each in accepting:
            self.successResultOf(each)
        after = self.figures()
        self.assertEqual(after["hermes_commit_writes_total"][0] - before["hermes_commit_writes_total"][0], 5)
        (was,), (now,) = before["hermes_commit_seconds"], after["hermes_commit_seconds"]
        self.assertEqual((now["buckets"][-1][1] - was["buckets"][-1][1], now["sum"] - was["sum"]), (1, 1.0))

    def test_faults(self) -> None:
        """A full disk and another fault are counted apart, each once, also for body files; a fault of ours is none."""
        self.fail_to_commit()
        self.assertEqual(self.figures()["hermes_disk_faults_total"], [0, 1])
        self.disk.full = "open"
        self.failureResultOf(begun(self.accepting(envelope("a@example.com"), bytes(1_000_000))), SpoolFullError)
        self.assertEqual(self.figures()["hermes_disk_faults_total"], [1, 1])
        self.disk.full = ""
        bad = begun(self.accepting(envelope("\udcff@example.com"), destinations={"\udcff@example.com": "local:a"}))
        self.failureResultOf(bad, UnicodeEncodeError)
        self.assertEqual(self.figures()["hermes_disk_faults_total"], [1, 1])
        twice = {each.name: each.samples for each in families_of([self.spool.figures()] * 2)}
        self.assertEqual([sample.value for sample in twice["hermes_disk_faults_total"]], [2, 2])


class FullTests(SpoolTestCase):
    """No room for the database."""

    def limit(self, pages: int) -> None:
        """Let the database have so many pages more than now."""
        connection = self.spool._committer._connection
        (used,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {used + pages}")

    def test_full_and_recovered(self) -> None:
        """A message for which there is no room is refused whole, and accepted when there is room again."""
        kept = self.accept(envelope("a@example.com"))
        self.limit(3)
        octets = bytes(100_000)
        self.failureResultOf(begun(self.accepting(envelope("b@example.com"), octets)), SpoolFullError)
        self.assertEqual(self.due_ids(), [kept.queue_id])
        self.assertEqual(self.faults(), [])
        self.limit(1000)
        added = self.accept(envelope("b@example.com"), octets)
        self.assertEqual(self.due_ids(), [kept.queue_id, added.queue_id])

    def test_small_ones_still_fit(self) -> None:
        """In a group that does not fit, what does fit is done: above all, deliveries that make room."""
        kept = self.accept(envelope("a@example.com"), bytes(20_000))
        self.limit(3)
        self.worker.paused = True
        large = begun(self.accepting(envelope("b@example.com"), bytes(100_000)))
        settling = begun(self.spool.settle(kept.queue_id, [Finished(0)], []))
        small = begun(self.accepting(envelope("c@example.com")))
        self.worker.resume()
        self.failureResultOf(large, SpoolFullError)
        self.successResultOf(settling)
        self.assertEqual(self.due_ids(), [self.successResultOf(small).queue_id])
        self.assertEqual(self.faults(), [])

    def test_facts_without_room(self) -> None:
        """Facts that find no room are given up with a line in the log; nobody waits for them in vain."""
        self.limit(0)
        refused = [fact(Kind.REFUSED, address=f"{number:05}{'x' * 200}@example.com") for number in range(300)]
        for event in refused:
            self.spool.journal.record(event)
        self.done(self.spool.flush())
        self.assertLess(len(self.seen), 300)
        self.failureResultOf(begun(self.spool.record(refused)), SpoolFullError)


class CommitterTests(SynchronousTestCase):
    """The owner of the database by itself."""

    def test_not_open(self) -> None:
        """Before it is opened nothing can be done, and closing it is harmless."""
        committer = Committer(self.mktemp(), FullDisk())
        committer.close()
        (result,) = committer.perform([Nothing()])
        self.assertIsInstance(result, RuntimeError)

    def test_over_quota(self) -> None:
        """SQLite calls being over quota a write error; to us it is a matter of room."""
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        self.assertIsInstance(translated(error), SpoolFullError)
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
        self.assertIs(translated(error), error)
