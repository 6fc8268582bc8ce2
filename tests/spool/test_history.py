"""All that the trace has about somebody, from one shard and from several, page by page."""

from __future__ import annotations

import contextlib
import os
import tracemalloc
from collections import Counter
from functools import partial

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.event import Event, Kind
from hermes.core.period import Period
from hermes.spool import history
from hermes.spool.database import connect_read_only
from hermes.spool.history import PAGE
from hermes.spool.shards import ShardsReader
from hermes.spool.store import Spool
from tests.support.worker import ImmediateWorker

HOUR = 3600.0


class HistoryTests(SynchronousTestCase):
    """Two shards."""

    def setUp(self) -> None:
        """Both are empty."""
        root = self.mktemp()
        self.directories = [os.path.join(root, name) for name in ("spool", "spool-1")]

    def record(self, shard: int, *events: Event) -> None:
        """Put events into the trace of a shard."""
        spool = Spool(
            self.directories[shard],
            ImmediateWorker(),
            ImmediateWorker(),
            now=lambda: 1_800_000_000.0,
            observer=lambda event: None,
            shard=shard,
        )
        self.successResultOf(Deferred.fromCoroutine(spool.open()))
        self.successResultOf(Deferred.fromCoroutine(spool.record(events)))
        self.successResultOf(Deferred.fromCoroutine(spool.close()))

    def found(self, *queries: str) -> list[tuple[float, str]]:
        """When it was, and about whom."""
        with ShardsReader(self.directories) as reader:
            return [(event.at, event.address) for event in reader.history([Period(each) for each in queries])]

    def test_nothing(self) -> None:
        """A spool that was never used has none."""
        self.assertEqual(self.found("bob"), [])

    def test_several_queries(self) -> None:
        """What several names and addresses find is there once, in order, and nobody else's is."""
        self.record(
            0,
            Event(5 * HOUR, Kind.LOGIN, address="bob"),
            Event(6 * HOUR, Kind.LOGIN, address="ann"),
            Event(7 * HOUR, Kind.LOGIN, address="Bob@example.org"),
            Event(9 * HOUR, Kind.LOGIN, address="bob"),
        )
        expected = [(5 * HOUR, "bob"), (7 * HOUR, "Bob@example.org"), (9 * HOUR, "bob")]
        self.assertEqual(self.found("bob", "bob@example.org", "BOB", ""), expected)

    def test_periods(self) -> None:
        """What a name finds ends when it was given up, at that very moment, and begins after it; messages come whole."""
        queue_id = "00001ABCDEFGH"
        self.record(
            0,
            Event(HOUR, Kind.RECEIVED, queue_id, "bob@example.org", "ann@example.com"),
            Event(HOUR + 1, Kind.LOGIN, address="bob"),
            Event(HOUR + 2, Kind.LOGIN, address="bob"),
            Event(3 * HOUR, Kind.LOGIN, address="bob"),
            Event(3 * HOUR + 1, Kind.LOGIN, address="rob"),
            Event(3 * HOUR + 2, Kind.RETRIEVED, queue_id, "rob"),
        )
        until, since = HOUR + 1, HOUR + 2
        first = [Period("bob", 0.0, until), Period("bob@example.org", 0.0, until), Period("rob"), Period("", 0.0, 9e9)]
        second = [Period("bob", since), Period("bob@example.org", since)]
        third = [Period("bob", until, since), Period("bob", 3 * HOUR, 3 * HOUR)]
        for periods, found, others in (
            (first, [HOUR, HOUR + 1, 3 * HOUR + 1, 3 * HOUR + 2], 2),
            (second, [3 * HOUR], 2),
            (third, [HOUR + 2], 2),
            ([*first, *second, *third], [HOUR, HOUR + 1, HOUR + 2, 3 * HOUR, 3 * HOUR + 1, 3 * HOUR + 2], 0),
        ):
            with ShardsReader(self.directories) as reader:
                self.assertEqual([event.at for event in reader.history(periods)], found)
                self.assertEqual(reader.count_others("Bob"), others, periods)
        with ShardsReader(["nowhere"]) as reader:
            self.assertEqual((list(reader.history(first)), reader.count_others("bob")), ([], 0))

    def test_messages(self) -> None:
        """With a message comes all that happened to it, also at a worker that knows it by its id alone."""
        queue_id = "00001ABCDEFGH"
        self.record(
            0,
            Event(1.0, Kind.RECEIVED, queue_id, "bob@example.org", "ann@example.com"),
            Event(2.0, Kind.DELIVERED, queue_id, "list@example.net"),
            Event(3.0, Kind.DELIVERED, "00001ABCDEFGX", "list@example.net"),
        )
        self.record(1, Event(4.0, Kind.RETRIEVED, queue_id, "guest"), Event(5.0, Kind.LOGIN, address="bob@example.org"))
        self.assertEqual(
            self.found("bob@example.org"),
            [(1.0, "bob@example.org"), (2.0, "list@example.net"), (4.0, "guest"), (5.0, "bob@example.org")],
        )

    def test_twice(self) -> None:
        """A reader can be asked again, about somebody else."""
        self.record(0, Event(1.0, Kind.LOGIN, address="bob"), Event(2.0, Kind.LOGIN, address="ann"))
        with ShardsReader(self.directories) as reader:
            self.assertEqual([event.at for event in reader.history([Period("bob")])], [1.0])
            self.assertEqual([event.at for event in reader.history([Period("ann")])], [2.0])

    def test_pages(self) -> None:
        """A page less one, a page, and one more; and pages of messages."""
        for count in (PAGE - 1, PAGE, PAGE + 1):
            name = f"user{count}"
            self.record(0, *(Event(float(number), Kind.LOGIN, address=name) for number in range(count)))
            self.assertEqual([at for at, _ in self.found(name)], [float(number) for number in range(count)])
        self.patch(history, "PAGE", 2)
        ids = [f"00001ABCDEFG{letter}" for letter in "ABCDE"]
        self.record(0, *(Event(1.0, Kind.RECEIVED, each, "eve@example.org", "") for each in ids))
        self.record(0, *(Event(2.0, Kind.DELIVERED, each, "x@example.net") for each in ids))
        self.assertEqual(len(self.found("eve@example.org")), 10)

    def test_work(self) -> None:
        """Ten times as many events are ten times as much work, and not a hundred times."""
        self.patch(history, "PAGE", 10)
        steps = []
        for count in (500, 5000):
            name = f"user{count}"
            self.record(0, *(Event(float(number), Kind.LOGIN, address=name) for number in range(count)))
            with contextlib.closing(connect_read_only(self.directories[0])) as connection:
                history.want(connection, [Period(name)])
                done = Counter[str]()
                connection.set_progress_handler(partial(done.update, ["steps"]), 100)
                self.assertEqual(sum(1 for _ in history.wanted(connection)), count)
            steps.append(done["steps"])
        self.assertLess(steps[1], 20 * steps[0])

    def test_memory(self) -> None:
        """However long it is, it takes the memory of a page."""
        facts: dict[str, str | int | float | bool | None] = {"reason": "x" * 1000}
        count = 20 * PAGE
        self.record(0, *(Event(float(number), Kind.LOGIN, address="bob", facts=facts) for number in range(count)))
        with ShardsReader(self.directories) as reader:
            tracemalloc.start()
            try:
                found = sum(1 for _ in reader.history([Period("bob")]))
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        self.assertEqual(found, count)
        self.assertLess(most, count * 1000 / 4)
