"""Orders as they come in over the control socket."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.commands import Commands
from hermes.app.orders import destination_of, order_of
from hermes.config.schema import DirectSettings, Settings, SmarthostSettings
from hermes.core.order import Action, Done, Order
from hermes.core.selection import Selection
from tests.app.test_commands import Running

SETTINGS = Settings(smarthost=SmarthostSettings(host="mx.example.net"), direct=DirectSettings(enabled=True))


class OrderTests(SynchronousTestCase):
    """order_of()."""

    def test_orders(self) -> None:
        """Each action, with what it needs."""
        held = Selection(state="held")
        for action in Action:
            more: dict[str, Any] = {"way": "direct"} if action is Action.REROUTE else {}
            if action in {Action.PAUSE, Action.RESUME, Action.DRAIN}:
                order = order_of({"action": action.value, "selection": {"what": "example.net"}}, SETTINGS)
                self.assertEqual(order, Order(action, Selection(what="example.net")))
                continue
            order = order_of({"action": action.value, "selection": {"state": "held"}, **more}, SETTINGS)
            self.assertEqual((order.action, order.selection), (action, held))
        order = order_of({"action": "expire", "selection": {}, "expires_at": 5}, SETTINGS)
        self.assertEqual(order, Order(Action.EXPIRE, Selection(), expires_at=5))

    def test_what_is_none(self) -> None:
        """What is no order is refused with words that help."""
        for asked, words in (
            ({}, "'action' is one of retry, hold,"),
            ({"action": "explode"}, "'action' is one of retry, hold,"),
            ({"action": "remove"}, "an empty one for the whole queue"),
            ({"action": "remove", "to": "example.net", "selection": {}}, "'to' is no part of an order"),
            ({"action": "hold", "selection": 5}, "'selection' is an object"),
            ({"action": "hold", "selection": {"state": "x"}}, "is not a state"),
            ({"action": "pause", "selection": {}}, "names nothing to be paused"),
            ({"action": "reroute", "selection": {}}, "'' is not a way"),
            ({"action": "expire", "selection": {}, "expires_at": "soon"}, "'expires_at' is a time"),
            ({"action": "expire", "selection": {}, "expires_at": True}, "'expires_at' is a time"),
        ):
            self.assertIn(words, str(self.assertRaises(ValueError, order_of, asked, SETTINGS)))

    def test_ways(self) -> None:
        """Only ways that exist can be taken."""
        for way, destination in (
            ("auto", ""),
            ("direct", "direct"),
            ("smarthost:default", "smarthost:default"),
            ("discard", "discard:the administrator"),
        ):
            self.assertEqual(destination_of(way, SETTINGS), destination)
        for way, words in (
            ("smarthost:x", "there is no smart host 'x': there are default"),
            ("pigeon", "'pigeon' is not a way"),
        ):
            self.assertIn(words, str(self.assertRaises(ValueError, destination_of, way, SETTINGS)))
        self.assertIn("[direct]", str(self.assertRaises(ValueError, destination_of, "direct", Settings())))
        self.assertIn("none", str(self.assertRaises(ValueError, destination_of, "smarthost:x", Settings())))

    def test_command(self) -> None:
        """The relay manager carries it out, and how much that was is the answer."""
        orders = []

        class Relay:
            async def carry_out(self, order: Order) -> Done:
                orders.append(order)
                return Done(3, 4)

        server = Running()
        server.relay = Relay()
        asked = {"action": "hold", "selection": {"to": "example.net"}}
        answer = self.successResultOf(Deferred.fromCoroutine(Commands(server).call("queue.order", asked)))
        self.assertEqual(answer, {"messages": 3, "recipients": 4})
        self.assertEqual(orders, [Order(Action.HOLD, Selection(to="example.net"))])
