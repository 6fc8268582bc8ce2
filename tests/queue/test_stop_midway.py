"""A stop in the middle of a message for several recipients: what is decided is written down."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.core.event import Kind
from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import STOPPED, Outcome
from hermes.interfaces import IDeliveryAgent
from tests.support.queue_site import RELAYED, Site


@implementer(IDeliveryAgent)
class HalfAgent:
    """Serves the first recipient, and hangs with the others until it is stopped."""

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """As agents for other servers do."""
        try:
            await Deferred[None]()
        except CancelledError:
            return [RELAYED, *[STOPPED] * (len(recipients) - 1)]
        raise AssertionError


class StopTests(SynchronousTestCase):
    """The relay manager stops."""

    def test_stopped_midway(self) -> None:
        """Who has the message is finished; for the other one it was no attempt, and he is next when the server is back."""
        site = Site()
        site.direct = HalfAgent()  # type: ignore[assignment]
        site.manager = site.make_manager()
        site.manager.start()
        queue_id = site.accept("a@x.test", "b@x.test")
        stopped = Deferred.fromCoroutine(site.manager.stop(20))
        site.advance(20)
        self.successResultOf(stopped)
        (left,) = site.spool.messages[queue_id].recipients
        self.assertEqual((left.address, left.attempts), ("b@x.test", 0))
        self.assertEqual(site.spool.kinds(queue_id), [Kind.RELAYED, Kind.DEFERRED])
        site.direct = Site().direct
        site.manager = site.make_manager()
        site.manager.start()
        site.advance(60, steps=6)
        self.assertEqual([each.addresses for each in site.direct.attempts], [["b@x.test"]])
        self.assertEqual(site.spool.messages, {})
