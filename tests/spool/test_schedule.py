"""Which messages are to be worked on, and when the next will be."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from unittest.mock import patch

import attrs
from twisted.internet.defer import Deferred

from hermes.core.envelope import Origin
from hermes.core.event import Kind
from hermes.core.identifiers import encode
from hermes.core.message import Content, Finished, Postponed, QueuedMessage, QueuedRecipient, Settlement
from hermes.spool import schedule
from hermes.spool.operations import Accept
from hermes.spool.writer import MAX_ROW_OCTETS
from tests.support.real_spool import START, SpoolTestCase, envelope, fact

ALL = 1000


class DueTests(SpoolTestCase):
    """due() and next_due(), whichever way leads to the answer."""

    def message(self, *destinations: str, at: float = START) -> QueuedMessage:
        """A message with a recipient for each destination, to be tried at that time."""
        addresses = [f"user{number}@example.com" for number in range(len(destinations))]
        committed = self.accept(envelope(*addresses), destinations=dict(zip(addresses, destinations, strict=True)))
        settlements = [Postponed(ordinal, 0, at, "") for ordinal in range(len(destinations))]
        self.done(self.spool.settle(committed.queue_id, settlements, []))
        return committed

    def test_longest_due_first(self) -> None:
        """What has waited longest comes first, and what is not due does not come."""
        late, later = self.message("direct:a", at=START - 1), self.message("direct:b", at=START + 1)
        last, first = self.message("direct:a"), self.message("direct:c", at=START - 5)
        self.assertEqual(self.due_ids(), [first.queue_id, late.queue_id, last.queue_id])
        self.time = START + 1
        self.assertEqual(self.due_ids()[-1], later.queue_id)

    def test_limit(self) -> None:
        """No more messages than asked for; a message counts once, however many recipients are due."""
        ids = [self.message("direct:a", "direct:a", "direct:b", at=START - 10 + number).queue_id for number in range(4)]
        for limit in (1, 3, 4, 5):
            self.assertEqual(self.due_ids(limit=limit), ids[:limit])

    def test_only_what_is_due(self) -> None:
        """A message comes with the recipients that are due and whose destination is not busy, and no others."""
        committed = self.message("direct:a", "direct:b", "direct:c", "direct:a")
        settlements: list[Settlement] = [Postponed(3, 1, START + 60, "later"), Finished(2)]
        self.done(self.spool.settle(committed.queue_id, settlements, []))
        (found,) = self.done(self.spool.due(START, ALL, ("direct:b",), ()))
        self.assertEqual([recipient.ordinal for recipient in found.recipients], [0])
        self.assertEqual(found.content, committed.content)

    def test_octets(self) -> None:
        """What is due comes with its octets, or the name of its file, as long as memory allows; the rest is asked for."""
        for octets, room, known in (
            (b"x" * 100, 300, ["data"] * 3),
            (b"x" * 100, 299, ["data", "data", "none"]),
            (b"x" * 100, 99, ["none"] * 3),
            (b"x" * (MAX_ROW_OCTETS + 1), MAX_ROW_OCTETS + 1, ["path"] * 3),
            (b"x" * (MAX_ROW_OCTETS + 1), MAX_ROW_OCTETS, ["none"] * 3),
        ):
            messages = [self.accept(envelope("user@example.com"), octets) for _ in range(3)]
            with patch("hermes.spool.operations.READ_AHEAD_OCTETS", room):
                found = self.done(self.spool.due(START, ALL, (), ()))
            self.assertEqual([each.queue_id for each in found], [each.queue_id for each in messages])
            for message, each, what in zip(messages, found, known, strict=True):
                expected = attrs.evolve(
                    message.content,
                    data=message.content.data if what == "data" else None,
                    path=message.content.path if what == "path" else None,
                )
                self.assertEqual(each.content, expected)
                self.assertEqual(self.done(self.spool.content(each.queue_id)), message.content)
                self.done(self.spool.settle(each.queue_id, [Finished(0)], []))

    def test_fault(self) -> None:
        """A look that fails leaves nothing behind: the next message is accepted, and the next look finds it."""
        self.message("direct:a")
        with patch.object(schedule, "due", side_effect=sqlite3.OperationalError("disk I/O error")):
            failed = Deferred.fromCoroutine(self.spool.due(START, ALL, (), ()))
            self.failureResultOf(failed, sqlite3.OperationalError)
        self.message("direct:a")
        self.assertEqual(len(self.due_ids()), 2)

    def test_busy_and_active(self) -> None:
        """Nothing for a busy destination, and no message that is being worked on."""
        first, second = self.message("direct:a", at=START - 3), self.message("direct:b", at=START - 2)
        third = self.message("direct:a", "direct:c", at=START - 1)
        self.assertEqual(self.due_ids(busy=["direct:a"]), [second.queue_id, third.queue_id])
        self.assertEqual(self.due_ids(active=[first.queue_id]), [second.queue_id, third.queue_id])
        self.assertEqual(self.due_ids(busy=["direct:a", "direct:c"], active=[second.queue_id]), [])

    def test_next_due(self) -> None:
        """The time of the first recipient that is neither busy nor active, due already or not; None when there is none."""
        self.assertIsNone(self.done(self.spool.next_due((), ())))
        first, second = self.message("direct:a", at=START - 5), self.message("direct:b", at=START + 60)
        self.assertEqual(self.done(self.spool.next_due((), ())), START - 5)
        self.assertEqual(self.done(self.spool.next_due(("direct:a",), ())), START + 60)
        self.assertEqual(self.done(self.spool.next_due((), (first.queue_id,))), START + 60)
        self.assertIsNone(self.done(self.spool.next_due(("direct:b",), (first.queue_id,))))
        self.assertIsNone(self.done(self.spool.next_due((), (first.queue_id, second.queue_id))))

    def test_torn_message(self) -> None:
        """A recipient that has lost its message to a damaged disk does not keep the others waiting."""
        first, second = self.message("direct:a", at=START - 1), self.message("direct:a")
        self.spool._committer._connection.execute("DELETE FROM messages WHERE queue_id = ?", (first.queue_id,))
        self.assertEqual(self.due_ids(), [second.queue_id])

    def test_many_recipients(self) -> None:
        """Messages to very many people come in portions that memory can hold, and the first one always comes."""
        with patch.object(schedule, "MAX_RECIPIENTS", 6):
            ids = [self.message("direct:a", "direct:b", "direct:c", at=START - 9 + n).queue_id for n in range(3)]
            self.assertEqual(self.due_ids(), ids[:2])
        with patch.object(schedule, "MAX_RECIPIENTS", 1):
            self.assertEqual(self.due_ids(), ids[:1])


class LongLineTests(DueTests):
    """The same answers when so many wait in front that the destinations are asked one by one."""

    def setUp(self) -> None:
        """Let a single recipient be too many to look past."""
        super().setUp()
        self.patch(schedule, "SCAN_RECIPIENTS", 1)

    def test_order_across_destinations(self) -> None:
        """Destinations take turns by the age of what waits for them."""
        blocked = [self.message("smarthost:x", at=START - 100) for _ in range(3)]
        self.assertEqual(len(blocked), 3)
        expected = [
            self.message(f"direct:{name}", at=START - 50 + number).queue_id for number, name in enumerate("cabacbbca")
        ]
        for limit in (1, 2, 5, 9, 20):
            self.assertEqual(self.due_ids(limit=limit, busy=["smarthost:x"]), expected[:limit])
        self.assertEqual(self.done(self.spool.next_due(("smarthost:x",), expected[:3])), START - 47)

    def test_each_is_looked_up_by_an_index(self) -> None:
        """No question about the schedule reads the whole queue."""
        connection = self.spool._committer._connection
        for statement, values in (
            (schedule._BY_TIME, (START, 10)),
            (schedule._DESTINATIONS, ()),
            (schedule._BY_DESTINATION, ("direct:a", START)),
        ):
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
            steps = [step for step in plan if "recipients" in step]
            self.assertTrue(steps)
            for step in steps:
                self.assertIn("COVERING INDEX", step)
                self.assertIn("SEARCH", step)


class LargeQueueTests(SpoolTestCase):
    """What a look costs in a large queue, counted in steps of SQLite's machine: some millions of them take a second."""

    MESSAGES = 20_000
    MAX_STEPS = 30_000

    def setUp(self) -> None:
        """Fill the queue: nine in ten for one smart host, the rest each for somebody else, all due."""
        super().setUp()
        self.ids = [encode(10**15 + number) for number in range(self.MESSAGES)]
        committer = self.spool._committer
        for start in range(0, self.MESSAGES, 1000):
            committer.perform([self.waiting(number) for number in range(start, start + 1000)])

    def waiting(self, number: int) -> Accept:
        """A message of the queue."""
        destination = "smarthost:x" if number % 10 else f"direct:{number % 500}.example.com"
        at = START - self.MESSAGES + number
        recipient = QueuedRecipient(0, "a@example.com", None, None, destination, 0, at)
        message = QueuedMessage(
            self.ids[number],
            at,
            envelope("a@example.com"),
            Origin("ESMTP"),
            "",
            Content(1, 1, 0, data=b"x"),
            [recipient],
        )
        return Accept(message, fact(Kind.RECEIVED, self.ids[number], at=at))

    def steps(self, look: Callable[[], object]) -> int:
        """The steps that a look takes, in hundreds."""
        connection = self.spool._committer._connection
        hundreds: list[None] = []
        connection.set_progress_handler(lambda: hundreds.append(None), 100)
        look()
        connection.set_progress_handler(None, 0)
        return len(hundreds) * 100

    def test_cost(self) -> None:
        """Whether nothing is excluded, or what is active, or what most wait for, a look reads little of the queue."""
        active = self.ids[:1000]
        for busy in ((), ("smarthost:x",)):
            for taken in ((), active):
                found: list[str] = []
                cost = self.steps(lambda: found.extend(self.due_ids(busy=busy, active=taken)))  # noqa: B023
                self.assertEqual(len(found), 100)
                self.assertLess(cost, self.MAX_STEPS)
                cost = self.steps(lambda: self.done(self.spool.next_due(busy, taken)))  # noqa: B023
                self.assertLess(cost, self.MAX_STEPS)
        self.assertLess(self.steps(lambda: self.due_ids(limit=1)), 1000)
        # A look at everything, for comparison.
        everything = "SELECT sum(attempts) FROM recipients"
        connection = self.spool._committer._connection
        self.assertGreater(self.steps(lambda: connection.execute(everything).fetchone()), self.MAX_STEPS)
