"""The worker of commands."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.app.at_once import AtOnce
from hermes.interfaces import IGroupWorker


class AtOnceTests(SynchronousTestCase):
    """What is submitted has been done."""

    def test_interface(self) -> None:
        """It is a worker, which need not be started and has nothing to finish."""
        worker = AtOnce()
        self.assertTrue(verifyObject(IGroupWorker, worker))
        worker.start(lambda items: items)
        self.successResultOf(Deferred.fromCoroutine(worker.stop()))

    def test_results(self) -> None:
        """Results and failures are there at once."""
        for submit in (AtOnce().submit, partial(AtOnce().submit_patiently, seconds=60)):
            self.assertEqual(self.successResultOf(submit(lambda: 42)), 42)
            self.failureResultOf(submit(lambda: {}["missing"]), KeyError)
