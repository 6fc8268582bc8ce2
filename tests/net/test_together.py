"""Several questions at once."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as WaitedTooLong
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.net.together import together


class TogetherTests(SynchronousTestCase):
    """together()."""

    def setUp(self) -> None:
        """Two questions are asked."""
        self.answers: list[Deferred[str]] = [Deferred(), Deferred()]
        self.asked = Deferred.fromCoroutine(together(self.ask(answer) for answer in self.answers))

    async def ask(self, answer: Deferred[str]) -> str:
        """One question."""
        return await answer

    def test_answers(self) -> None:
        """They come in the order of the questions, when all are there."""
        self.answers[1].callback("second")
        self.assertNoResult(self.asked)
        self.answers[0].callback("first")
        self.assertEqual(self.successResultOf(self.asked), ["first", "second"])

    def test_fault(self) -> None:
        """A fault comes as it is."""
        self.answers[1].errback(OSError("gone"))
        self.assertEqual(str(self.failureResultOf(self.asked, OSError).value), "gone")

    def test_cancelled(self) -> None:
        """Who is cancelled is cancelled, and whoever waits no longer has waited too long: nothing is wrapped."""
        self.asked.cancel()
        self.failureResultOf(self.asked, CancelledError)
        clock = Clock()
        self.setUp()
        waiting = self.asked.addTimeout(5, clock)
        clock.advance(5)
        self.failureResultOf(waiting, WaitedTooLong)
