"""Start one after the other, stop in the opposite order."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.staged import Module, StagedService


class Recorded(Module):
    """Writes down what happens to it; waits where the test says so."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self._log = log
        self.holds_something = True
        self.starting: Deferred[None] | None = None
        self.stopping: Deferred[None] | None = None
        self.fault: Exception | None = None

    async def start(self) -> None:
        """Begin."""
        self._log.append(f"{self.name} starts")
        if self.starting is not None:
            await self.starting
        if self.fault is not None:
            raise self.fault

    def abandon(self) -> None:
        """Hold nothing."""
        self.holds_something = False

    async def stop(self) -> None:
        """End."""
        self._log.append(f"{self.name} stops")
        if self.stopping is not None:
            await self.stopping


class StagedServiceTests(SynchronousTestCase):
    """Three modules."""

    def setUp(self) -> None:
        """Store, queue, door."""
        self.log: list[str] = []
        self.clock = Clock()
        self.failures: list[Failure] = []
        self.service = StagedService(self.clock, self.failures.append)
        self.store, self.queue, self.door = (Recorded(name, self.log) for name in ("store", "queue", "door"))
        for module in (self.store, self.queue, self.door):
            module.setServiceParent(self.service)

    def test_each_waits_for_the_one_before(self) -> None:
        """Nothing listens before the store is open."""
        self.store.starting = Deferred()
        self.service.startService()
        self.assertEqual(self.log, ["store starts"])
        self.store.starting.callback(None)
        self.assertEqual(self.log, ["store starts", "queue starts", "door starts"])
        self.assertTrue(self.door.running)

    def test_stop_in_the_opposite_order(self) -> None:
        """The store is closed last, after everything else has ended."""
        self.service.startService()
        self.log.clear()
        self.queue.stopping = Deferred()
        stopped = self.service.stopService()
        self.assertEqual(self.log, ["door stops", "queue stops"])
        self.queue.stopping.callback(None)
        self.assertEqual(self.log[-1], "store stops")
        self.successResultOf(stopped)

    def test_a_failure_stops_those_before(self) -> None:
        """What had started is stopped again, and the failure is told once."""
        self.queue.fault = RuntimeError("no room")
        self.service.startService()
        self.assertEqual(self.log, ["store starts", "queue starts", "store stops"])
        self.assertEqual([failure.getErrorMessage() for failure in self.failures], ["no room"])

    def test_those_that_never_started_let_go(self) -> None:
        """A failed start leaves nothing bound, nor does a service that is stopped without having been started."""
        self.queue.fault = RuntimeError("no room")
        self.service.startService()
        self.assertFalse(self.door.holds_something)
        self.door.holds_something = True
        other = StagedService(self.clock, self.failures.append)
        self.door.disownServiceParent()
        self.door.setServiceParent(other)
        self.successResultOf(other.stopService())
        self.assertFalse(self.door.holds_something)
        self.assertNotIn("door stops", self.log)

    def test_stop_in_the_middle_of_the_start(self) -> None:
        """The module that is starting is waited for; those after it never start."""
        self.store.starting = Deferred()
        self.service.startService()
        stopped = self.service.stopService()
        self.assertNoResult(stopped)
        self.store.starting.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.log, ["store starts", "store stops"])

    def test_a_module_that_does_not_stop(self) -> None:
        """After its time it is left behind, the others stop all the same, and the log says so."""
        self.service.startService()
        self.door.stopping = Deferred()
        stopped = self.service.stopService()
        self.clock.advance(Module.stop_seconds)
        self.successResultOf(stopped)
        self.assertEqual(self.log[-3:], ["door stops", "queue stops", "store stops"])
        self.assertEqual(len(self.flushLoggedErrors()), 1)
