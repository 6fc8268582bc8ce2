"""Orders for a selection: what the relay manager does beside what the store does."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.sections.queue import QueueSettings
from hermes.core.event import Kind
from hermes.core.message import State
from hermes.core.order import Action, Done, Order
from hermes.core.selection import Selection
from tests.support.queue_site import DEFERRED, FAILED, START, Site

HOUR = 3600.0


class SelectionTests(SynchronousTestCase):
    """carry_out()."""

    def setUp(self) -> None:
        """A site whose mail for other domains cannot be delivered now."""
        self.site = Site(QueueSettings(delay_warning=()))
        self.site.direct.default = DEFERRED
        self.site.manager.start()
        self.ids = [self.site.accept(f"x@d{number}.test", "y@other.test") for number in range(5)]

    def order(self, action: Action, *, to: str = "", **more: Any) -> Done:
        """Give an order."""
        selection = more.pop("selection", Selection(to=to))
        return self.successResultOf(
            Deferred.fromCoroutine(self.site.manager.carry_out(Order(action, selection, **more)))
        )

    def states(self) -> list[State]:
        """The states of all recipients at other.test."""
        return [self.site.spool.recipient(each, 1).state for each in self.ids]

    def test_hold_and_release(self) -> None:
        """All steps are taken; who was held is tried when he is released, and nobody else is."""
        self.assertEqual(self.order(Action.HOLD, to="other.test"), Done(5, 5))
        self.assertEqual(self.states(), [State.HELD] * 5)
        before = len(self.site.direct.attempts)
        self.site.advance(300)
        self.site.advance(60)
        self.assertEqual(
            {a for each in self.site.direct.attempts[before:] for a in each.addresses if "other" in a}, set()
        )
        before = len(self.site.direct.attempts)
        self.assertEqual(self.order(Action.RELEASE, to="*"), Done(5, 5))
        released = [address for each in self.site.direct.attempts[before:] for address in each.addresses]
        self.assertEqual(released, ["y@other.test"] * 5)

    def test_retry(self) -> None:
        """Only those that are meant are tried now."""
        before = len(self.site.direct.attempts)
        self.assertEqual(self.order(Action.RETRY, to="d3.test"), Done(1, 1))
        self.assertEqual([each.addresses for each in self.site.direct.attempts[before:]], [["x@d3.test"]])

    def test_nothing(self) -> None:
        """An order for nobody does nothing."""
        self.assertEqual(self.order(Action.REMOVE, to="nobody.test"), Done())
        self.assertEqual(len(self.site.spool.messages), 5)

    def test_remove(self) -> None:
        """Nobody is told; a message goes with its last recipient."""
        self.assertEqual(self.order(Action.REMOVE, to="other.test"), Done(5, 5))
        self.assertEqual(len(self.site.spool.messages), 5)
        self.assertEqual(self.order(Action.REMOVE), Done(5, 5))
        self.assertEqual((self.site.spool.messages, self.site.spool.reports), ({}, []))

    def test_return(self) -> None:
        """Who is returned fails, with a report to the sender; the others of the message go on."""
        self.assertEqual(self.order(Action.RETURN, to="d1.test"), Done(1, 1))
        self.assertEqual([each.recipients[0].address for each in self.site.spool.reports], ["a@example.org"])
        self.assertEqual([each.address for each in self.site.spool.messages[self.ids[1]].recipients], ["y@other.test"])
        self.assertIn(Kind.FAILED, self.site.spool.kinds(self.ids[1]))

    def test_return_under_way(self) -> None:
        """With whom an attempt is under way, it ends; then who was to be returned is, and only he."""
        self.site.direct.hangs = lambda _: True
        self.order(Action.RETRY, selection=Selection(ids=(self.ids[0],)))
        attempts = list(self.site.direct.running)
        self.assertEqual(len(attempts), 2)
        self.order(Action.RETURN, selection=Selection(ids=(self.ids[0],), to="other.test"))
        self.order(Action.RETURN, selection=Selection(ids=(self.ids[0],), to="other.test"))
        self.assertEqual(self.site.spool.reports, [])
        for each in attempts:
            each.answer(DEFERRED)
        left = self.site.spool.messages[self.ids[0]].recipients
        self.assertEqual([each.address for each in left], ["x@d0.test"])
        self.assertEqual(len(self.site.spool.reports), 1)

    def test_return_all_under_way(self) -> None:
        """A return of the whole message is not made less by one of a part of it, before or after."""
        for first in (True, False):
            site = self.site = Site()
            site.direct.hangs = lambda _: True
            site.manager.start()
            queue_id = site.accept("x@d.test", "y@other.test")
            part, whole = Selection(to="d.test"), Selection()
            for selection in (whole, part) if first else (part, whole):
                if selection is whole:
                    self.successResultOf(Deferred.fromCoroutine(site.manager.return_now(queue_id)))
                else:
                    self.order(Action.RETURN, selection=selection)
            for each in list(site.direct.running):
                each.answer(DEFERRED)
            self.assertNotIn(queue_id, site.spool.messages)

    def test_reroute(self) -> None:
        """They go that way now and at later attempts, until the configuration says the way again."""
        self.site.local.default = DEFERRED
        self.assertEqual(self.order(Action.REROUTE, to="d2.test", destination="local:bob"), Done(1, 1))
        self.site.advance(6 * HOUR, 100)
        self.assertGreater(len(self.site.local.attempts), 3)
        self.assertEqual({each.next_hop for each in self.site.local.attempts}, {"bob"})
        rerouted = [event for event in self.site.spool.events if event.kind is Kind.REROUTED]
        self.assertEqual([event.facts["destination"] for event in rerouted], ["local:bob"])
        self.site.direct.default = FAILED
        self.order(Action.REROUTE, to="d2.test")
        self.assertEqual(self.site.direct.attempts[-1].addresses, ["x@d2.test"])

    def test_expire(self) -> None:
        """Who expires sooner is given up at that time; who expires later, and as configured again, is not."""
        settings = self.site.settings
        self.order(Action.EXPIRE, to="d0.test", expires_at=START + HOUR)
        self.order(Action.EXPIRE, to="d1.test", expires_at=START + settings.expire + 10 * HOUR)
        self.order(Action.EXPIRE, to="d2.test", expires_at=START + HOUR)
        self.order(Action.EXPIRE, to="d2.test")
        self.site.advance(HOUR + 60, 30)
        expired = [event.address for event in self.site.spool.events if event.kind is Kind.EXPIRED]
        self.assertEqual(expired, ["x@d0.test"])
        self.site.advance(settings.expire, 500)
        left = [each.address for message in self.site.spool.messages.values() for each in message.recipients]
        self.assertEqual([address for address in left if address.startswith("x@")], ["x@d1.test"])
        facts = [event.facts["expires_at"] for event in self.site.spool.events if event.kind is Kind.EXPIRY]
        self.assertEqual((len(facts), facts[-1]), (4, "as configured"))
