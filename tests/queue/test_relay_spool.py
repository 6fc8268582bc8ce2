"""The relay manager on the real store: what the double in memory promises is true on disk, too."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.sections.queue import QueueSettings
from hermes.core.envelope import Envelope, Origin, Recipient
from hermes.core.event import Event, Kind
from hermes.core.jobs import perform_each
from hermes.core.message import QueuedMessage
from hermes.net.content import ContentReader
from hermes.queue.destinations import Concurrency
from hermes.spool.store import Spool
from tests.support.queue_site import DEFERRED, FAILED, OCTETS, RELAYED, Site
from tests.support.worker import ImmediateWorker

PREFIX = b"Return-Path: <a@example.org>\n"


class RealSpoolTests(SynchronousTestCase):
    """A site whose queue is on disk, with threads replaced by immediate workers."""

    def setUp(self) -> None:
        """Open the spool and start a manager on it."""
        self.directory = self.mktemp()
        self.events: list[Event] = []
        self.site = Site()
        self.start()

    def start(self) -> None:
        """As after the start of the process."""
        self.spool = Spool(
            self.directory, ImmediateWorker(), ImmediateWorker(), now=self.site.now, observer=self.events.append
        )
        self.successResultOf(self.spool.open())
        reader = ImmediateWorker()
        reader.start(perform_each)
        self.site.use(self.spool, ContentReader(reader))
        self.site.manager.start()

    def tearDown(self) -> None:
        """Stop in order: the manager, then its store."""
        stopped = Deferred.fromCoroutine(self.site.manager.stop(0))
        self.site.advance(1)
        self.successResultOf(stopped)
        self.successResultOf(self.spool.close())

    def restart(self) -> None:
        """Stop and start again."""
        self.tearDown()
        self.start()

    def durable(self, *recipients: str, octets: bytes = OCTETS) -> QueuedMessage:
        """A message that has just been committed."""
        envelope = Envelope("a@example.org", tuple(Recipient(each) for each in recipients))
        writer = self.spool.create()
        writer.write(PREFIX)
        writer.write(octets)
        self.successResultOf(writer.drained())
        destinations = {each: self.site.destination(each) for each in recipients}
        message: QueuedMessage = self.successResultOf(
            writer.commit(envelope, Origin("ESMTP"), destinations, "<m@example.org>", len(octets), len(PREFIX), {})
        )
        return message

    def queue(self) -> list[QueuedMessage]:
        """What is in the queue."""
        messages: list[QueuedMessage] = self.successResultOf(self.spool.select(None))
        return messages

    def kinds(self, queue_id: str) -> list[Kind]:
        """The kinds of a message's events."""
        return [event.kind for event in self.successResultOf(self.spool.track(queue_id, 100))]

    def test_fresh_mail(self) -> None:
        """A fresh message is delivered and leaves the disk."""
        message = self.durable("bob@example.org", "x@example.net")
        self.site.manager.accepted(message)
        self.assertEqual(self.queue(), [])
        self.assertEqual(self.kinds(message.queue_id), [Kind.RECEIVED, Kind.DELIVERED, Kind.RELAYED])

    def test_retry_after_a_restart(self) -> None:
        """What was put off is read from disk, octets and all, by the next run, when it is due."""
        self.site.direct.default = DEFERRED
        message = self.durable("x@example.net")
        self.site.manager.accepted(message)
        self.site.direct.default = RELAYED
        self.restart()
        self.assertEqual(len(self.site.direct.attempts), 1)
        self.site.advance(400, steps=10)
        self.assertEqual(self.site.direct.attempts[1].message.content.data, PREFIX + OCTETS)
        self.assertEqual(self.queue(), [])
        self.assertEqual(self.kinds(message.queue_id), [Kind.RECEIVED, Kind.DEFERRED, Kind.RELAYED])

    def test_report(self) -> None:
        """A report is queued with the failure it is about, and delivered; the trace names it."""
        self.site.direct.default = FAILED
        message = self.durable("x@example.net")
        self.site.manager.accepted(message)
        (report,) = self.site.local.attempts
        self.assertEqual(report.next_hop, "a")
        self.assertIn(OCTETS, report.message.content.data or b"")
        self.assertEqual(self.kinds(message.queue_id), [Kind.RECEIVED, Kind.FAILED, Kind.RETURNED])
        facts = self.successResultOf(self.spool.track(message.queue_id, 100))[-1].facts
        self.assertEqual(facts["report"], report.message.queue_id)
        self.assertEqual(self.kinds(report.message.queue_id), [Kind.RECEIVED, Kind.DELIVERED])
        self.assertEqual(self.queue(), [])

    def test_orders(self) -> None:
        """Orders change what is on disk."""
        self.site.direct.default = DEFERRED
        manager = self.site.manager
        ids = []
        for _ in range(3):
            message = self.durable("x@example.net")
            manager.accepted(message)
            ids.append(message.queue_id)
        self.assertTrue(self.successResultOf(manager.hold(ids[0])))
        self.assertTrue(self.successResultOf(manager.remove(ids[1])))
        self.assertTrue(self.successResultOf(manager.return_now(ids[2])))
        self.assertEqual([each.queue_id for each in self.queue()], [ids[0]])
        self.assertEqual(self.successResultOf(manager.retry(None)), 0)
        self.site.direct.default = RELAYED
        self.assertTrue(self.successResultOf(manager.release(ids[0])))
        self.assertEqual(self.queue(), [])

    def test_many_hanging_destinations(self) -> None:
        """Three times as many of them as the active set has places, found on disk: mail that stays here passes by."""
        strangers = Concurrency(20, 4, 1, None, 100, strangers=True)
        self.site.limits = {**self.site.limits, "direct": strangers}
        self.site.settings = QueueSettings(active=160)
        self.site.direct.hangs = lambda _: True
        for number in range(480):
            self.durable(f"x@slow{number}.test")
        here = [self.durable("bob@example.org").queue_id for _ in range(20)]
        self.restart()
        self.site.advance(2, steps=20)
        self.assertTrue({each.queue_id for each in self.queue()}.isdisjoint(here))
        self.assertEqual(len(self.queue()), 480)
        self.site.direct.hangs = lambda _: False
        while self.site.direct.running:
            self.site.direct.running[0].answer(RELAYED)
        self.site.advance(10, steps=100)
        self.assertEqual(self.queue(), [])
        self.assertEqual(len({each.message.queue_id for each in self.site.direct.attempts if not each.cancelled}), 480)

    def test_hanging_destination(self) -> None:
        """Ten times the active set for a server that hangs, on disk, and mail for others passes by after a restart."""
        self.site.direct.hangs = lambda next_hop: next_hop == "slow.test"
        active = self.site.settings.active
        for _ in range(active // 2):
            self.durable("x@slow.test")
        others = [self.durable(f"x@d{number}.test").queue_id for number in range(20)]
        self.restart()
        self.site.advance(2, steps=20)
        waiting = {each.queue_id for each in self.queue()}
        self.assertTrue(waiting.isdisjoint(others))
        self.assertEqual(len(waiting), active // 2)
        self.assertLess(self.site.active, active // 2)
