"""Many messages at once: bounds, turns, and destinations that hang without harming others."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.sections.queue import QueueSettings
from hermes.core.envelope import Recipient
from hermes.queue import due
from hermes.queue.active import MAX_OCTETS, RECIPIENTS_A_PLACE, ActiveSet
from hermes.queue.destinations import Concurrency
from tests.support.queue_site import DEFERRED, RELAYED, Site

ACTIVE = 40


def site(active: int = ACTIVE, **limits: Concurrency) -> Site:
    """A site with a small active set; destinations at slow.test hang."""
    made = Site(QueueSettings(active=active), limits or None)
    made.direct.hangs = lambda next_hop: next_hop.endswith("slow.test")
    return made


def settle(made: Site) -> None:
    """Let looks at the disk that are due happen."""
    made.advance(2, steps=20)


class HangingDestinationTests(SynchronousTestCase):
    """One destination that hangs does not delay another."""

    def test_backlog_on_disk(self) -> None:
        """Ten times more messages than the active set holds wait for a server that hangs; mail for others passes by."""
        made = site()
        for _ in range(10 * ACTIVE):
            made.message("x@slow.test")
        others = [made.message(f"x@d{number}.test").queue_id for number in range(10 * ACTIVE)]
        made.manager.start()
        settle(made)
        self.assertEqual([each for each in others if each in made.spool.messages], [])
        self.assertEqual(len(made.spool.messages), 10 * ACTIVE)
        self.assertLessEqual(made.active, ACTIVE // 4)
        self.assertEqual(made.direct.most_at_once["slow.test"], made.limits["direct"].per_destination)

    def test_fresh_mail(self) -> None:
        """The same when all of it comes in fresh: each message for another destination is delivered at once."""
        made = site()
        made.manager.start()
        for number in range(10 * ACTIVE):
            made.accept("x@slow.test")
            self.assertNotIn(made.accept(f"x@d{number}.test"), made.spool.messages)
        self.assertEqual(len(made.spool.messages), 10 * ACTIVE)

    def test_nothing_is_forgotten(self) -> None:
        """When the server answers again, everything that waited is delivered, in the order in which it came."""
        made = site()
        made.manager.start()
        ids = [made.accept("x@slow.test") for _ in range(5 * ACTIVE)]
        while made.direct.running:
            made.direct.running[0].answer(RELAYED)
            made.advance(0.2)
        self.assertEqual(made.spool.messages, {})
        tried = [each.message.queue_id for each in made.direct.attempts]
        self.assertEqual(len(tried), len(ids))
        self.assertEqual(set(tried), set(ids))

    def test_many_hanging_destinations(self) -> None:
        """Even when as many destinations hang as the active set has places, one more still gets through."""
        made = site(direct=Concurrency(10 * ACTIVE, 4))
        made.manager.start()
        for _ in range(10):
            for number in range(ACTIVE - 2):
                made.accept(f"x@h{number}.slow.test")
        queue_id = made.accept("x@example.net")
        settle(made)
        self.assertNotIn(queue_id, made.spool.messages)

    def test_agent_is_shared(self) -> None:
        """Hanging destinations do not take all the connections of their agent."""
        made = site(direct=Concurrency(10, 5))
        made.manager.start()
        for number in (1, 2, 3):
            for _ in range(10):
                made.accept(f"x@h{number}.slow.test")
        self.assertLess(len(made.direct.running), 10)
        self.assertNotIn(made.accept("x@example.net"), made.spool.messages)

    def test_other_recipients_of_the_same_message(self) -> None:
        """A message to a busy destination and to others is delivered to the others; the rest follows when there is room."""
        made = site()
        made.manager.start()
        for _ in range(ACTIVE):
            made.accept("x@slow.test")
        queue_id = made.accept("y@slow.test", "y@example.net", "bob@example.org")
        self.assertEqual([each.ordinal for each in made.spool.messages[queue_id].recipients], [0])
        while made.direct.running:
            made.direct.running[0].answer(RELAYED)
            made.advance(0.2)
        self.assertEqual(made.spool.messages, {})

    def test_destination_opens_while_the_message_is_active(self) -> None:
        """What had to wait for a busy destination is found when the rest of its message has ended, however late."""
        made = site()
        made.manager.start()
        for _ in range(ACTIVE):
            made.accept("x@slow.test")
        queue_id = made.accept("y@slow.test", "y@other.slow.test")
        while waiting := [each for each in made.direct.running if each.next_hop == "slow.test"]:
            waiting[0].answer(RELAYED)
            made.advance(0.2)
        self.assertEqual(list(made.spool.messages), [queue_id])
        made.direct.running[0].answer(RELAYED)
        made.advance(0.2)
        self.assertEqual([each.next_hop for each in made.direct.running], ["slow.test"])

    def test_smart_host_instead(self) -> None:
        """Mail that the spool knows under many names, and that all goes to one hanging host now, does not fill the set."""
        made = site()
        for number in range(10 * ACTIVE):
            queue_id = made.message("x@slow.test", "y@slow.test").queue_id
            made.spool.messages[queue_id].recipients.pop()
            made.spool.recipient(queue_id).destination = f"smarthost:old{number % 50}"
        made.message("bob@example.org")
        made.manager.start()
        settle(made)
        self.assertEqual(len(made.local.attempts), 1)
        self.assertLessEqual(made.active, ACTIVE // 4)
        asked = made.spool.calls.count("due")
        settle(made)
        self.assertEqual(made.spool.calls.count("due"), asked)
        while made.direct.running:
            made.direct.running[0].answer(RELAYED)
            made.advance(0.2)
        self.assertEqual(made.spool.messages, {})


class BoundsTests(SynchronousTestCase):
    """The active set is bounded, in messages, recipients and octets."""

    def test_messages(self) -> None:
        """No more messages than configured are active, wherever they come from."""
        made = site()
        made.direct.hangs = lambda _: True
        made.manager.start()
        for number in range(3 * ACTIVE):
            made.accept(f"x@d{number}.test")
            self.assertLessEqual(made.active, ACTIVE)
        self.assertEqual(made.active, made.limits["direct"].total + ACTIVE - 20)

    def test_concurrency(self) -> None:
        """Deliveries run up to the limit of each destination and of all of an agent's together."""
        made = site(active=1000, direct=Concurrency(7, 3))
        made.direct.hangs = lambda _: True
        made.manager.start()
        for number in range(20):
            made.accept("x@example.net")
            made.accept(f"x@d{number}.test")
        self.assertEqual(len(made.direct.running), 7)
        self.assertLessEqual(made.direct.most_at_once["example.net"], 3)

    def test_waiting_start_when_others_end(self) -> None:
        """Each delivery that ends lets one more begin, and destinations take turns."""
        made = site(active=1000, direct=Concurrency(2, 2))
        made.direct.hangs = lambda _: True
        made.manager.start()
        for _ in range(4):
            made.accept("x@one.test")
        for _ in range(4):
            made.accept("x@two.test")
        order = []
        while made.direct.running:
            order.append(made.direct.running[0].next_hop)
            made.direct.running[0].answer(RELAYED)
        self.assertEqual(len(order), 8)
        self.assertEqual(made.spool.messages, {})
        self.assertNotEqual(order, sorted(order))

    def test_thousands_that_end_at_once(self) -> None:
        """Thousands of deliveries that end as soon as they begin do not pile up on the stack."""
        made = site(active=4000, direct=Concurrency(1, 1))
        made.direct.hangs = lambda _: True
        made.manager.start()
        for _ in range(1000):
            made.accept("x@example.net")
        made.direct.hangs = lambda _: False
        made.direct.running[0].answer(RELAYED)
        settle(made)
        self.assertEqual(made.spool.messages, {})

    def test_active_set(self) -> None:
        """Recipients and octets count as well as messages; what leaves gives back what it took."""
        made = Site()
        messages = ActiveSet(10)
        big = messages.add(made.message(*(f"u{number}@example.net" for number in range(10 * RECIPIENTS_A_PLACE - 1))))
        self.assertEqual(messages.free, 9)
        one = messages.add(made.message("x@example.net"))
        self.assertEqual(messages.free, 0)
        messages.remove(one)
        messages.remove(big)
        self.assertEqual((messages.free, messages.octets, messages.recipients, len(messages)), (10, 0, 0, 0))

    def test_octets(self) -> None:
        """When the memory for messages is used up nothing more is taken, however many places there are."""
        made = Site()
        message = made.message("x@example.net", octets=b"x" * 100_000)
        messages = ActiveSet(10_000)
        while messages.free:
            self.assertLess(messages.octets, MAX_OCTETS)
            message.queue_id = f"{message.queue_id}+"[-200:]
            messages.add(message)
            message = made.message("x@example.net", octets=b"x" * 100_000)
        self.assertGreaterEqual(messages.octets, MAX_OCTETS)
        self.assertLess(len(messages), 700)

    def test_large_message_counts_little(self) -> None:
        """A message whose octets are in a file is not held in memory."""
        made = Site()
        messages = ActiveSet(10)
        message = made.message("x@example.net", octets=b"x" * 200_000)
        message.content = type(message.content)(200_016, 200_000, 16, path="/somewhere")
        self.assertLess(messages.add(message).octets, 10_000)


