"""The process that takes everything that waits at once."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from hermes.interfaces import IGroupWorker
from hermes.net.performing import name_of, packed, serve, unpacked
from hermes.net.process_worker import MAX_GROUP, ProcessWorker
from tests.support.performed import die_of, double, fail, pass_gate, print_much

#: The server that is killed: its process is in the middle of its work then.
SERVER = """
import sys
from twisted.internet import reactor
from hermes.net.process_worker import ProcessWorker
from tests.support.performed import pass_gate
worker = ProcessWorker(reactor, "test")
worker.start(pass_gate)
reactor.callWhenRunning(worker.submit, sys.argv[1])
reactor.run()
"""


async def until(holds: Callable[[], bool]) -> None:
    """Return when it holds."""
    while not holds():
        await deferLater(cast(IReactorTime, reactor), 0.01)


def is_running(pid: int) -> bool:
    """Whether there is a process of that number, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


class _Spawning:
    """The reactor, counting what it starts."""

    def __init__(self) -> None:
        self.started = 0
        #: What is called later when it is set, instead of by the reactor.
        self.held: list[Callable[[], Any]] | None = None

    def spawnProcess(self, *arguments: Any, **more: Any) -> Any:
        """Start it."""
        self.started += 1
        return reactor.spawnProcess(*arguments, **more)  # type: ignore[attr-defined]

    def callLater(self, seconds: float, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call it later."""
        if self.held is not None:
            self.held.append(partial(call, *arguments))
            return None
        return reactor.callLater(seconds, call, *arguments)  # type: ignore[attr-defined]


class ProcessWorkerTests(TestCase):
    """ProcessWorker."""

    def setUp(self) -> None:
        """Count the processes."""
        self.reactor = _Spawning()

    def started(self, perform: Callable[[list[Any]], list[Any]], max_group: int = MAX_GROUP) -> ProcessWorker:
        """A worker that is stopped at the end of the test."""
        worker = ProcessWorker(self.reactor, "test", max_group)
        worker.start(perform)
        self.addCleanup(lambda: Deferred.fromCoroutine(worker.stop()))
        return worker

    async def test_results(self) -> None:
        """Each gets its own, from a process that is not this one and does all of them."""
        worker = self.started(double)
        self.assertTrue(verifyObject(IGroupWorker, worker))
        results = [await worker.submit(number) for number in (1, 2)] + [await worker.submit_patiently("a", 60)]
        self.assertEqual([result for result, _, _ in results], [2, 4, "aa"])
        (pid,) = {pid for _, pid, _ in results}
        self.assertNotEqual(pid, os.getpid())
        self.assertEqual(self.reactor.started, 1)

    async def test_nothing_to_do(self) -> None:
        """Without anything to do there is no process."""
        await self.started(double).stop()
        self.assertEqual(self.reactor.started, 0)

    async def test_groups(self) -> None:
        """What comes while it is at work goes together, as many as a group has at most."""
        for count, sizes in ((3, [1, 2, 2]), (4, [1, 3, 3, 3]), (5, [1, 3, 3, 3, 1])):
            worker = self.started(double, 3)
            results: Any = await DeferredList([worker.submit(number) for number in range(count)])
            self.assertEqual([result for _, (result, _, _) in results], [2 * number for number in range(count)])
            self.assertEqual([size for _, (_, _, size) in results], sizes)

    async def test_large(self) -> None:
        """Items and results that no pipe takes at once."""
        result, _, _ = await self.started(double).submit(b"0123456789" * 200_000)
        self.assertTrue(result == b"0123456789" * 400_000)

    async def test_faults(self) -> None:
        """An exception among the results is that item's; one that is raised is everybody's."""
        worker = self.started(double)
        first, fault, last = (worker.submit(item) for item in (1, OSError(errno.ENOSPC, "full"), 3))
        self.assertEqual((await first)[0], 2)
        self.assertEqual((await self.assertFailure(fault, OSError)).errno, errno.ENOSPC)
        self.assertEqual((await last)[0], 6)
        worker = self.started(fail)
        for failed in [worker.submit(1), worker.submit(2)]:
            self.assertEqual((await self.assertFailure(failed, OSError)).errno, 28)

    async def test_what_cannot_be_sent(self) -> None:
        """It fails, not before the call is over, and the next is done."""
        worker = self.started(double)
        failed = worker.submit(lambda: None)
        self.assertFalse(failed.called)
        next_one = worker.submit(2)
        await self.assertFailure(failed, Exception)
        self.assertEqual((await next_one)[0], 4)

    async def test_what_cannot_be_sent_in_the_turn_of_death(self) -> None:
        """The process, which never had it, does not answer it with its end: it fails by itself, once, and the next is done."""
        worker = self.started(double)
        _, pid, _ = await worker.submit(1)
        self.reactor.held = held = []
        failed, next_one = worker.submit(lambda: None), worker.submit(2)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: worker._process is None or failed.called)
        self.assertFalse(failed.called)
        self.reactor.held = None
        for call in held:
            call()
        error = await self.assertFailure(failed, Exception)
        self.assertNotIsInstance(error, OSError)
        self.assertEqual((await next_one)[0], 4)

    async def test_cancelled(self) -> None:
        """Who waits no more disturbs nobody."""
        worker = self.started(double)
        cancelled, other = worker.submit(1), worker.submit(2)
        cancelled.cancel()
        await self.assertFailure(cancelled, CancelledError)
        self.assertEqual((await other)[0], 4)

    async def test_death(self) -> None:
        """What it was doing fails, with the reason; a new process does the rest."""
        worker = self.started(die_of)
        self.assertEqual(await worker.submit("life"), "life")
        death, rest = worker.submit("death"), worker.submit("more life")
        error = await self.assertFailure(death, OSError)
        self.assertEqual(error.errno, errno.EIO)
        self.assertIn("signal 9", str(error))
        self.assertEqual(await rest, "more life")
        self.assertEqual(self.reactor.started, 2)

    async def test_death_between_two_groups(self) -> None:
        """Whenever something is handed over after it, at worst it fails as what was at work does, and soon it is done again."""
        worker = self.started(double)
        for turns in range(5):
            _, pid, _ = await worker.submit(1)
            os.kill(pid, signal.SIGKILL)
            for _ in range(turns):
                await deferLater(cast(IReactorTime, reactor), 0)
            results: Any = await DeferredList([worker.submit(2), worker.submit(3)], consumeErrors=True)
            for done, result in results:
                if not done:
                    self.assertEqual(result.check(OSError), OSError)

    async def test_death_seen_in_part(self) -> None:
        """The pipe is gone already, and the end is not told yet: the group waits for that, and the caller hears of nothing."""
        worker = self.started(double)
        await worker.submit(1)
        assert worker._process is not None
        pipes: dict[int, Any] = worker._process.transport.pipes  # type: ignore[union-attr]
        pipes[0].connectionLost(Failure(ConnectionDone()))
        self.assertNotIn(0, pipes)
        await self.assertFailure(worker.submit(2), OSError)
        self.assertEqual((await worker.submit(3))[0], 6)

    async def test_cannot_be_started(self) -> None:
        """The items fail and say why; as soon as it can be started again it is."""
        worker = self.started(double)
        self.patch(sys, "executable", "/nonexistent/python")
        await self.assertFailure(worker.submit(1), OSError)
        self.patch(sys, "executable", os.path.realpath(f"/proc/{os.getpid()}/exe"))
        self.assertEqual((await worker.submit(1))[0], 2)

    async def test_prints(self) -> None:
        """What something prints is not taken for results."""
        self.assertEqual(await self.started(print_much).submit("x"), "x")

    async def test_stop(self) -> None:
        """What was handed over is done, then the process ends; nothing can be handed over any more."""
        path, other = self.mktemp(), self.mktemp()
        worker = self.started(pass_gate)
        waiting = [worker.submit(each) for each in (path, other)]
        await until(lambda: os.path.exists(path))
        stopped = Deferred.fromCoroutine(worker.stop())
        self.assertRaises(RuntimeError, worker.submit, path)
        # A terminal and systemd send it to every process of the service.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(int(Path(path).read_text()), number)
        Path(f"{path}.open").touch()
        Path(f"{other}.open").touch()
        pids = [await done for done in waiting]
        await stopped
        self.assertFalse(is_running(pids[0]))

    async def test_end_of_the_server(self) -> None:
        """However it ends, its process takes no step after it."""
        path = os.path.abspath(self.mktemp())
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen([sys.executable, "-c", SERVER, path], env=environment) as server:
            await until(lambda: os.path.exists(path))
            pid = int(Path(path).read_text())
            self.assertTrue(is_running(pid))
            server.kill()
            server.wait()
        await until(lambda: not is_running(pid))


class PerformingTests(SynchronousTestCase):
    """What runs in the process."""

    def served(self, octets: bytes) -> bytes:
        """What is answered."""
        results = io.BytesIO()
        serve(double, io.BytesIO(octets), results)
        return results.getvalue()

    def test_groups(self) -> None:
        """One after the other, each with an answer."""
        answer = self.served(packed([1, 2]) + packed(["a"]))
        first = packed([(2, os.getpid(), 2), (4, os.getpid(), 2)])
        self.assertEqual(answer[: len(first)], first)
        self.assertEqual(unpacked(answer[len(first) + 8 :]), [("aa", os.getpid(), 1)])

    def test_cut_off(self) -> None:
        """Of a group that did not come whole nothing is done."""
        whole = packed([1, 2])
        for end in range(len(whole)):
            self.assertEqual(self.served(whole[:end]), b"")

    def test_nobody_listens(self) -> None:
        """The server is gone: the process comes to its end without a word."""
        read, write = os.pipe()
        os.close(read)
        with open(write, "wb", buffering=0) as results:
            serve(double, io.BytesIO(packed([1])), results)

    def test_orphan(self) -> None:
        """One whose server ended while it was being started does nothing."""
        command = [sys.executable, "-m", "hermes.net.performing", name_of(double), "0"]
        done = subprocess.run(command, input=packed([1]), capture_output=True, timeout=60, check=True)
        self.assertEqual(done.stdout, b"")
