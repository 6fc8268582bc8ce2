"""The worker that takes everything that waits at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from hermes.interfaces import IGroupWorker
from hermes.net.worker import GroupWorker
from tests.support.worker import ImmediateWorker


class Recorder:
    """Performs groups: remembers them, and waits at the gate when it is shut."""

    def __init__(self) -> None:
        self.groups: list[list[Any]] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)

    def __call__(self, items: list[Any]) -> list[Any]:
        """Double each item; an exception is its own result, and "fault" is a fault of everything."""
        self.groups.append(items)
        self.threads.add(threading.get_ident())
        self.entered.release()
        self.gate.wait(10)
        if "fault" in items:
            raise OSError("the disk is gone")
        return [item if isinstance(item, Exception) else item * 2 for item in items]


class GroupWorkerTests(TestCase):
    """GroupWorker."""

    def setUp(self) -> None:
        """Start one."""
        self.recorder = Recorder()
        self.worker = self.started(self.recorder)

    def started(self, perform: Callable[[list[Any]], list[Any]], max_group: int = 256) -> GroupWorker:
        """A worker that is stopped at the end of the test."""
        worker = GroupWorker(cast(IReactorFromThreads, reactor), "test", max_group)
        worker.start(perform)
        self.addCleanup(lambda: Deferred.fromCoroutine(worker.stop()))
        return worker

    async def test_patience(self) -> None:
        """A patient item goes with the next one, before it; or alone, when none comes."""
        patient = [self.worker.submit_patiently(number, 0.005) for number in (1, 2)]
        self.assertEqual(self.recorder.groups, [])
        self.assertEqual(await self.worker.submit(3), 6)
        self.assertEqual([item for group in self.recorder.groups for item in group], [1, 2, 3])
        self.assertEqual([await item for item in patient], [2, 4])
        self.assertEqual(await self.worker.submit_patiently(4, 0.005), 8)

    def test_least_patient(self) -> None:
        """What waits goes when the least patient item has to, whichever came first."""
        for patiences in ((0.05, 0.005), (0.005, 0.05)):
            clock = Clock()
            worker = GroupWorker(clock, "test")
            for seconds in patiences:
                _ = worker.submit_patiently(seconds, seconds)
            (hurry,) = clock.getDelayedCalls()
            self.assertEqual(hurry.getTime(), 0.005)
            clock.advance(0.005)
            self.assertEqual(clock.getDelayedCalls(), [])

    async def test_patient_items_are_finished(self) -> None:
        """Stopping does not lose what was patient."""
        patient = self.worker.submit_patiently(1, 60)
        await self.worker.stop()
        self.assertEqual(await patient, 2)

    def shut(self) -> Deferred[Any]:
        """Let the thread begin with an item and not get on."""
        self.recorder.gate.clear()
        first = self.worker.submit(0)
        self.assertTrue(self.recorder.entered.acquire(timeout=10))
        return first

    def test_interface(self) -> None:
        """It keeps what the interface promises."""
        self.assertTrue(verifyObject(IGroupWorker, self.worker))

    async def test_another_thread(self) -> None:
        """Work is done in one thread that is not the reactor's; results arrive in the reactor's."""
        arrived: list[int] = []

        def arrive(result: int) -> int:
            arrived.append(threading.get_ident())
            return result

        self.assertEqual(await self.worker.submit(21).addCallback(arrive), 42)
        self.assertEqual(await self.worker.submit(1).addCallback(arrive), 2)
        self.assertEqual(set(arrived), {threading.get_ident()})
        self.assertEqual(len(self.recorder.threads), 1)
        self.assertNotIn(threading.get_ident(), self.recorder.threads)

    async def test_everything_that_waits(self) -> None:
        """What comes while the thread is busy is one group, in its order."""
        first = self.shut()
        waiting = [self.worker.submit(number) for number in range(1, 100)]
        self.recorder.gate.set()
        self.assertEqual(await first, 0)
        self.assertEqual(await gatherResults(waiting), [number * 2 for number in range(1, 100)])
        self.assertEqual(self.recorder.groups, [[0], list(range(1, 100))])

    async def test_largest_group(self) -> None:
        """No group is larger than allowed: below, at and above the limit."""
        for count, sizes in ((2, [2]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])):
            self.recorder = Recorder()
            self.worker = self.started(self.recorder, max_group=3)
            first = self.shut()
            waiting = [self.worker.submit(number) for number in range(count)]
            self.recorder.gate.set()
            await gatherResults([first, *waiting])
            self.assertEqual([len(group) for group in self.recorder.groups[1:]], sizes)

    async def test_one_fault(self) -> None:
        """A result that is an exception fails its own item and no other."""
        first = self.shut()
        good, bad, other = (self.worker.submit(item) for item in (1, ValueError("no"), 2))
        self.recorder.gate.set()
        await first
        self.assertEqual(await good, 2)
        self.assertEqual(await other, 4)
        await self.assertFailure(bad, ValueError)

    async def test_all_fail(self) -> None:
        """When the work itself raises, all of its group fail, and the thread goes on."""
        first = self.shut()
        waiting = [self.worker.submit(item) for item in (1, "fault", 2)]
        self.recorder.gate.set()
        await first
        for each in waiting:
            await self.assertFailure(each, OSError)
        self.assertEqual(await self.worker.submit(5), 10)

    async def test_cancelled(self) -> None:
        """Whoever stops waiting hurts nobody; the work is done all the same."""
        first = self.shut()
        given_up, other = self.worker.submit(1), self.worker.submit(2)
        given_up.cancel()
        await self.assertFailure(given_up, CancelledError)
        self.recorder.gate.set()
        await first
        self.assertEqual(await other, 4)
        self.assertEqual(self.recorder.groups[1], [1, 2])

    async def test_stop(self) -> None:
        """Stopping finishes what waits, ends the thread, and takes nothing more; stopping twice is harmless."""
        first = self.shut()
        waiting = self.worker.submit(1)
        stopping = [Deferred.fromCoroutine(self.worker.stop()) for _ in range(2)]
        self.assertRaises(RuntimeError, self.worker.submit, 2)
        self.recorder.gate.set()
        self.assertEqual(await first, 0)
        self.assertEqual(await waiting, 2)
        await gatherResults(stopping)
        (thread,) = self.recorder.threads
        self.assertNotIn(thread, {each.ident for each in threading.enumerate()})

    async def test_never_started(self) -> None:
        """A worker that was not started can be stopped."""
        await GroupWorker(cast(IReactorFromThreads, reactor), "idle").stop()


class ImmediateWorkerTests(SynchronousTestCase):
    """The double keeps the same promises, without a thread."""

    def setUp(self) -> None:
        """Start one."""
        self.recorder = Recorder()
        self.worker = ImmediateWorker()
        self.worker.start(self.recorder)

    def test_interface(self) -> None:
        """It keeps what the interface promises."""
        self.assertTrue(verifyObject(IGroupWorker, self.worker))

    def test_at_once(self) -> None:
        """Results are there when submit returns; faults are the item's or everybody's."""
        self.assertEqual(self.successResultOf(self.worker.submit(2)), 4)
        self.failureResultOf(self.worker.submit(ValueError()), ValueError)
        self.failureResultOf(self.worker.submit("fault"), OSError)

    def test_in_groups(self) -> None:
        """While it is paused items wait; they are performed together."""
        self.worker.paused = True
        first, second = self.worker.submit(1), self.worker.submit(2)
        self.assertNoResult(first)
        self.worker.step()
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), (2, 4))
        third = self.worker.submit(3)
        self.assertNoResult(third)
        self.worker.resume()
        self.assertEqual(self.successResultOf(third), 6)
        self.assertEqual(self.worker.groups, [2, 1])
