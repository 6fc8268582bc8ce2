"""What an administrator can order: hold, release, retry, remove, return."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.sections.queue import QueueSettings
from hermes.core.event import Kind
from hermes.core.message import State
from tests.support.queue_site import DEFERRED, FAILED, RELAYED, Site


class OrdersTests(SynchronousTestCase):
    """Orders for messages that wait, that are about to be tried, and that are being tried."""

    def setUp(self) -> None:
        """A started manager with a destination that puts off everything."""
        self.site = Site(QueueSettings(delay_warning=()))
        self.manager = self.site.manager
        self.site.direct.default = DEFERRED
        self.manager.start()

    def test_hold_and_release(self) -> None:
        """A held message is not tried, however long it takes; when it is released, it is tried at once."""
        queue_id = self.site.accept("x@example.net")
        self.assertTrue(self.successResultOf(self.manager.hold(queue_id)))
        self.site.advance(14_000, steps=100)
        self.assertEqual(len(self.site.direct.attempts), 1)
        self.assertTrue(self.successResultOf(self.manager.release(queue_id)))
        self.assertEqual(len(self.site.direct.attempts), 2)
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.DEFERRED, Kind.HELD, Kind.RELEASED, Kind.DEFERRED])

    def test_hold_what_has_not_begun(self) -> None:
        """Deliveries that wait for their turn are taken back."""
        self.site.direct.hangs = lambda _: True
        ids = [self.site.accept("x@example.net") for _ in range(self.site.limits["direct"].per_destination + 2)]
        self.successResultOf(self.manager.hold(ids[-2]))
        while self.site.direct.running:
            self.site.direct.running[0].answer(RELAYED)
        self.assertEqual([each.message.queue_id for each in self.site.direct.attempts], [*ids[:-2], ids[-1]])
        self.assertEqual(list(self.site.spool.messages), [ids[-2]])
        self.assertEqual(self.site.active, 0)

    def test_release_while_a_part_is_being_tried(self) -> None:
        """What was taken back and released again is found when the part that was being tried has ended."""
        self.site.direct.hangs = lambda _: True
        for _ in range(self.site.limits["direct"].per_destination):
            self.site.accept("x@example.net")
        queue_id = self.site.accept("y@example.net", "y@example.com")
        self.successResultOf(self.manager.hold(queue_id))
        self.successResultOf(self.manager.release(queue_id))
        while self.site.direct.running:
            self.site.direct.running[0].answer(RELAYED)
            self.site.advance(0.2)
        self.assertEqual(self.site.spool.messages, {})

    def test_hold_during_an_attempt(self) -> None:
        """An attempt that is under way ends; what it put off stays held."""
        self.site.direct.hangs = lambda _: True
        queue_id = self.site.accept("x@example.net")
        self.successResultOf(self.manager.hold(queue_id))
        self.site.direct.attempts[0].answer(DEFERRED)
        self.site.advance(100_000, steps=100)
        self.assertEqual(len(self.site.direct.attempts), 1)
        recipient = self.site.spool.recipient(queue_id)
        self.assertEqual((recipient.state, recipient.attempts), (State.HELD, 1))

    def test_retry(self) -> None:
        """One message, or all of them, can be tried now; how many there were is told."""
        ids = [self.site.accept("x@example.net") for _ in range(3)]
        self.assertEqual(self.successResultOf(self.manager.retry(ids[0])), 1)
        self.assertEqual([each.message.queue_id for each in self.site.direct.attempts[3:]], [ids[0]])
        self.assertEqual(self.successResultOf(self.manager.retry(None)), 3)
        self.assertEqual(len(self.site.direct.attempts), 7)

    def test_remove(self) -> None:
        """A removed message is gone and nobody is told."""
        queue_id = self.site.accept("x@example.net")
        self.assertTrue(self.successResultOf(self.manager.remove(queue_id)))
        self.assertEqual((self.site.spool.messages, self.site.spool.reports), ({}, []))
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.DEFERRED, Kind.REMOVED])

    def test_remove_during_an_attempt(self) -> None:
        """When the attempt under way fails, that is recorded, and still nobody is told."""
        self.site.direct.hangs = lambda _: True
        queue_id = self.site.accept("x@example.net")
        self.assertTrue(self.successResultOf(self.manager.remove(queue_id)))
        self.site.direct.attempts[0].answer(FAILED)
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.REMOVED, Kind.FAILED])
        self.assertEqual((self.site.spool.reports, self.site.active), ([], 0))

    def test_unknown_message(self) -> None:
        """Orders about a message that does not exist say so."""
        for order in (self.manager.hold, self.manager.release, self.manager.remove, self.manager.return_now):
            self.assertFalse(self.successResultOf(order("0000000000ZZ")))
        self.assertEqual(self.successResultOf(self.manager.retry("0000000000ZZ")), 0)

    def test_return(self) -> None:
        """A message that is returned fails for every recipient, the held ones too, in one report to the sender."""
        queue_id = self.site.accept("x@example.net", "y@example.com")
        self.successResultOf(self.manager.hold(queue_id))
        self.assertTrue(self.successResultOf(self.manager.return_now(queue_id)))
        self.assertNotIn(queue_id, self.site.spool.messages)
        (report,) = self.site.spool.reports
        self.assertEqual([each.address for each in report.envelope.recipients], ["a@example.org"])
        octets = report.content.data or b""
        self.assertIn(b"returned by the administrator", octets)
        self.assertEqual(octets.count(b"Final-Recipient:"), 2)
        self.assertEqual(self.site.spool.kinds(queue_id)[-3:], [Kind.FAILED, Kind.FAILED, Kind.RETURNED])

    def test_return_during_an_attempt(self) -> None:
        """Who is being tried is given up when the attempt ends without success; the others at once."""
        self.site.direct.hangs = lambda next_hop: next_hop != "example.com"
        queue_id = self.site.accept("x@slow.test", "y@example.com", "z@slower.test")
        self.assertTrue(self.successResultOf(self.manager.return_now(queue_id)))
        self.assertEqual([each.ordinal for each in self.site.spool.messages[queue_id].recipients], [0, 2])
        self.assertTrue(self.successResultOf(self.manager.return_now(queue_id)))
        self.site.direct.running[0].answer(DEFERRED)
        self.site.direct.running[0].answer(RELAYED)
        self.assertNotIn(queue_id, self.site.spool.messages)
        failed = [event.address for event in self.site.spool.events if event.kind is Kind.FAILED]
        self.assertEqual(failed, ["y@example.com", "x@slow.test"])
        self.assertEqual(len(self.site.spool.reports), 2)

    def test_return_what_has_not_begun(self) -> None:
        """Deliveries that wait for their turn are taken back and fail."""
        self.site.direct.hangs = lambda _: True
        ids = [self.site.accept("x@example.net") for _ in range(self.site.limits["direct"].per_destination + 1)]
        self.assertTrue(self.successResultOf(self.manager.return_now(ids[-1])))
        self.assertNotIn(ids[-1], self.site.spool.messages)
        self.assertNotIn(ids[-1], [each.message.queue_id for each in self.site.direct.attempts])

    def test_return_twice_at_once(self) -> None:
        """Two orders to return the same message make one report."""
        queue_id = self.site.accept("x@example.net")
        self.site.spool.gates["select"] = gate = Deferred[None]()
        first = Deferred.fromCoroutine(self.manager.return_now(queue_id))
        self.assertTrue(self.successResultOf(self.manager.return_now(queue_id)))
        # Nor is it taken up while it is being returned.
        self.successResultOf(self.manager.retry(queue_id))
        asked = self.site.spool.calls.count("due")
        self.site.advance(10, steps=100)
        self.assertEqual(self.site.spool.calls.count("due"), asked)
        self.assertEqual(len(self.site.direct.attempts), 1)
        gate.callback(None)
        self.assertTrue(self.successResultOf(first))
        self.assertEqual(len(self.site.spool.reports), 1)

    def test_return_during_a_look(self) -> None:
        """A look at the disk that was going on does not bring what is being returned."""
        queue_id = self.site.message("x@example.net").queue_id
        self.site.spool.gates["due"] = look = Deferred[None]()
        self.site.spool.gates["select"] = gate = Deferred[None]()
        self.manager.wake()
        returned = Deferred.fromCoroutine(self.manager.return_now(queue_id))
        del self.site.spool.gates["due"]
        look.callback(None)
        self.assertEqual(self.site.direct.attempts, [])
        gate.callback(None)
        self.assertTrue(self.successResultOf(returned))
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.FAILED, Kind.RETURNED])

    def test_attempt_ends_while_the_message_is_being_returned(self) -> None:
        """An attempt that ends just then does not leave its recipient behind, nor is it failed twice."""
        self.site.direct.hangs = lambda _: True
        queue_id = self.site.accept("x@example.net")
        self.site.spool.gates["select"] = gate = Deferred[None]()
        returned = Deferred.fromCoroutine(self.manager.return_now(queue_id))
        self.site.direct.attempts[0].answer(DEFERRED)
        del self.site.spool.gates["select"]
        gate.callback(None)
        self.assertTrue(self.successResultOf(returned))
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.DEFERRED, Kind.FAILED, Kind.RETURNED])
        self.assertNotIn(queue_id, self.site.spool.messages)

    def test_return_without_a_sender(self) -> None:
        """A message from the null sender is given up without a report."""
        queue_id = self.site.accept("x@example.net", sender="")
        self.assertTrue(self.successResultOf(self.manager.return_now(queue_id)))
        self.assertEqual((self.site.spool.messages, self.site.spool.reports), ({}, []))

    def test_return_fails_later(self) -> None:
        """When the spool cannot say who is left after the attempt under way, that is logged, and the mail waits."""
        self.site.direct.hangs = lambda _: True
        queue_id = self.site.accept("x@example.net")
        self.assertTrue(self.successResultOf(self.manager.return_now(queue_id)))
        self.site.spool.faults["select"] = [OSError("unreadable")]
        self.site.direct.attempts[0].answer(DEFERRED)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(self.site.spool.recipient(queue_id).attempts, 1)
        self.assertEqual(self.site.active, 0)

    def test_stop_during_an_order(self) -> None:
        """The stop waits for an order that is being carried out, and cuts it off when it takes too long."""
        for method in ("select", "content"):
            site = Site()
            site.direct.default = DEFERRED
            site.manager.start()
            queue_id = site.accept("x@example.net")
            site.spool.gates[method] = Deferred()
            returned = Deferred.fromCoroutine(site.manager.return_now(queue_id))
            stopped = Deferred.fromCoroutine(site.manager.stop(5))
            self.assertNoResult(stopped)
            site.advance(5)
            self.successResultOf(stopped)
            self.failureResultOf(returned, CancelledError)
            self.assertIn(queue_id, site.spool.messages)

    def test_hold_what_waits_for_the_agent(self) -> None:
        """What is taken back is not counted any more among those whose turn comes."""
        self.site.direct.hangs = lambda _: True
        for number in range(self.site.limits["direct"].total):
            self.site.accept(f"x@d{number}.test")
        held, other = self.site.accept("x@example.net"), self.site.accept("x@example.com")
        self.successResultOf(self.manager.hold(held))
        self.site.direct.running[0].answer(RELAYED)
        self.site.direct.running[0].answer(RELAYED)
        self.assertEqual(self.site.direct.attempts[-1].message.queue_id, other)
        self.assertEqual(len(self.site.direct.running), self.site.limits["direct"].total - 1)
