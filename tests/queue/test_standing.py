"""What is known of destinations, and the parts of the active set that their mail may take."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.sections.queue import QueueSettings
from hermes.queue.active import MAX_OCTETS, RECIPIENTS_A_PLACE, ActiveMessage, ActiveSet, Delivery
from hermes.queue.destinations import Concurrency, Destinations
from hermes.queue.standing import Shares, Standing, Standings
from tests.support.queue_site import DEFERRED, RELAYED, Site

MOST = 160
STRANGERS = Concurrency(10, 5, 1, None, 20, strangers=True)


class StandingsTests(SynchronousTestCase):
    """What destinations did the last time."""

    def test_last_time(self) -> None:
        """Only the last time counts."""
        standings = Standings()
        self.assertIs(standings.of("direct:x.test"), Standing.UNKNOWN)
        standings.learn("direct:x.test", True)
        self.assertIs(standings.of("direct:x.test"), Standing.ANSWERED)
        standings.learn("direct:x.test", False)
        self.assertIs(standings.of("direct:x.test"), Standing.FAILED)

    def test_bound(self) -> None:
        """With one more than are remembered that one is forgotten of which nothing was heard for the longest time."""
        standings = Standings(2)
        for name in ("a", "b", "a"):
            standings.learn(name, True)
        self.assertIs(standings.of("b"), Standing.ANSWERED)
        standings.learn("c", False)
        self.assertIs(standings.of("b"), Standing.UNKNOWN)
        self.assertEqual(standings.names({Standing.ANSWERED, Standing.UNKNOWN}), {"a"})
        self.assertEqual(standings.names({Standing.FAILED}), {"c"})
        self.assertEqual(standings.names(set()), set())


class SharesTests(SynchronousTestCase):
    """160 messages: 30 for those that answered, 90 for those of which nothing is known, 20 for those that failed."""

    def setUp(self) -> None:
        """Nothing is taken."""
        self.site = Site()
        self.shares = Shares(MOST)

    def active(self, recipients: int = 1, octets: int = 10) -> ActiveMessage:
        """A message."""
        message = self.site.message(*(f"u{number}@x.test" for number in range(recipients)))
        return ActiveMessage(message, octets, recipients, incomplete=False)

    def fill(
        self, standing: Standing, make: Callable[[], ActiveMessage] | None = None, *, fresh: bool = False
    ) -> list[ActiveMessage]:
        """As many as are admitted."""
        taken = []
        while self.shares.admits(active := (make or self.active)(), standing, fresh=fresh):
            taken.append(active)
        return taken

    def test_each_has_its_own(self) -> None:
        """Each kind has its part, and none takes from another; an eighth is left for other mail."""
        counts = [len(self.fill(standing)) for standing in Standing]
        self.assertEqual(counts, [30, 90, 20])
        self.assertEqual(len(self.shares), MOST - MOST // 8)

    def test_recipients_and_octets(self) -> None:
        """A few messages to many people, or large ones, fill a part as well; one always fits."""
        most = 20 * RECIPIENTS_A_PLACE
        self.assertEqual(len(self.fill(Standing.FAILED, lambda: self.active(most - 1))), 2)
        self.shares = Shares(MOST)
        self.assertEqual(len(self.fill(Standing.FAILED, lambda: self.active(most))), 1)
        self.shares = Shares(MOST)
        self.assertEqual(len(self.fill(Standing.FAILED, lambda: self.active(1, MAX_OCTETS // 8 - 1))), 2)
        self.shares = Shares(1)
        self.assertEqual([len(self.fill(standing)) for standing in Standing], [1, 1, 1])

    def test_several_kinds(self) -> None:
        """A message has one place in each of its kinds, however many destinations of them it goes to."""
        active = self.active()
        for standing in (Standing.FAILED, Standing.UNKNOWN, Standing.FAILED):
            self.assertTrue(self.shares.admits(active, standing, fresh=True))
        self.assertEqual(len(self.shares), 1)
        self.assertEqual(len(self.fill(Standing.FAILED)), 19)
        self.assertTrue(self.shares.admits(active, Standing.FAILED, fresh=True))
        self.assertEqual(len(self.shares), 20)
        self.shares.left(active)
        self.shares.left(active)
        self.assertEqual(len(self.shares), 19)

    def test_opens_again(self) -> None:
        """A part that was full says once that there is room again, when an eighth of it is free."""
        taken = self.fill(Standing.UNKNOWN)
        self.assertTrue(self.shares.closed(Standing.UNKNOWN))
        for _ in range(11):
            self.assertFalse(self.shares.left(taken.pop()))
        # 79 of 90 are more than seven eighths.
        self.assertFalse(self.shares.admits(self.active(), Standing.UNKNOWN, fresh=True))
        self.assertTrue(self.shares.left(taken.pop()))
        self.assertFalse(self.shares.left(taken.pop()))

    def test_what_waits_on_disk_comes_first(self) -> None:
        """Until all has come that waited on disk, fresh mail leaves it a quarter."""
        taken = self.fill(Standing.FAILED)
        while taken:
            self.shares.left(taken.pop())
        self.assertEqual(len(self.fill(Standing.FAILED, fresh=True)), 15)
        self.assertEqual(len(self.fill(Standing.FAILED)), 5)

    def test_all_that_waited_has_come(self) -> None:
        """Then fresh mail may have all of it; but not when some was turned away meanwhile."""
        for turned_away in (False, True):
            self.shares = Shares(MOST)
            for active in self.fill(Standing.FAILED):
                self.shares.left(active)
            self.shares.busy((), Standings(), {"direct"})
            if turned_away:
                for active in self.fill(Standing.FAILED):
                    self.shares.left(active)
            self.shares.looked()
            self.assertEqual(len(self.fill(Standing.FAILED, fresh=True)), 15 if turned_away else 20)

    def test_what_stays(self) -> None:
        """What is not asked for: the kinds that are full, under all their names, and what is given beside."""
        standings = Standings()
        standings.learn("direct:well", True)
        standings.learn("direct:ill", False)
        names = ("direct:well", "direct:ill", "direct:new", "smarthost:old", "direct:busy", "local:a")

        def stays() -> set[str]:
            busy = self.shares.busy(["direct:busy"], standings, {"direct"})
            return {name for name in names if name in busy}

        self.shares.also_known_as(Standing.FAILED, "smarthost:old")
        self.assertEqual(stays(), {"direct:busy"})
        ill = self.fill(Standing.FAILED)
        self.shares.also_known_as(Standing.FAILED, "smarthost:old")
        self.assertEqual(stays(), {"direct:busy", "direct:ill", "smarthost:old"})
        new = self.fill(Standing.UNKNOWN)
        self.assertEqual(stays(), {"direct:busy", "direct:ill", "smarthost:old", "direct:new"})
        for active in ill:
            self.shares.left(active)
        self.assertEqual(stays(), {"direct:busy", "direct:new"})
        self.fill(Standing.ANSWERED)
        self.assertEqual(stays(), {"direct:busy", "direct:new", "direct:well"})
        for active in new:
            self.shares.left(active)
        self.assertEqual(stays(), {"direct:busy", "direct:well"})


class TurnTests(SynchronousTestCase):
    """Whose turn it is when a connection is free."""

    def setUp(self) -> None:
        """Ten connections, and twenty deliveries that may keep us waiting."""
        self.destinations = Destinations({"direct": STRANGERS}, MOST)
        self.site = Site()
        self.running: list[Delivery] = []

    def add(self, name: str) -> bool:
        """One delivery; True when it starts."""
        message = self.site.message("x@x.test")
        delivery = Delivery(ActiveSet(1).add(message), f"direct:{name}", "direct", name, message.recipients)
        started = self.destinations.add(delivery)
        self.running += [delivery] if started else []
        return started

    def learn(self, name: str, well: bool) -> None:
        """Let it answer, or not."""
        self.assertTrue(self.add(name))
        self.destinations.ended(self.running.pop(), well)

    def hang(self) -> None:
        """All that run keep us waiting."""
        for delivery in self.running:
            if not delivery.keeps_waiting:
                self.destinations.keeps_waiting(delivery)

    def test_kinds_take_turns(self) -> None:
        """However many of one kind wait, each third place goes to each kind."""
        for number in range(3):
            self.learn(f"well{number}", True)
            self.learn(f"ill{number}", False)
        for number in range(10):
            self.assertTrue(self.add(f"first{number}"))
        for number in range(20):
            self.add(f"new{number}")
        for number in range(3):
            self.add(f"ill{number}")
            self.add(f"well{number}")
        order = []
        for delivery in self.running[:9]:
            self.destinations.ended(delivery)
            taken = self.destinations.take()
            assert taken is not None
            order.append(taken.next_hop)
        self.assertEqual({name.rstrip("0123456789") for name in order[:3]}, {"well", "new", "ill"})
        self.assertEqual(sum(name.startswith("well") for name in order), 3)
        self.assertEqual(sum(name.startswith("ill") for name in order), 3)

    def test_kept(self) -> None:
        """When all that may keep us waiting do, a tenth of the connections is for those that have answered; not before."""
        self.learn("well", True)
        for number in range(10):
            self.add(f"a{number}")
        self.hang()
        for number in range(9):
            self.add(f"b{number}")
        self.hang()
        self.assertTrue(all(self.add(f"c{number}") for number in range(10)))
        self.destinations.ended(self.running.pop())
        # 19 of 20 keep us waiting, and nine connections are taken.
        self.destinations.keeps_waiting(self.running[19])
        self.assertTrue(self.add("d0"))
        self.assertFalse(self.add("d1"))
        self.assertTrue(self.add("well"))
        self.assertFalse(self.add("well"))

    def test_late(self) -> None:
        """Who found no place among those that keep us waiting gets the next one that is free."""
        for number in range(10):
            self.add(f"a{number}")
        self.hang()
        for number in range(10):
            self.add(f"b{number}")
        self.hang()
        for number in range(9):
            self.add(f"c{number}")
        self.hang()
        self.assertFalse(self.add("d0"))
        self.assertEqual([each.keeps_waiting for each in self.running], [True] * 20 + [False] * 9)
        # One of the late ones ends: nobody is set aside for it.
        self.destinations.ended(self.running.pop(20))
        self.assertIsNotNone(self.destinations.take())
        self.destinations.ended(self.running.pop(0))
        self.assertEqual([each.keeps_waiting for each in self.running], [True] * 20 + [False] * 7)
        self.assertTrue(self.add("d1"))
        self.assertFalse(self.add("d2"))

    def test_one_connection(self) -> None:
        """The only one is for all."""
        self.destinations = Destinations({"direct": Concurrency(1, 1, 1, None, 1)}, MOST)
        self.assertTrue(self.add("a"))
        self.hang()
        self.assertTrue(self.add("b"))
        self.hang()
        self.assertFalse(self.add("c"))


class ActiveSetTests(SynchronousTestCase):
    """More messages than the active set holds go to destinations that hang, each to another one."""

    def site(self) -> Site:
        """A set of 160 places."""
        made = Site(QueueSettings(active=MOST), {"local": Concurrency(20, 10), "direct": STRANGERS})
        made.direct.hangs = lambda next_hop: next_hop.startswith("hangs")
        return made

    def test_other_mail(self) -> None:
        """Mail that stays here is delivered at once, fresh and from disk."""
        for fresh in (True, False):
            made = self.site()
            addresses = [f"x@hangs{number}.test" for number in range(5 * MOST)] + ["bob@example.org"] * 2 * MOST
            if fresh:
                made.manager.start()
                ids = [made.accept(each) for each in addresses][5 * MOST :]
            else:
                ids = [made.message(each).queue_id for each in addresses][5 * MOST :]
                made.manager.start()
            made.advance(5, steps=50)
            self.assertEqual([each for each in ids if each in made.spool.messages], [], fresh)
            self.assertLessEqual(made.active, 90)

    def test_named_destinations(self) -> None:
        """Destinations that the settings name have no parts: what is for them passes by as well."""
        made = Site(
            QueueSettings(active=MOST),
            {"local": STRANGERS, "direct": STRANGERS, "lmtp": Concurrency(10, 5, 1, None, 20)},
        )
        destinations = made.manager._dispatcher.destinations
        made.direct.hangs = lambda _: True
        made.manager.start()
        for number in range(5 * MOST):
            made.accept(f"x@hangs{number}.test")
        self.assertIn("direct:new.test", destinations.busy())
        self.assertNotIn("lmtp:store:24", destinations.busy())
        message = made.message("x@x.test")
        active = ActiveMessage(message, 10, 1, incomplete=False)
        self.assertFalse(destinations.admits(active, "direct:new.test", 50, fresh=True))
        self.assertTrue(destinations.admits(active, "lmtp:store:24", 50, fresh=True))

    def test_known_destination(self) -> None:
        """Mail for a destination that has answered is taken from disk although that for unknown ones stays there."""
        made = self.site()
        made.manager.start()
        made.accept("x@well.test")
        for number in range(5 * MOST):
            made.accept(f"x@hangs{number}.test")
        made.advance(1)
        later = [made.message("x@well.test").queue_id for _ in range(50)]
        made.manager.wake()
        made.advance(5, steps=50)
        self.assertEqual([each for each in later if each in made.spool.messages], [])

    def test_both_in_one_message(self) -> None:
        """Who is here gets a message at once whose other recipients have to wait; they follow, and nobody gets it twice."""
        made = self.site()
        made.manager.start()
        for number in range(5 * MOST):
            made.accept(f"x@hangs{number}.test")
        queue_id = made.accept("bob@example.org", "x@other.test")
        self.assertEqual([each.ordinal for each in made.spool.messages[queue_id].recipients], [1])
        made.direct.hangs = lambda _: False
        while made.direct.running:
            made.direct.running[0].answer(RELAYED)
            made.advance(0.2)
        made.advance(5, steps=50)
        self.assertEqual(made.spool.messages, {})
        self.assertEqual(len(made.direct.attempts), 5 * MOST + 1)
        self.assertEqual(len(made.local.attempts), 1)

    def test_stored_under_another_name(self) -> None:
        """Mail that the spool has under other names, and that finds no room now, is not asked for again and again."""
        made = self.site()
        for number in range(3 * MOST):
            queue_id = made.message(f"x@hangs{number}.test").queue_id
            made.spool.recipient(queue_id).destination = f"smarthost:old{number % 50}"
        made.manager.start()
        made.advance(5, steps=50)
        asked = made.spool.calls.count("due")
        made.advance(10, steps=50)
        self.assertEqual(made.spool.calls.count("due"), asked)
        made.direct.hangs = lambda _: False
        while made.direct.running:
            made.direct.running[0].answer(RELAYED)
            made.advance(0.2)
        made.advance(5, steps=50)
        self.assertEqual(made.spool.messages, {})

    def test_failed_ones_have_their_turn(self) -> None:
        """Those that failed are tried again while unknown ones go on hanging."""
        made = self.site()
        made.direct.outcomes = {"ill.test": DEFERRED}
        made.manager.start()
        queue_id = made.accept("x@ill.test")
        made.direct.outcomes = {}
        made.advance(200)
        for number in range(5 * MOST):
            made.accept(f"x@hangs{number}.test")
        made.manager._dispatcher.destinations._standings.learn("direct:ill.test", False)
        for number in range(200):
            made.advance(1)
            if number % 5 == 0:
                made.direct.running[0].answer(RELAYED)
        self.assertNotIn(queue_id, made.spool.messages)
