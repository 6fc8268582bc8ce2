"""Shares of the active set and turns, without messages going anywhere."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.queue.active import ActiveSet, Delivery
from hermes.queue.destinations import DEFAULT_CONCURRENCY, Concurrency, Destinations
from tests.support.queue_site import Site

MOST = 100
SHARE = MOST // 4


class DestinationsTests(SynchronousTestCase):
    """One agent with destinations that may run two deliveries each."""

    def setUp(self) -> None:
        """An active set of a hundred places."""
        self.destinations = Destinations({"direct": Concurrency(50, 2)}, MOST)
        self.site = Site()
        self.started: list[Delivery] = []

    def add(self, count: int, name: str = "direct:x.test") -> None:
        """So many deliveries for a destination."""
        agent, _, next_hop = name.partition(":")
        for _ in range(count):
            message = self.site.message("x@x.test")
            delivery = Delivery(ActiveSet(1).add(message), name, agent, next_hop, message.recipients)
            if self.destinations.add(delivery):
                self.started.append(delivery)

    def end(self, count: int) -> bool:
        """So many deliveries end, and others begin; True when there is room for mail on disk again."""
        reopened = False
        for _ in range(count):
            reopened = self.destinations.ended(self.started.pop(0)) or reopened
            while (delivery := self.destinations.take()) is not None:
                self.started.append(delivery)
        return reopened

    def has_room(self, *, fresh: bool, free: int = MOST, name: str = "direct:x.test") -> bool:
        """Whether one more would be taken."""
        return self.destinations.has_room(name, free, fresh=fresh)

    def test_share(self) -> None:
        """A quarter of the active set is one destination's share, for fresh mail and for mail from disk."""
        self.assertTrue(self.has_room(fresh=True))
        self.add(SHARE - 1)
        self.assertTrue(self.has_room(fresh=True))
        self.add(1)
        self.assertFalse(self.has_room(fresh=False))
        self.assertEqual(self.destinations.looking(), ["direct:x.test"])

    def test_share_shrinks(self) -> None:
        """No destination gets more than half of what is free, but each gets one place while there is any."""
        self.add(9)
        self.assertTrue(self.has_room(fresh=True, free=20))
        self.add(1)
        self.assertFalse(self.has_room(fresh=True, free=20))
        self.assertTrue(self.has_room(fresh=True, free=1, name="direct:y.test"))

    def test_share_of_a_small_set(self) -> None:
        """In a small active set a destination may have twice what it may run, but never more than half of the set."""
        for most, share in ((10, 4), (6, 3), (2, 1)):
            self.destinations = Destinations({"direct": Concurrency(50, 2)}, most)
            self.add(share - 1)
            self.assertTrue(self.has_room(fresh=True))
            self.add(1)
            self.assertFalse(self.has_room(fresh=True))

    def test_reopens_at_half(self) -> None:
        """A destination that was full says once that there is room again: when half of its share has gone."""
        self.add(SHARE)
        self.has_room(fresh=True)
        self.assertFalse(self.end(SHARE - SHARE // 2 - 1))
        self.assertFalse(self.has_room(fresh=True))
        self.assertTrue(self.end(1))
        self.assertFalse(self.end(1))
        self.assertEqual(self.destinations.looking(), [])

    def test_full_and_then_empty(self) -> None:
        """Nothing is remembered of a destination without deliveries."""
        self.add(SHARE)
        self.has_room(fresh=True)
        self.assertTrue(self.end(SHARE))
        self.assertEqual(self.destinations.describe(), [])

    def test_what_waits_on_disk_comes_first(self) -> None:
        """Until all that waited on disk has come, fresh mail leaves it a quarter of the share."""
        self.add(SHARE)
        self.has_room(fresh=True)
        self.end(SHARE - SHARE // 2)
        self.destinations.looking()
        self.add(SHARE * 3 // 4 - SHARE // 2)
        self.assertTrue(self.has_room(fresh=False))
        self.assertFalse(self.has_room(fresh=True))

    def test_all_that_waited_has_come(self) -> None:
        """Then fresh mail may have the whole share; but not when some was turned away meanwhile."""
        for turned_away in (False, True):
            self.setUp()
            self.add(SHARE)
            self.has_room(fresh=True)
            self.end(SHARE - SHARE // 2)
            self.destinations.looking()
            if turned_away:
                self.add(SHARE - SHARE // 2)
                self.has_room(fresh=True)
                self.end(SHARE - SHARE // 2)
            self.destinations.looked()
            self.add(SHARE * 3 // 4 - SHARE // 2)
            self.assertEqual(self.has_room(fresh=True), not turned_away)

    def test_answer_to_an_earlier_question(self) -> None:
        """Mail from disk that was asked for before the destination closed is taken while it fits; fresh mail is not."""
        self.add(SHARE)
        self.has_room(fresh=True)
        self.end(3)
        self.assertFalse(self.has_room(fresh=True))
        self.assertTrue(self.has_room(fresh=False))

    def test_other_names(self) -> None:
        """A full destination is not asked for under its other names either, until it has room again."""
        self.add(SHARE)
        self.has_room(fresh=False)
        for stored in ("direct:x.test", "smarthost:old"):
            self.destinations.also_known_as("direct:x.test", stored)
        self.assertEqual(self.destinations.looking(), ["direct:x.test", "smarthost:old"])
        self.end(SHARE - SHARE // 2)
        self.assertEqual(self.destinations.looking(), [])

    def test_unknown_agent(self) -> None:
        """An agent without limits has those that are safe for any."""
        self.add(DEFAULT_CONCURRENCY.per_destination + 1, "other:x.test")
        self.assertEqual(len(self.started), DEFAULT_CONCURRENCY.per_destination)

    def test_turns(self) -> None:
        """Destinations of one agent take turns when there are places again."""
        self.destinations = Destinations({"direct": Concurrency(3, 1)}, MOST)
        for name in ("direct:a.test", "direct:b.test", "direct:c.test", "direct:d.test"):
            self.add(3, name)
        order = [delivery.next_hop for delivery in self.started]
        while self.started:
            before = len(self.started)
            self.end(1)
            order += [delivery.next_hop for delivery in self.started[before - 1 :]]
        self.assertEqual(len(order), 12)
        self.assertEqual(set(order[:4]), {"a.test", "b.test", "c.test", "d.test"})
