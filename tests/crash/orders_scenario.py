"""
A day on which an administrator gives orders for the queue.

``python -m tests.crash.orders_scenario BASE`` lives it once for every step there is: see :mod:`tests.crash.day`.
"""

from __future__ import annotations

from typing_extensions import override

from hermes.core.event import Event
from hermes.core.order import KINDS, Action, Order
from hermes.core.selection import Selection
from tests.crash.day import LARGE, SMALL, Day, run
from tests.support.real_spool import START

AT_B = Selection(to="b.example")

#: Orders in the order in which they are given.
ORDERS = (
    Order(Action.HOLD, AT_B),
    Order(Action.REROUTE, AT_B, destination="smarthost:office"),
    Order(Action.EXPIRE, Selection(to="a.example"), expires_at=START + 60),
    Order(Action.RELEASE, Selection()),
    Order(Action.REMOVE, AT_B),
    Order(Action.REMOVE, Selection()),
)


class OrdersDay(Day):
    """Two messages, one of them large, each to a.example and b.example, and what is ordered."""

    @override
    async def live(self) -> None:
        """From the morning to the evening."""
        await self.spool.open()
        for octets in (SMALL, LARGE):
            await self.accept(octets, "x@a.example", "y@b.example")
        for number, order in enumerate(ORDERS):
            self.note("ordering", str(number))
            await self.spool.change(order, Event(START, KINDS[order.action]))
            self.note("ordered", str(number))
        await self.spool.close()


if __name__ == "__main__":
    run(OrdersDay)
