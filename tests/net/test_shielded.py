"""Work that goes on to its end although nobody waits for it any more."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.net.shielded import shielded


class ShieldedTests(SynchronousTestCase):
    """One piece of work that waits for something."""

    def setUp(self) -> None:
        """Begin it."""
        self.something: Deferred[int] = Deferred()
        self.ended = False
        self.waiting = shielded(self.work(), "counting")

    async def work(self) -> int:
        """Wait and count one more."""
        number = await self.something
        self.ended = True
        return number + 1

    def test_result(self) -> None:
        """Whoever waits gets the result."""
        self.something.callback(1)
        self.assertEqual(self.successResultOf(self.waiting), 2)

    def test_failure(self) -> None:
        """Whoever waits gets the failure."""
        self.something.errback(ValueError("no number"))
        self.failureResultOf(self.waiting, ValueError)

    def test_cancelled(self) -> None:
        """To cancel is to stop waiting: the work goes on to its end."""
        self.waiting.cancel()
        self.failureResultOf(self.waiting, CancelledError)
        self.assertFalse(self.ended)
        self.something.callback(1)
        self.assertTrue(self.ended)

    def test_failure_that_nobody_waits_for(self) -> None:
        """A fault after that is logged."""
        self.waiting.cancel()
        self.failureResultOf(self.waiting, CancelledError)
        self.something.errback(ValueError("no number"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
