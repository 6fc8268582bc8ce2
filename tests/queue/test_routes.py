"""Routing by table, and the agents that it leads to: from the queue's side."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.event import Kind
from hermes.core.message import State
from hermes.core.outcome import Outcome, Result
from hermes.core.route import Route, RouteTable
from hermes.interfaces import IDeliveryAgent
from hermes.queue.routed import Hold, Refuse
from hermes.queue.router import NO_SUCH_ADDRESS, Router
from tests.support.queue_site import Site, SmallDirectory

TABLE = RouteTable(
    [
        Route("held", ("held.test",), (), "hold"),
        Route("out", ("out.test", "example.org"), (), "direct"),
        Route("bobs", ("bob@example.org",), (), "lmtp", "127.0.0.1:24"),
        Route("new", ("new@example.org",), (), "pipe", "/bin/cat", open_to_all=True),
        Route("no", ("no.test",), (), "refuse", "Not there"),
    ]
)


class RouterTests(SynchronousTestCase):
    """Where the table stands among the other rules."""

    def test_ways(self) -> None:
        """It comes before smart hosts, backups and mailboxes; what it does not name goes as ever."""
        router = Router(
            SmallDirectory("bob", "carol", "postmaster"),
            smarthost="default",
            backups=("out.test",),
            postmaster="carol@example.org",
            routes=TABLE,
        )
        for address, expected in (
            ("x@held.test", "hold:held"),
            ("x@Out.TEST", "direct:out.test"),
            ("x@other.test", "smarthost:default"),
            ("Bob@example.org", "lmtp:127.0.0.1:24"),
            ("carol@example.org", "local:carol"),
            ("new@example.org", "pipe:/bin/cat"),
            ("nobody@example.org", NO_SUCH_ADDRESS),
            ("postmaster@example.org", "local:postmaster"),
            ("postmaster", "local:carol"),
            ("x@no.test", "refuse:no"),
        ):
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(router.route(address))), expected, address)
        released = router.route("x@held.test", released=True)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(released)), "smarthost:default")


class HoldTests(SynchronousTestCase):
    """Mail that a route holds."""

    def setUp(self) -> None:
        """A site that holds mail for held.test."""
        self.site = Site()
        router = Router(self.site.directory, direct_enabled=True, routes=TABLE)
        self.site.manager.reconfigure(
            self.site.settings,
            router,
            {"local": self.site.local, "direct": self.site.direct},
            self.site.limits,
            hostname="mail.example.org",
            postmaster="postmaster@example.org",
        )
        self.site.manager.start()

    def test_held_and_released(self) -> None:
        """It waits, for as long as it takes; others of the message go on; released, it goes and is not held again."""
        self.site.direct.default = Outcome.deferred("busy", "4.3.2")
        queue_id = self.site.accept("x@held.test", "y@free.test")
        self.assertEqual(self.site.direct.attempts[0].addresses, ["x@held.test"])
        self.site.advance(600)
        held, free = self.site.spool.recipient(queue_id), self.site.spool.recipient(queue_id, 1)
        self.assertEqual((held.state, held.last_reason), (State.HELD, "held by [route:held] until it is released"))
        self.assertIs(free.state, State.QUEUED)
        self.assertIn(Kind.HELD, self.site.spool.kinds(queue_id))
        self.site.advance(self.site.settings.expire, 100)
        self.assertEqual([each.address for each in self.site.spool.messages[queue_id].recipients], ["x@held.test"])
        self.site.direct.default = Outcome(Result.RELAYED, "taken", "2.0.0")
        self.assertTrue(self.successResultOf(Deferred.fromCoroutine(self.site.manager.release(queue_id))))
        self.assertNotIn(queue_id, self.site.spool.messages)


class AgentTests(SynchronousTestCase):
    """Hold and Refuse by themselves."""

    def outcome(self, agent: IDeliveryAgent, next_hop: str) -> Outcome:
        """What becomes of a recipient."""
        verifyObject(IDeliveryAgent, agent)
        site = Site()
        message = site.message("x@no.test")
        (outcome,) = self.successResultOf(Deferred.fromCoroutine(agent.deliver(next_hop, message, message.recipients)))
        return outcome

    def test_hold(self) -> None:
        """Held by a route with a name."""
        outcome = self.outcome(Hold(), "held")
        self.assertEqual((outcome.result, outcome.reason), (Result.HELD, "held by [route:held] until it is released"))

    def test_refuse(self) -> None:
        """Failed in the words of the route; put off when there is no such route any more."""
        outcome = self.outcome(Refuse(TABLE), "no")
        self.assertEqual((outcome.result, outcome.reason, outcome.status), (Result.FAILED, "Not there", "5.7.1"))
        self.assertIs(self.outcome(Refuse(RouteTable()), "no").result, Result.DEFERRED)
