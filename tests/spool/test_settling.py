"""The end of an attempt, and what an administrator does to a message."""

from __future__ import annotations

from hermes.core.envelope import Envelope, Recipient
from hermes.core.event import Event, Kind
from hermes.core.message import Finished, NewMessage, Postponed, State
from hermes.interfaces import SpoolFullError
from hermes.spool.operations import STEP_RECIPIENTS
from hermes.spool.writer import MAX_ROW_OCTETS
from tests.support.real_spool import SENDER, START, SpoolTestCase, begun, envelope, fact


class SettlingTests(SpoolTestCase):
    """settle()."""

    def test_finished(self) -> None:
        """A message goes with its last recipient, and its octets with it; its trace stays."""
        committed = self.accept(envelope("a@example.com", "b@example.com", "c@example.com"))
        self.done(self.spool.settle(committed.queue_id, [Finished(0), Finished(2)], []))
        (found,) = self.done(self.spool.select(committed.queue_id))
        self.assertEqual([recipient.address for recipient in found.recipients], ["b@example.com"])
        self.assertEqual([recipient.ordinal for recipient in found.recipients], [1])
        self.done(self.spool.settle(committed.queue_id, [Finished(1)], []))
        self.assertEqual(self.done(self.spool.select(committed.queue_id)), [])
        self.failureResultOf(begun(self.spool.content(committed.queue_id)), KeyError)
        self.assertEqual(len(self.done(self.spool.track(committed.queue_id, 10))), 1)
        self.assertEqual(self.faults(), [])

    def test_postponed(self) -> None:
        """What changed about a recipient is kept, and only about that one."""
        committed = self.accept(envelope("a@example.com", "b@example.com"))
        postponed = Postponed(1, 3, START + 300, "451 4.7.1 greylisted", 1)
        self.done(self.spool.settle(committed.queue_id, [postponed], []))
        self.reopen()
        (found,) = self.done(self.spool.select(committed.queue_id))
        first, second = found.recipients
        self.assertEqual(first, committed.recipients[0])
        self.assertEqual(
            (second.attempts, second.next_attempt_at, second.last_reason, second.delays_reported),
            (3, START + 300, "451 4.7.1 greylisted", 1),
        )
        self.assertIs(second.state, State.QUEUED)

    def test_events(self) -> None:
        """The facts of an attempt are in the trace, in their order, and the observer sees them."""
        committed = self.accept(envelope("a@example.com"))
        self.seen.clear()
        events = [
            Event(START + 1, Kind.DEFERRED, committed.queue_id, "a@example.com", SENDER, "", {"reply": "450 4.2.0 no"}),
            Event(START + 2, Kind.EXPIRED, committed.queue_id, "a@example.com", SENDER, ""),
        ]
        self.done(self.spool.settle(committed.queue_id, [Finished(0)], events))
        self.assertEqual(self.seen, events)
        self.assertEqual(self.done(self.spool.track(committed.queue_id, 10))[1:], events)

    def test_commit_and_settle_in_one_group(self) -> None:
        """Different messages may be committed, postponed and finished by the same transaction."""
        first, second = self.accept(envelope("a@example.com")), self.accept(envelope("b@example.com"))
        self.worker.paused = True
        waiting = [
            begun(self.spool.settle(first.queue_id, [Finished(0)], [])),
            begun(self.spool.settle(second.queue_id, [Postponed(0, 1, START + 60, "later")], [])),
        ]
        third = begun(self.accepting(envelope("c@example.com")))
        self.worker.resume()
        for each in waiting:
            self.assertEqual(self.successResultOf(each), [])
        self.assertEqual(self.worker.groups[-1], 3)
        queue_id = self.successResultOf(third).queue_id
        self.assertEqual(self.due_ids(), [queue_id])
        self.assertEqual(self.done(self.spool.next_due((), (queue_id,))), START + 60)

    def test_gone_meanwhile(self) -> None:
        """A message that was removed during an attempt stays removed; what happened is recorded."""
        committed = self.accept(envelope("a@example.com"))
        self.done(self.spool.remove(committed.queue_id, fact(Kind.REMOVED, committed.queue_id)))
        delivered = fact(Kind.DELIVERED, committed.queue_id, "a@example.com")
        self.done(self.spool.settle(committed.queue_id, [Postponed(0, 1, START, "later")], [delivered]))
        self.assertEqual(self.done(self.spool.select(None)), [])
        kinds = [event.kind for event in self.done(self.spool.track(committed.queue_id, 10))]
        self.assertEqual(kinds, [Kind.RECEIVED, Kind.REMOVED, Kind.DELIVERED])


