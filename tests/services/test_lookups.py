"""Looking things up for strangers: how many may wait, and for whom nothing is done."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.jobs import perform_each
from hermes.interfaces import TooBusyError
from hermes.services.lookups import MAX_WAITING, Lookups
from tests.support.worker import ImmediateWorker


class LookupsTests(SynchronousTestCase):
    """One thread, and those who wait for it."""

    def setUp(self) -> None:
        """A thread that does nothing until it is told."""
        self.worker = ImmediateWorker()
        self.worker.start(perform_each)
        self.worker.paused = True
        self.lookups = Lookups(self.worker)
        self.done: list[int] = []

    def ask(self, number: int = 0) -> Deferred[int]:
        """Ask for something."""

        def job() -> int:
            self.done.append(number)
            return number

        return Deferred.fromCoroutine(self.lookups.do(job))

    def test_waiting_at_most(self) -> None:
        """So many wait, and whoever comes then is told so; when these have their answers, others may wait."""
        waiting = [self.ask(number) for number in range(MAX_WAITING)]
        self.failureResultOf(self.ask(), TooBusyError)
        self.worker.step()
        self.assertEqual([self.successResultOf(each) for each in waiting], list(range(MAX_WAITING)))
        waiting = [self.ask(number) for number in range(MAX_WAITING)]
        self.failureResultOf(self.ask(), TooBusyError)
        self.worker.step()
        self.assertEqual([self.successResultOf(each) for each in waiting], list(range(MAX_WAITING)))

    def test_who_leaves(self) -> None:
        """For who has left nothing is done, and another may wait in the place."""
        waiting = [self.ask(number) for number in range(MAX_WAITING)]
        waiting[0].addErrback(lambda _: None)
        waiting[0].cancel()
        last = self.ask(MAX_WAITING)
        self.worker.step()
        self.assertEqual(self.successResultOf(last), MAX_WAITING)
        self.assertEqual(self.done, list(range(1, MAX_WAITING + 1)))

    def test_fault(self) -> None:
        """A fault is that of whoever asked, and gives its place back."""
        for _ in range(MAX_WAITING + 1):
            failing: Deferred[int] = Deferred.fromCoroutine(self.lookups.do(lambda: 1 // 0))
            self.worker.step()
            self.failureResultOf(failing, ZeroDivisionError)
