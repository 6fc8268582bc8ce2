"""How many attempts may be silent to the end, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Hashable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.services.patience import LOOK_SECONDS, PATIENT_PART, SILENCE_SECONDS, Patience


class PatienceTests(SynchronousTestCase):
    """Two attempts may be silent to the end."""

    def setUp(self) -> None:
        """Nothing is under way."""
        self.clock = Clock()
        self.patience = Patience(self.clock, 2 * PATIENT_PART)
        self.words: dict[int, Hashable] = {}
        self.work: list[Deferred[None]] = []

    def spend(self) -> Deferred[bool]:
        """One attempt."""
        number = len(self.work)
        self.work.append(Deferred())
        self.words[number] = 0

        async def attempt() -> None:
            self.words[number] = 1
            await self.work[number]

        return Deferred.fromCoroutine(self.patience.spend(attempt(), lambda: self.words[number]))

    def silence(self, times: int = 1) -> None:
        """As long as nobody may be silent, and so many times that."""
        self.clock.pump([LOOK_SECONDS] * 2 * times)

    def test_below_at_and_above(self) -> None:
        """The first two go on, the third one is ended, at the moment when it has been silent for too long."""
        spent = [self.spend() for _ in range(3)]
        self.clock.pump([LOOK_SECONDS, SILENCE_SECONDS - LOOK_SECONDS - 0.1])
        for each in spent:
            self.assertNoResult(each)
        self.clock.advance(0.1)
        self.assertNoResult(spent[0])
        self.assertNoResult(spent[1])
        self.assertIs(self.successResultOf(spent[2]), False)
        self.silence(10)
        for work, each in zip(self.work[:2], spent[:2], strict=True):
            work.callback(None)
            self.assertIs(self.successResultOf(each), True)
        # Their places are free again.
        spent = [self.spend() for _ in range(3)]
        self.silence()
        self.assertEqual([each.called for each in spent], [False, False, True])

    def test_words(self) -> None:
        """Whoever says something, however little, and whoever has begun to take the message, is not ended."""
        spent = [self.spend() for _ in range(4)]
        for number in range(5):
            self.words[2] = number + 2
            self.words[3] = None
            self.silence()
        self.assertNoResult(spent[2])
        self.assertNoResult(spent[3])
        self.words[3] = 1
        self.silence()
        self.assertIs(self.successResultOf(spent[2]), False)
        self.assertNoResult(spent[3])
        self.silence()
        self.assertIs(self.successResultOf(spent[3]), False)

    def test_in_time(self) -> None:
        """What ends in time leaves no timer."""
        spent = self.spend()
        self.work[0].callback(None)
        self.assertIs(self.successResultOf(spent), True)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """What is cancelled by others, or fails, is not called silence."""
        cancelled, failed = self.spend(), self.spend()
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.work[1].errback(ValueError())
        self.failureResultOf(failed, ValueError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_few(self) -> None:
        """One has patience where few may keep us waiting; where nobody may, none is looked at."""
        self.patience = Patience(self.clock, 1)
        spent = [self.spend(), self.spend()]
        self.silence()
        self.assertEqual([each.called for each in spent], [False, True])
        self.patience = Patience(self.clock, 0)
        spent = [self.spend(), self.spend()]
        self.silence()
        self.assertEqual([each.called for each in spent], [False, False])
        self.work[-1].callback(None)
        self.assertIs(self.successResultOf(spent[1]), True)