class ReportTests(SpoolTestCase):
    """Reports are queued by the transaction that settles what they report about."""

    def report(self, octets: bytes = b"Subject: undeliverable\n\nSorry.\n") -> NewMessage:
        """A report to the sender."""
        to = Envelope("", (Recipient(SENDER, frozenset({"NEVER"})),))
        return NewMessage(to, octets, {SENDER: "local:sender"}, "<report@example.org>")

    def test_queued(self) -> None:
        """A report is a message like any other, due at once, from the null sender (RFC 3464 2)."""
        committed = self.accept(envelope("a@example.com"))
        self.seen.clear()
        returned = fact(Kind.RETURNED, committed.queue_id)
        (report,) = self.done(self.spool.settle(committed.queue_id, [Finished(0)], [returned], [self.report()]))
        self.assertEqual(report.origin.protocol, "local")
        self.assertEqual(report.content.data, b"Return-Path: <>\nSubject: undeliverable\n\nSorry.\n")
        self.assertEqual(report.content.prefix_octets, len(b"Return-Path: <>\n"))
        self.assertEqual(report.content.wire_octets, len(b"Subject: undeliverable\r\n\r\nSorry.\r\n"))
        self.assertEqual([recipient.destination for recipient in report.recipients], ["local:sender"])
        self.assertEqual(self.due_ids(), [report.queue_id])
        self.assertEqual(self.done(self.spool.content(report.queue_id)), report.content)
        self.assertEqual([(event.kind, event.queue_id) for event in self.seen[:1]], [(Kind.RECEIVED, report.queue_id)])
        self.assertEqual(self.seen[1:], [returned])
        self.assertEqual(len(self.done(self.spool.track("<report@example.org>", 10))), 1)

    def test_large(self) -> None:
        """A report that returns a large message is a file, durable before the transaction."""
        committed = self.accept(envelope("a@example.com"))
        octets = b"x" * MAX_ROW_OCTETS
        (report,) = self.done(self.spool.settle(committed.queue_id, [Finished(0)], [], [self.report(octets)]))
        self.assertEqual(self.body_files(), [report.queue_id])
        self.assertEqual(report.content.size_octets, len(octets) + len(b"Return-Path: <>\n"))
        self.done(self.spool.settle(report.queue_id, [Finished(0)], []))
        self.assertEqual(self.body_files(), [])

    def test_all_or_nothing(self) -> None:
        """When a report finds no room, nothing of the attempt is recorded: it will be made again, not lost."""
        committed = self.accept(envelope("a@example.com"))
        reports = [self.report(b"x" * MAX_ROW_OCTETS), self.report(b"y" * MAX_ROW_OCTETS)]
        self.disk.full = "sync_directory"
        settling = begun(self.spool.settle(committed.queue_id, [Finished(0)], [fact(Kind.RETURNED)], reports))
        self.failureResultOf(settling, SpoolFullError)
        self.assertEqual(self.due_ids(), [committed.queue_id])
        self.assertEqual(self.body_files(), [])
        self.assertEqual([event.kind for event in self.seen], [Kind.RECEIVED])

    def test_transaction_fails(self) -> None:
        """When the transaction fails, the files of its reports go."""
        committed = self.accept(envelope("a@example.com"))
        bad = fact(Kind.FAILED, committed.queue_id + "\udcff")
        settling = begun(
            self.spool.settle(committed.queue_id, [Finished(0)], [bad], [self.report(b"x" * MAX_ROW_OCTETS)])
        )
        self.failureResultOf(settling, UnicodeEncodeError)
        self.assertEqual(self.due_ids(), [committed.queue_id])
        self.assertEqual(self.body_files(), [])