class LookTests(SynchronousTestCase):
    """The look at the disk."""

    def test_only_one_question_at_a_time(self) -> None:
        """However often somebody says that something has changed, one question is asked, and then one more."""
        made = site()
        made.spool.gates["due"] = gate = Deferred[None]()
        made.manager.start()
        for _ in range(10):
            made.manager.wake()
        self.assertEqual(made.spool.calls, ["due"])
        del made.spool.gates["due"]
        gate.callback(None)
        self.assertEqual(made.spool.calls.count("due"), 2)

    def test_delivered_while_the_question_was_open(self) -> None:
        """A fresh message that is tried while a look is going on is not tried again when the look names it."""
        made = site()
        made.direct.default = DEFERRED
        made.spool.gates["due"] = gate = Deferred[None]()
        messages = [made.message("bob@example.org"), made.message("x@example.net")]
        made.manager.start()
        for message in messages:
            made.manager.accepted(message)
        self.assertEqual(list(made.spool.messages), [messages[1].queue_id])
        del made.spool.gates["due"]
        gate.callback(None)
        settle(made)
        self.assertEqual((len(made.local.attempts), len(made.direct.attempts)), (1, 1))

    def test_fresh_mail_leaves_room_for_what_waits(self) -> None:
        """While mail waits on disk, fresh mail does not take every place as it becomes free."""
        made = site(direct=Concurrency(1000, 1000))
        made.direct.hangs = lambda _: True
        made.manager.start()
        waiting = [made.accept(f"x@d{number}.test") for number in range(2 * ACTIVE)][ACTIVE:]
        fresh = 1000
        while {each.message.queue_id for each in made.direct.attempts}.isdisjoint(waiting[-1:]):
            made.direct.running[0].answer(RELAYED)
            made.accept(f"x@d{fresh}.test")
            made.advance(0.01)
            fresh += 1
            self.assertLess(fresh, 1000 + 20 * ACTIVE)

    def test_pages(self) -> None:
        """A long queue is read in pages, each when there is room for it."""
        made = Site(QueueSettings(active=10_000), {"direct": Concurrency(10_000, 5000)})
        for number in range(2 * due.PAGE + 1):
            made.message(f"x@d{number}.test")
        made.manager.start()
        self.assertEqual(made.spool.messages, {})
        self.assertEqual(made.spool.calls.count("due"), 3)

    def test_idle_server_does_nothing(self) -> None:
        """With an empty queue there is no timer and no question."""
        made = site()
        made.manager.start()
        made.accept("bob@example.org")
        made.spool.calls.clear()
        self.assertEqual(made.clock.getDelayedCalls(), [])
        made.advance(100_000, steps=10)
        self.assertEqual(made.spool.calls, [])

    def test_clock_is_set_back(self) -> None:
        """The timer runs out after a quarter of an hour at the latest, for the clock on the wall may be set meanwhile."""
        made = site()
        made.direct.default = DEFERRED
        made.manager.start()
        queue_id = made.accept("x@example.net")
        made.spool.recipient(queue_id).next_attempt_at = made.now() + 100_000
        made.manager.wake()
        made.advance(400)
        made.spool.recipient(queue_id).next_attempt_at = made.now()
        made.advance(due.MAX_PAUSE_SECONDS)
        self.assertEqual(len(made.direct.attempts), 2)

    def test_recipients_wait_for_their_own_time(self) -> None:
        """Recipients of one message that are due at different times are tried at their own."""
        made = site()
        made.direct.outcomes = {"one.test": DEFERRED, "two.test": DEFERRED}
        made.manager.start()
        queue_id = made.accept(Recipient("x@one.test"), Recipient("y@two.test"))
        made.spool.recipient(queue_id, 1).next_attempt_at = made.now() + 5000
        made.advance(400)
        self.assertEqual([each.next_hop for each in made.direct.attempts], ["one.test", "two.test", "one.test"])
