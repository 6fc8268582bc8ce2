"""When old mail is removed."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.mail_expiring import FIRST_SECONDS, ROUND_SECONDS, MailExpiring


class Expiry:
    """Counts rounds; ``going`` holds the one that is being made."""

    def __init__(self) -> None:
        self.rounds = 0
        self.stopped = False
        self.going: Deferred[None] | None = None
        self.fault: Exception | None = None

    async def round(self) -> int:
        """Count."""
        self.rounds += 1
        if self.going is not None:
            await self.going
        if self.fault is not None:
            raise self.fault
        return 3

    def stop(self) -> None:
        """Remember."""
        self.stopped = True


class MailExpiringTests(SynchronousTestCase):
    """:class:`MailExpiring`."""

    def setUp(self) -> None:
        """Started."""
        self.clock = Clock()
        self.expiry = Expiry()
        self.module = MailExpiring(self.clock, lambda: self.expiry)  # type: ignore[arg-type, return-value]
        self.successResultOf(Deferred.fromCoroutine(self.module.start()))

    def test_rounds(self) -> None:
        """The first is not at once, and then they come at their time, a fault notwithstanding."""
        self.clock.advance(FIRST_SECONDS - 1)
        self.assertEqual(self.expiry.rounds, 0)
        self.expiry.fault = OSError("the disk is broken")
        self.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.expiry.fault = None
        self.clock.advance(ROUND_SECONDS)
        self.assertEqual(self.expiry.rounds, 2)
        self.successResultOf(Deferred.fromCoroutine(self.module.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_before_the_first(self) -> None:
        """A server that stops soon has nothing to wait for."""
        self.successResultOf(Deferred.fromCoroutine(self.module.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_in_the_middle(self) -> None:
        """A round that is under way is told, and waited for."""
        self.expiry.going = Deferred()
        self.clock.advance(FIRST_SECONDS)
        stopping = Deferred.fromCoroutine(self.module.stop())
        self.assertNoResult(stopping)
        self.assertTrue(self.expiry.stopped)
        self.expiry.going.callback(None)
        self.successResultOf(stopping)
