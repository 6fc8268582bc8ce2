"""ETRN (RFC 1985): who may ask, for what, how often, and what is answered."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.order import Action, Done, Order
from hermes.core.reply import Reply
from hermes.core.selection import Selection
from hermes.protocols.smtp.events import Flavor
from hermes.services.turning import MAX_NODES, PAUSE_SECONDS, Turning
from tests.support.smtp_site import Client, Site


class Relay:
    """Has some messages for each domain."""

    def __init__(self, **messages: int) -> None:
        self.messages = messages
        self.orders: list[Order] = []
        self.fault: Exception | None = None

    async def carry_out(self, order: Order) -> Done:
        """So many."""
        if self.fault is not None:
            raise self.fault
        self.orders.append(order)
        count = self.messages.get(order.selection.what.partition(".")[0].lower(), 0)
        return Done(count, count)


class TurningTests(SynchronousTestCase):
    """turn()."""

    def setUp(self) -> None:
        """Two relay managers."""
        self.clock = Clock()
        self.relays = [Relay(one=1, many=2), Relay(many=3)]
        self.turning = Turning(self.clock.seconds, lambda: self.relays)

    def turn(self, node: str) -> Reply:
        """Ask."""
        return self.successResultOf(Deferred.fromCoroutine(self.turning.turn(node)))

    def test_answers(self) -> None:
        """How much is tried now, by all who have some (RFC 1985 5.3)."""
        for node, said in (
            ("none.example", "251 2.0.0 No messages"),
            ("one.example", "253 2.0.0 1 pending message for"),
            ("MANY.example", "253 2.0.0 5 pending messages for"),
        ):
            self.assertTrue(str(self.turn(node)).startswith(said), node)
        self.assertEqual({order.action for relay in self.relays for order in relay.orders}, {Action.DRAIN})

    def test_nodes(self) -> None:
        """A domain; @ and all below it, too; # and a destination."""
        for node, names in (
            ("a.example", ["a.example"]),
            ("@a.example", ["a.example", "*.a.example"]),
            ("#smarthost:o", ["smarthost:o"]),
        ):
            self.turn(node)
            self.assertEqual(
                [order.selection for order in self.relays[0].orders], [Selection(what=name) for name in names]
            )
            self.relays[0].orders.clear()

    def test_nonsense(self) -> None:
        """What is no node has nobody go through the queue."""
        for node in ("@", "#", "a_b", "*", "#*", "@*.example", "a?.example", "é.example"):
            self.assertEqual(self.turn(node).code, 501, node)
        self.assertEqual(self.relays[0].orders, [])

    def test_how_often(self) -> None:
        """Once a minute for a node, however it is written; others are asked for meanwhile."""
        self.assertEqual(self.turn("one.example").code, 253)
        self.clock.advance(PAUSE_SECONDS - 0.1)
        self.assertEqual((self.turn("ONE.example").code, self.turn("many.example").code), (458, 253))
        self.clock.advance(0.1)
        self.assertEqual(self.turn("one.example").code, 253)

    def test_how_many(self) -> None:
        """So many nodes are remembered; then the one that was asked for first is forgotten, and can be asked for again."""
        for number in range(MAX_NODES):
            self.turn(f"d{number}.example")
        self.assertEqual(self.turn("d0.example").code, 458)
        self.turn("other.example")
        self.assertEqual((self.turn("d1.example").code, self.turn("d0.example").code), (458, 251))

    def test_other_workers(self) -> None:
        """They are told, and try theirs; a fault there is logged, and harms nobody."""
        told: list[tuple[str, tuple[str, ...]]] = []
        turning = Turning(self.clock.seconds, lambda: self.relays, lambda *what: told.append(what))  # type: ignore[arg-type]
        reply = self.successResultOf(Deferred.fromCoroutine(turning.turn("@none.example")))
        self.assertEqual((reply.code, told), (250, [("drain", ("none.example", "*.none.example"))]))
        self.turning.hear("a.example", "*.a.example")
        self.assertEqual(len(self.relays[1].orders), 4)
        self.relays[0].fault = OSError("the disk is broken")
        self.turning.hear("a.example")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class SessionTests(SynchronousTestCase):
    """In a session."""

    def session(self, *networks: str, flavor: Flavor = Flavor.SMTP) -> Client:
        """A client at 192.0.2.7."""

        async def turn(node: str) -> Reply:
            return Reply.of(458, "4.7.0", "Later") if node == "later" else Reply.of(253, "2.0.0", f"5 for {node}")

        greet = "LHLO x" if flavor is Flavor.LMTP else "EHLO x"
        site = Site(flavor=flavor, turn=turn, etrn_networks=tuple(map(ip_network, networks)))
        client = site.connect(greet=None)
        self.hello = client.say(greet)
        return client

    def test_allowed(self) -> None:
        """Those who are named are offered it, outside of a transaction (RFC 1985 5)."""
        client = self.session("192.0.2.0/28")
        self.assertEqual(self.hello[-1], "250 ETRN")
        self.assertIn(" ETRN ", client.say("HELP")[0])
        self.assertEqual(client.say("ETRN example.net"), ["253 2.0.0 5 for example.net"])
        self.assertEqual(client.say("ETRN later"), ["458 4.7.0 Later"])
        for argument in ("", " a b", " é"):
            self.assertTrue(client.say(f"ETRN{argument}")[0].startswith("501 5.5.4"), argument)
        client.say("MAIL FROM:<a@example.com>")
        self.assertTrue(client.say("ETRN example.net")[0].startswith("503 "))

    def test_not_allowed(self) -> None:
        """To everybody else it is not offered."""
        for networks, flavor in (((), Flavor.SMTP), (("192.0.2.8/32",), Flavor.SMTP), (("0.0.0.0/0",), Flavor.LMTP)):
            client = self.session(*networks, flavor=flavor)
            self.assertNotIn("ETRN", str(self.hello))
            self.assertNotIn("ETRN", str(client.say("HELP")))
            self.assertTrue(client.say("ETRN example.net")[0].startswith("502 5.5.1"))