class AdministratorTests(SpoolTestCase):
    """hold, release, retry, remove, select."""

    def test_hold_and_release(self) -> None:
        """Held recipients are not due however long it takes; released ones are due at once."""
        committed = self.accept(envelope("a@example.com", "b@example.com"))
        held = fact(Kind.HELD, committed.queue_id)
        self.assertTrue(self.done(self.spool.hold(committed.queue_id, held)))
        self.time += 1e6
        self.assertEqual(self.due_ids(), [])
        self.assertIsNone(self.done(self.spool.next_due((), ())))
        (found,) = self.done(self.spool.select(committed.queue_id))
        self.assertEqual({recipient.state for recipient in found.recipients}, {State.HELD})
        released = fact(Kind.RELEASED, committed.queue_id, at=self.time)
        self.assertTrue(self.done(self.spool.release(committed.queue_id, released)))
        self.assertEqual(self.due_ids(), [committed.queue_id])
        self.assertEqual(self.done(self.spool.next_due((), ())), self.time)
        self.assertEqual(self.seen[1:], [held, released])

    def test_held_during_an_attempt(self) -> None:
        """What is held while it is tried stays held when the attempt fails."""
        committed = self.accept(envelope("a@example.com"))
        self.done(self.spool.hold(committed.queue_id, fact(Kind.HELD, committed.queue_id)))
        self.done(self.spool.settle(committed.queue_id, [Postponed(0, 1, START, "later")], []))
        (found,) = self.done(self.spool.select(committed.queue_id))
        self.assertIs(found.recipients[0].state, State.HELD)
        self.assertEqual(self.due_ids(), [])

    def test_retry_one(self) -> None:
        """A waiting message becomes due; a held one stays held."""
        committed, held = self.accept(envelope("a@example.com")), self.accept(envelope("b@example.com"))
        self.done(self.spool.settle(committed.queue_id, [Postponed(0, 1, START + 900, "later")], []))
        self.done(self.spool.hold(held.queue_id, fact(Kind.HELD, held.queue_id)))
        retried = fact(Kind.RETRIED, committed.queue_id)
        self.assertEqual(self.done(self.spool.retry(committed.queue_id, retried, self.time)), 1)
        self.assertEqual(self.done(self.spool.retry(held.queue_id, fact(Kind.RETRIED, held.queue_id), self.time)), 0)
        self.assertEqual(self.due_ids(), [committed.queue_id])
        self.assertEqual(self.seen[-1], retried)

    def test_retry_all(self) -> None:
        """Everything that waits becomes due, however much there is, and the trace of each message tells of it."""
        count = STEP_RECIPIENTS + 1
        self.worker.paused = True
        accepting = [begun(self.accepting(envelope("a@example.com", "b@example.com"))) for _ in range(count)]
        self.worker.resume()
        ids = [self.successResultOf(each).queue_id for each in accepting]
        self.worker.paused = True
        settling = [
            begun(self.spool.settle(queue_id, [Finished(0), Postponed(1, 1, START + 900, "later")], []))
            for queue_id in ids
        ]
        self.worker.resume()
        for each in settling:
            self.successResultOf(each)
        self.done(self.spool.hold(ids[7], fact(Kind.HELD, ids[7])))
        self.assertEqual(self.due_ids(limit=count), [])
        self.assertEqual(self.done(self.spool.retry(None, fact(Kind.RETRIED), self.time)), count - 1)
        self.assertEqual(set(self.due_ids(limit=count)), set(ids) - {ids[7]})
        retried = [fact(Kind.RETRIED, queue_id) for queue_id in ids if queue_id != ids[7]]
        self.assertEqual(self.seen[1 - count :], retried)
        self.assertEqual(self.done(self.spool.track(ids[0], 100))[-1], retried[0])
        for limit in (None, 1, count - 1, count, count + 1):
            self.assertEqual([each.queue_id for each in self.done(self.spool.select(None, limit))], ids[:limit])

    def test_retry_nothing(self) -> None:
        """When nothing waits, nothing is recorded."""
        self.assertEqual(self.done(self.spool.retry(None, fact(Kind.RETRIED), self.time)), 0)
        self.assertEqual(self.seen, [])

    def test_remove(self) -> None:
        """A removed message is gone, with all its rows."""
        committed = self.accept(envelope("a@example.com", "b@example.com"))
        removed = fact(Kind.REMOVED, committed.queue_id)
        self.assertTrue(self.done(self.spool.remove(committed.queue_id, removed)))
        self.assertEqual(self.done(self.spool.select(None)), [])
        self.assertEqual(self.seen[-1], removed)
        self.assertEqual(self.faults(), [])

    def test_no_such_message(self) -> None:
        """What is done to a message that is not there is answered False, and not recorded."""
        absent = "000000000000"
        self.assertFalse(self.done(self.spool.hold(absent, fact(Kind.HELD, absent))))
        self.assertFalse(self.done(self.spool.release(absent, fact(Kind.RELEASED, absent))))
        self.assertFalse(self.done(self.spool.remove(absent, fact(Kind.REMOVED, absent))))
        self.assertEqual(self.done(self.spool.retry(absent, fact(Kind.RETRIED, absent), self.time)), 0)
        self.assertEqual(self.seen, [])
        self.assertEqual(self.done(self.spool.track(absent, 10)), [])
