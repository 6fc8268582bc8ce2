"""Errands: what is done beside the deliveries."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.queue.errands import Errands


class ErrandsTests(SynchronousTestCase):
    """Errands."""

    @override
    def setUp(self) -> None:
        self.ended = 0
        self.stopping = False
        self.errands = Errands(self.end, lambda: self.stopping)

    def end(self) -> None:
        """One is over, and is under way no more when that is told."""
        self.ended += 1
        self.left = self.errands.any

    @staticmethod
    async def wait_for(waiting: Deferred[str]) -> str:
        """What takes its time."""
        return await waiting

    def test_run(self) -> None:
        """Its result is given, and it is under way until then."""
        waiting: Deferred[str] = Deferred()
        result = Deferred.fromCoroutine(self.errands.run(self.wait_for(waiting)))
        self.assertTrue(self.errands.any)
        waiting.callback("done")
        self.assertEqual(self.successResultOf(result), "done")
        self.assertEqual((self.ended, self.left), (1, False))

    def test_fault(self) -> None:
        """It is logged, and hurts nobody."""
        waiting: Deferred[str] = Deferred()
        self.errands.begin(self.wait_for(waiting), "01ABC")
        waiting.errback(OSError("disk"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual((self.ended, self.left), (1, False))

    def test_cancelled(self) -> None:
        """By the stop it is cancelled without a word; what is cancelled while nothing stops has a fault."""
        for self.stopping, faults in ((True, 0), (False, 1)):
            self.errands.begin(self.wait_for(Deferred()), "01ABC")
            self.errands.begin(self.wait_for(Deferred()), "01ABD")
            self.errands.cancel()
            self.assertFalse(self.errands.any)
            self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 2 * faults)
