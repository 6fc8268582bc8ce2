"""Recipients of whom it is known when they may be tried again: they wait, and it counts as no attempt."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.sections.queue import QueueSettings
from hermes.core.event import Kind
from hermes.core.outcome import Outcome
from tests.support.queue_site import RELAYED, Site


class WaitingTests(SynchronousTestCase):
    """A smart host whose limit is reached."""

    def setUp(self) -> None:
        """A site whose messages expire after a day."""
        self.site = Site(QueueSettings(retry=(600,), expire=86400))
        self.site.manager.start()

    def test_until_then(self) -> None:
        """The next attempt is made at that time, to the second, and the retry schedule does not move on."""
        self.site.direct.default = Outcome.deferred("a limit", "4.4.5", wait_seconds=5000.0)
        queue_id = self.site.accept("x@example.net")
        recipient = self.site.spool.recipient(queue_id)
        self.assertEqual((recipient.attempts, recipient.next_attempt_at), (0, self.site.now() + 5000))
        self.site.advance(4999, steps=10)
        self.assertEqual(len(self.site.direct.attempts), 1)
        self.site.direct.default = RELAYED
        self.site.advance(2)
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.DEFERRED, Kind.RELAYED])

    def test_expiry(self) -> None:
        """Nobody waits longer than the message lives: the last attempt is made when it expires."""
        self.site.direct.default = Outcome.deferred("a limit", "4.4.5", wait_seconds=10.0 * 86400)
        queue_id = self.site.accept("x@example.net")
        self.assertEqual(self.site.spool.recipient(queue_id).next_attempt_at, self.site.now() + 86400)
        self.site.advance(86401, steps=2)
        self.assertIn(Kind.EXPIRED, self.site.spool.kinds(queue_id))

    def test_trace(self) -> None:
        """The trace names the smart host that was used."""
        self.site.direct.default = Outcome.deferred("a limit", smarthost="gmail")
        self.site.accept("x@example.net")
        self.assertEqual(self.site.spool.events[-1].facts["smarthost"], "gmail")
