"""A thousand destinations of which half hang, and shares that follow success and failure."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.app.outgoing import INITIAL_DELIVERIES
from hermes.config.sections.queue import QueueSettings
from hermes.core.outcome import Outcome, Result
from hermes.core.reply import Reply
from hermes.queue.active import ActiveSet, Delivery
from hermes.queue.destinations import Concurrency, Destinations
from hermes.queue.dispatch import WAITING_SECONDS, was_there
from tests.support.queue_site import RELAYED, Site

COUNT = 1000


class ThousandTests(SynchronousTestCase):
    """The queue with the defaults of direct delivery: 50 connections, and 500 that may keep us waiting."""

    def site(self, waiting: int = COUNT // 2) -> Site:
        """One where every second destination hangs."""
        made = Site(QueueSettings(), {"direct": Concurrency(50, 5, INITIAL_DELIVERIES, None, waiting)})
        made.direct.hangs = lambda next_hop: next_hop.startswith("hangs")
        return made

    def accept(self, made: Site) -> list[str]:
        """One message for each; the ids of those for destinations that are well."""
        good = []
        for number in range(COUNT):
            name = f"{'well' if number % 2 else 'hangs'}{number}.test"
            queue_id = made.accept(f"x@{name}")
            if number % 2:
                good.append(queue_id)
        return good

    def test_fresh(self) -> None:
        """All that can be delivered is delivered within half a minute, while the others hang for an hour."""
        made = self.site()
        made.manager.start()
        good = self.accept(made)
        made.advance(30, steps=60)
        self.assertEqual([each for each in good if each in made.spool.messages], [])
        self.assertEqual(len(made.direct.running), COUNT // 2)
        made.advance(3600, steps=10)
        # Whoever comes now is not kept waiting either.
        self.assertNotIn(made.accept("x@late.test"), made.spool.messages)

    def test_several_for_each(self) -> None:
        """However much there is for those that hang, each keeps one place, and all connections are there for the others."""
        made = self.site(waiting=50)
        made.manager.start()
        good = []
        for number in range(300):
            name = f"{'well' if number % 2 else 'hangs'}{number % 100}.test"
            queue_id = made.accept(f"x@{name}")
            good += [queue_id] if number % 2 else []
        made.advance(30, steps=60)
        self.assertEqual([each for each in good if each in made.spool.messages], [])
        crowd = made.manager._dispatcher.destinations._crowds["direct"]
        self.assertEqual((crowd.running, crowd.waiting), (0, 50))

    def test_from_disk(self) -> None:
        """The same when all of it is found on disk after a restart."""
        made = self.site()
        good = []
        for number in range(COUNT):
            name = f"{'well' if number % 2 else 'hangs'}{number}.test"
            message = made.message(f"x@{name}")
            if number % 2:
                good.append(message.queue_id)
        made.manager.start()
        made.advance(30, steps=60)
        self.assertEqual([each for each in good if each in made.spool.messages], [])

    def test_bound(self) -> None:
        """More than the setting says are not set aside: then those that hang take up the connections, but for a tenth."""
        made = self.site(waiting=20)
        made.manager.start()
        self.accept(made)
        made.advance(60, steps=60)
        self.assertEqual(len(made.direct.running), 45 + 20)

    def test_answered_late(self) -> None:
        """A delivery that was set aside ends like any other, and its place is there again."""
        made = self.site()
        made.manager.start()
        for _ in range(3):
            self.accept(made)
            made.advance(WAITING_SECONDS, steps=4)
            while made.direct.running:
                made.direct.running[0].answer(RELAYED)
                made.advance(0.1)
        self.assertEqual(made.spool.messages, {})
        crowd = made.manager._dispatcher.destinations._crowds["direct"]
        self.assertEqual((crowd.running, crowd.waiting), (0, 0))


class ShareTests(SynchronousTestCase):
    """How many deliveries one destination gets."""

    def setUp(self) -> None:
        """At most five, beginning with two."""
        self.destinations = Destinations({"direct": Concurrency(50, 5, 2, {"big.test": 8}.get)}, 100)  # type: ignore[arg-type]
        self.site = Site()

    def started(self, count: int, next_hop: str = "x.test") -> list[Delivery]:
        """Those of so many that may start now."""
        started = []
        for _ in range(count):
            message = self.site.message("x@x.test")
            delivery = Delivery(ActiveSet(1).add(message), f"direct:{next_hop}", "direct", next_hop, message.recipients)
            if self.destinations.add(delivery):
                started.append(delivery)
        return started

    def run_all(self, running: list[Delivery], *ends: bool | None) -> int:
        """End one delivery after the other in these ways; how many run afterwards."""
        for well in ends:
            self.destinations.ended(running.pop(0), well)
            while (delivery := self.destinations.take()) is not None:
                running.append(delivery)
        return len(running)

    def test_grows_and_shrinks(self) -> None:
        """One more after as many successes as there are places, up to the most; half after each failure, down to one."""
        running = self.started(100)
        self.assertEqual(len(running), 2)
        self.assertEqual(self.run_all(running, True), 2)
        self.assertEqual(self.run_all(running, True), 3)
        self.assertEqual(self.run_all(running, True, True, True), 4)
        self.assertEqual(self.run_all(running, None, None), 4)
        self.assertEqual(self.run_all(running, *[True] * 30), 5)
        self.run_all(running, False)
        (row,) = self.destinations.describe()
        self.assertEqual(row["limit"], 2)
        self.run_all(running, False)
        self.run_all(running, False, False, False)
        (row,) = self.destinations.describe()
        self.assertEqual((row["limit"], row["running"]), (1, 1))
        self.assertEqual(self.run_all(running, True), 2)

    def test_own_limit(self) -> None:
        """The table gives one destination another limit."""
        running = self.started(100, "big.test")
        self.assertEqual(self.run_all(running, *[True] * 60), 8)

    def test_was_there(self) -> None:
        """A refusal is an answer; no connection, a broken one and 421 are failures; what was not asked is neither."""
        tried = {"host": "mx", "address": "192.0.2.1:25"}
        busy = Reply.of(421, None, "busy")
        refused = Reply.of(550, "5.1.1", "no")
        for outcomes, expected in (
            ([Outcome(Result.RELAYED, "ok", "2.0.0", Reply.of(250, None, "ok"), **tried)], True),
            ([Outcome(Result.FAILED, "no", "5.1.1", refused, **tried)], True),
            ([Outcome(Result.DEFERRED, "later", "4.7.1", Reply.of(450, None, "x"), **tried)], True),
            ([Outcome(Result.DEFERRED, "busy", "4.3.2", busy, **tried)], False),
            ([Outcome(Result.DEFERRED, "no answer", "4.4.1", **tried)], False),
            ([Outcome.deferred("DNS is not available", "4.4.3")], None),
            ([Outcome.failed("no such domain", "5.1.2")], None),
            ([], None),
            (None, None),
        ):
            self.assertEqual(was_there(outcomes), expected, outcomes)
