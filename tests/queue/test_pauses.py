"""Pauses: what is not tried, for how long, and what is written down of it."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.destination_pattern import what_matches
from hermes.core.event import Kind
from hermes.core.message import QueuedRecipient, State
from hermes.core.order import Action, Done, Order
from hermes.core.outcome import Outcome
from hermes.core.pause import MAX_PAUSES, outcome_of
from hermes.core.selection import Selection
from hermes.interfaces import IDeliveryAgent
from hermes.queue.pauses import Pauses, Pausing, read_pauses
from tests.support.queue_site import Site


class ListTests(SynchronousTestCase):
    """The list itself."""

    def test_kept(self) -> None:
        """What is written is read by the next one; a pause keeps the time when it began."""
        written: list[bytes] = []

        async def write(octets: bytes) -> None:
            written.append(octets)

        pauses = Pauses(write)
        for what, now in (("example.net", 5.0), ("smarthost", 6.0), ("example.net", 7.0)):
            self.successResultOf(Deferred.fromCoroutine(pauses.add(what, now)))
        self.assertEqual(read_pauses(written[-1]), {"example.net": 5.0, "smarthost": 6.0})
        other = Pauses()
        other.load(written[-1])
        self.assertTrue(other.any)
        recipient = QueuedRecipient(0, "a@example.net", None, None, "direct:example.net", 0, 0.0)
        self.assertEqual(other.matching(recipient), "example.net")
        self.assertEqual((other.of_host("mx.example.net"), other.of_host("example.net")), ("", ""))
        for what in ("example.net", "smarthost", "nothing"):
            self.successResultOf(Deferred.fromCoroutine(pauses.remove(what)))
        self.assertEqual((read_pauses(written[-1]), pauses.any), ({}, False))

    def test_full_disk(self) -> None:
        """What cannot be written down is not in force either: whoever asked is told, and after a restart it would be gone."""
        full: list[OSError] = []

        async def write(octets: bytes) -> None:
            if full:
                raise full[0]

        pauses = Pauses(write)
        self.successResultOf(Deferred.fromCoroutine(pauses.add("example.net", 5.0)))
        full.append(OSError(28, "No space left on device", "pauses.json"))
        for what in ("example.org", "example.net"):
            self.failureResultOf(Deferred.fromCoroutine(pauses.add(what, 6.0)), OSError)
        for what in ("example.net", "example.com"):
            self.failureResultOf(Deferred.fromCoroutine(pauses.remove(what)), OSError)
        self.assertEqual(
            ["example.net" in pauses, "example.org" in pauses, "example.com" in pauses], [True, False, False]
        )
        recipient = QueuedRecipient(0, "a@example.net", None, None, "direct:example.net", 0, 0.0)
        self.assertEqual(pauses.matching(recipient), "example.net")
        full.clear()
        self.successResultOf(Deferred.fromCoroutine(pauses.remove("example.net")))
        self.assertFalse(pauses.any)

    def test_as_the_queue_is_searched(self) -> None:
        """What is looked up by name, or tried as a pattern, is what a search through the queue finds by the same words."""
        recipients = [
            QueuedRecipient(0, address, None, None, destination, 0, 0.0)
            for address in ("joe@Example.net", "ann@sub.example.net", "x@[192.0.2.1]")
            for destination in ("direct:Example.net", "smarthost:office", "lmtp:unix:/run/lmtp", "direct:[192.0.2.1]")
        ]
        for what in (
            *(
                "example.net",
                "EXAMPLE.NET",
                "*.example.net",
                "joe@example.net",
                "joe@*",
                "*",
                "direct",
                "direct:*",
                "d?rect",
            ),
            *(
                "smarthost:Office",
                "office",
                "unix:/run/lmtp",
                "direct:[192.0.2.1]",
                "[192.0.2.1]",
                "dir[ef]ct",
                "nothing",
            ),
        ):
            pauses = Pauses()
            self.successResultOf(Deferred.fromCoroutine(pauses.add(what, 0.0)))
            for recipient in recipients:
                expected = what if what_matches(what, recipient.destination, recipient.address) else ""
                self.assertEqual(pauses.matching(recipient), expected, (what, recipient))
        self.assertTrue(what_matches("direct:[192.0.2.1]", "direct:[192.0.2.1]", "x@[192.0.2.1]"))

    def test_hosts(self) -> None:
        """A server is named as such, with patterns, in any case, with or without the dot at its end; no recipient is meant."""
        pauses = Pauses()
        for what in ("host:MX1.example.net", "host:*.backup.test"):
            self.successResultOf(Deferred.fromCoroutine(pauses.add(what, 0.0)))
        self.assertEqual(pauses.of_host("mx1.Example.net."), "host:MX1.example.net")
        self.assertEqual(pauses.of_host("a.backup.test"), "host:*.backup.test")
        self.assertEqual((pauses.of_host("mx2.example.net"), pauses.of_host("backup.test")), ("", ""))
        recipient = QueuedRecipient(0, "a@mx1.example.net", None, None, "direct:mx1.example.net", 0, 0.0)
        self.assertEqual(pauses.matching(recipient), "")

    def test_damaged(self) -> None:
        """What is no list is told apart."""
        for octets in (b"", b"[]", b'{"a": "b"}', b"\xff", b"[" * 100_000):
            self.assertRaises(ValueError, read_pauses, octets)

    def test_how_many(self) -> None:
        """As many as are asked about in no time; one that is there may be said again."""
        pauses = Pauses()
        for number in range(MAX_PAUSES):
            self.successResultOf(Deferred.fromCoroutine(pauses.add(f"d{number}.test", 0.0)))
        self.successResultOf(Deferred.fromCoroutine(pauses.add("d0.test", 0.0)))
        self.failureResultOf(Deferred.fromCoroutine(pauses.add("other.test", 0.0)), ValueError)

    def test_interface(self) -> None:
        """The agent is what it says."""
        verifyObject(IDeliveryAgent, Pausing())


class PauseTests(SynchronousTestCase):
    """In the queue."""

    def setUp(self) -> None:
        """A site in which mail for others cannot be delivered now."""
        self.site = Site()
        self.site.direct.default = Outcome.deferred("busy", "4.3.2")
        self.site.manager.start()

    def order(self, action: Action, what: str) -> Done:
        """Give an order."""
        order = Order(action, Selection(what=what))
        return self.successResultOf(Deferred.fromCoroutine(self.site.manager.carry_out(order)))

    def tried(self) -> list[str]:
        """Who has been tried since the last call."""
        tried = [address for attempt in self.site.direct.attempts for address in attempt.addresses]
        self.site.direct.attempts.clear()
        return tried

    def test_pause(self) -> None:
        """Mail that waits and mail that comes is not tried, and does not expire; other mail goes on."""
        before = self.site.accept("a@paused.test", "b@free.test")
        self.tried()
        self.assertEqual(self.order(Action.PAUSE, "paused.test"), Done(1, 1))
        after = self.site.accept("c@paused.test", "d@free.test")
        self.assertEqual(self.tried(), ["d@free.test"])
        self.site.advance(3600, 20)
        self.assertEqual(set(self.tried()), {"b@free.test", "d@free.test"})
        self.assertEqual(self.site.spool.recipient(after).state, State.PAUSED)
        self.assertEqual(self.site.spool.recipient(after).last_reason, "paused.test is paused until it is resumed")
        self.assertIn(Kind.PAUSED, self.site.spool.kinds(before))
        self.assertIn(Kind.PAUSED, self.site.spool.kinds(after))
        self.site.advance(self.site.settings.expire, 100)
        self.assertEqual(self.site.spool.recipient(before).state, State.PAUSED)
        self.tried()
        self.site.direct.default = self.site.local.default
        self.assertEqual(self.order(Action.RESUME, "paused.test"), Done(2, 2))
        self.assertEqual(sorted(self.tried()), ["a@paused.test", "c@paused.test"])
        self.assertEqual(self.site.spool.messages, {})

    def test_agent(self) -> None:
        """A whole agent can be paused; what else is paused stays so when it is resumed."""
        self.order(Action.PAUSE, "direct")
        self.order(Action.PAUSE, "one.test")
        queue_ids = [
            self.site.accept("a@one.test"),
            self.site.accept("b@two.test"),
            self.site.accept("bob@example.org"),
        ]
        self.assertEqual(self.tried(), [])
        self.assertNotIn(queue_ids[2], self.site.spool.messages)
        self.order(Action.RESUME, "direct")
        self.assertEqual(self.tried(), ["b@two.test"])
        self.assertEqual(self.site.spool.recipient(queue_ids[0]).state, State.PAUSED)

    def test_last_one(self) -> None:
        """With the last pause everything goes on, under whatever name it was paused."""
        queue_id = self.site.accept("a@one.test")
        self.order(Action.PAUSE, "direct:one.test")
        self.site.spool.recipient(queue_id).destination = "direct:elsewhere"
        self.tried()
        self.assertEqual(self.order(Action.RESUME, "direct:one.test"), Done(1, 1))
        self.assertEqual(self.tried(), ["a@one.test"])

    def test_resumed_meanwhile(self) -> None:
        """Mail that comes to its pause when that has just ended is tried, and does not stay paused for ever."""
        self.order(Action.PAUSE, "one.test")
        message = self.site.message("a@one.test")
        message.content = attrs.evolve(message.content, data=None)
        self.site.spool.gates["content"] = Deferred()
        self.site.manager.accepted(message)
        self.order(Action.RESUME, "one.test")
        self.site.spool.gates.pop("content").callback(None)
        self.site.advance(1)
        self.assertEqual(self.tried(), ["a@one.test"])
        self.assertEqual(self.site.spool.recipient(message.queue_id).state, State.QUEUED)

    def test_one_server(self) -> None:
        """What waits because a server is paused goes on when that is resumed, or drained; what waits for another stays."""
        self.assertEqual(self.order(Action.PAUSE, "host:mx1.test"), Done())
        self.order(Action.PAUSE, "host:mx2.test")
        self.site.direct.outcomes = {"one.test": outcome_of("host:mx1.test"), "two.test": outcome_of("host:mx2.test")}
        one, two = self.site.accept("a@one.test"), self.site.accept("b@two.test")
        self.tried()
        self.assertEqual(self.site.spool.recipient(one).state, State.PAUSED)
        self.site.advance(self.site.settings.expire * 2, 50)
        self.assertEqual(self.tried(), [])
        self.assertEqual(self.order(Action.DRAIN, "host:mx1.test"), Done(1, 1))
        self.assertEqual(self.tried(), ["a@one.test"])
        self.assertTrue(self.site.direct.drained[-1])
        self.site.direct.outcomes.clear()
        self.assertEqual(self.order(Action.RESUME, "host:mx1.test"), Done(1, 1))
        self.assertEqual(self.tried(), ["a@one.test"])
        self.assertEqual(self.site.spool.recipient(two).state, State.PAUSED)

    def test_drained_apart(self) -> None:
        """While something is paused, who was drained goes alone; else one delivery takes all of a domain."""
        for paused, deliveries in ((False, 1), (True, 2)):
            if paused:
                self.order(Action.PAUSE, "host:mx1.test")
            message = self.site.message("a@one.test", "b@one.test")
            message.recipients[0].drained = True
            self.site.manager.accepted(message)
            self.assertEqual(len(self.site.direct.attempts), deliveries)
            self.tried()

    def test_waiting_is_taken_back(self) -> None:
        """What has not begun is not begun any more; what is under way ends."""
        self.site.direct.hangs = lambda _: True
        ids = [self.site.accept(f"u{number}@paused.test") for number in range(6)]
        self.assertEqual(len(self.site.direct.running), 4)
        self.assertEqual(self.order(Action.PAUSE, "paused.test"), Done(6, 6))
        running = list(self.site.direct.running)
        for attempt in running:
            attempt.answer(Outcome.deferred("busy", "4.3.2"))
        self.assertEqual(self.site.direct.running, [])
        self.assertEqual({self.site.spool.recipient(each).state for each in ids}, {State.PAUSED})

    def test_drain(self) -> None:
        """A drain tries what waits, paused or not, and what has been drained goes on being tried; later mail stays paused."""
        self.order(Action.PAUSE, "one.test")
        self.site.accept("a@one.test")
        self.assertEqual(self.tried(), [])
        self.assertEqual(self.order(Action.DRAIN, "one.test"), Done(1, 1))
        self.assertEqual(self.tried(), ["a@one.test"])
        self.site.accept("b@one.test")
        self.site.advance(400)
        self.assertEqual(self.tried(), ["a@one.test"])
