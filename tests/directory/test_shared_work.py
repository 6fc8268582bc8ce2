"""Work that is done once for all who want it."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.directory.shared_work import SharedWork


class SharedWorkTests(SynchronousTestCase):
    """Beginning, waiting, leaving."""

    def test_shared(self) -> None:
        """All who wait are told of the end, also when the first of them has left; then other work may begin."""
        shared = SharedWork()
        for _ in range(2):
            going: Deferred[None] = Deferred()

            async def work(going: Deferred[None] = going) -> None:
                await going

            shared.begin(work())
            first, second = (Deferred.fromCoroutine(shared.ended()) for _ in range(2))
            first.addErrback(lambda _: None)
            first.cancel()
            self.assertNoResult(second)
            self.assertTrue(shared.under_way)
            going.callback(None)
            self.successResultOf(second)
            self.assertFalse(shared.under_way)

    def test_nothing_to_wait_for(self) -> None:
        """What has ended, or never begun, is not waited for."""
        shared = SharedWork()
        self.successResultOf(Deferred.fromCoroutine(shared.ended()))

        async def work() -> None:
            self.assertTrue(shared.under_way)

        shared.begin(work())
        self.successResultOf(Deferred.fromCoroutine(shared.ended()))

    def test_fault(self) -> None:
        """Whoever waits goes on whatever the work came to; the log has what that was."""
        shared = SharedWork()
        going: Deferred[None] = Deferred()

        async def work() -> None:
            await going

        shared.begin(work())
        waiting = Deferred.fromCoroutine(shared.ended())
        going.errback(ZeroDivisionError())
        self.successResultOf(waiting)
        self.assertFalse(shared.under_way)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
