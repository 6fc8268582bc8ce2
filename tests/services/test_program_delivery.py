"""Mail for programs: real ones, run by the real reactor."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from hermes.core.message import Content, QueuedMessage
from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent
from hermes.services.bounded_process import LEFT_BEHIND_SECONDS
from hermes.services.program_delivery import MAX_OUTPUT_OCTETS, ProgramDelivery, outcome_of
from tests.support.maildirs import PREFIX, content_of, queued

BODY = b"Subject: x\n\nbody\n"


class OutcomeTests(SynchronousTestCase):
    """sysexits.h."""

    def test_codes(self) -> None:
        """0 is done; the codes of a fault that stays fail; everything else may be mended."""
        self.assertIs(outcome_of(0, "").result, Result.DELIVERED)
        for code, status in ((64, "5.3.5"), (65, "5.6.0"), (67, "5.1.1"), (69, "5.3.0"), (77, "5.7.1"), (78, "5.3.5")):
            outcome = outcome_of(code, "")
            self.assertEqual((outcome.result, outcome.status), (Result.FAILED, status))
        for code in (1, 71, 74, 75, 126, 127, 255, None):
            self.assertIs(outcome_of(code, "").result, Result.DEFERRED)
        self.assertIn("no such thing", outcome_of(67, "no such thing").reason)


class ProgramTests(TestCase):
    """:class:`ProgramDelivery`."""

    def setUp(self) -> None:
        """A directory, in which the commands run."""
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        self.allowed: set[str] = set()

    def agent(self, seconds: float = 30.0) -> ProgramDelivery:
        """The agent."""

        async def allowed() -> set[str]:
            return self.allowed

        return ProgramDelivery(reactor, allowed, str(self.directory), seconds)

    async def run_command(self, command: str, message: QueuedMessage | None = None, seconds: float = 30.0) -> Outcome:
        """Run a command that is allowed."""
        self.allowed = {command}
        message = message or queued(content_of(BODY))
        (outcome,) = await self.agent(seconds).deliver(command, message, message.recipients)
        return outcome

    def asynchronous(self, work: Callable[[], Awaitable[None]]) -> Deferred[None]:
        """A coroutine as trial wants it."""
        return Deferred.fromCoroutine(work())  # type: ignore[arg-type]

    def test_message(self) -> Any:
        """The program gets the message as a mailbox does, and sender, recipient and queue id in its environment."""

        async def work() -> None:
            verifyObject(IDeliveryAgent, self.agent())
            message = queued(content_of(BODY))
            outcome = await self.run_command('cat > got; echo "$SENDER|$RECIPIENT|$QUEUE_ID" > who', message)
            self.assertIs(outcome.result, Result.DELIVERED, outcome)
            self.assertEqual((self.directory / "got").read_bytes(), PREFIX + BODY)
            expected = f"{message.envelope.reverse_path}|{message.recipients[0].address}|{message.queue_id}\n"
            self.assertEqual((self.directory / "who").read_text(), expected)

        return self.asynchronous(work)

    def test_large_message(self) -> Any:
        """A message that is a file is given as one."""

        async def work() -> None:
            file = self.directory / "body"
            file.write_bytes(b"x" * 1_000_000)
            message = queued(Content(1_000_000, 1_000_000, 0, path=str(file)))
            outcome = await self.run_command("wc -c > count", message)
            self.assertIs(outcome.result, Result.DELIVERED, outcome)
            self.assertEqual((self.directory / "count").read_text().strip(), "1000000")

        return self.asynchronous(work)

    def test_nothing_of_the_message_is_a_command(self) -> Any:
        """Whatever sender and recipient are called, they are words."""

        async def work() -> None:
            message = queued(content_of(BODY))
            message.recipients[0].address = '$(touch evil)";touch evil;"`touch evil`\n@example.org\0'
            outcome = await self.run_command('echo "$RECIPIENT" > who', message)
            self.assertIs(outcome.result, Result.DELIVERED, outcome)
            self.assertEqual(sorted(os.listdir(self.directory)), ["who"])

        return self.asynchronous(work)

    def test_exit_code(self) -> Any:
        """A program that refuses says why, on either output; no more is kept than so much."""

        async def work() -> None:
            outcome = await self.run_command("echo 'no such user' >&2; exit 67")
            self.assertEqual((outcome.result, outcome.status), (Result.FAILED, "5.1.1"))
            self.assertIn("no such user", outcome.reason)
            outcome = await self.run_command("yes | head -c 1000000; exit 75")
            self.assertIs(outcome.result, Result.DEFERRED)
            self.assertLess(len(outcome.reason), MAX_OUTPUT_OCTETS)

        return self.asynchronous(work)

    def test_does_not_read(self) -> Any:
        """A program that ends without reading the message is no fault of ours."""

        async def work() -> None:
            message = queued(content_of(b"x" * 120_000))
            self.assertIs((await self.run_command("exit 0", message)).result, Result.DELIVERED)

        return self.asynchronous(work)

    def test_missing(self) -> Any:
        """A command that does not exist may be installed; one that was killed may do better the next time."""

        async def work() -> None:
            self.assertIs((await self.run_command("/nowhere/program")).result, Result.DEFERRED)
            self.assertIs((await self.run_command("kill -9 $$")).result, Result.DEFERRED)

        return self.asynchronous(work)

    def test_too_long(self) -> Any:
        """What takes too long is ended with everything that it has started, and tried again later."""

        async def work() -> None:
            # It is over when nobody holds the outputs open any more.
            outcome = await self.run_command("sleep 600 & sleep 600", seconds=0.5)
            self.assertIs(outcome.result, Result.DEFERRED)
            self.assertIn("longer than 0.5 s", outcome.reason)

        return self.asynchronous(work)

    def test_left_behind(self) -> Any:
        """What a program leaves in the background, with its output open, does not hold up the message."""

        async def work() -> None:
            began = reactor.seconds()  # type: ignore[attr-defined]
            outcome = await self.run_command("sleep 60 & exit 0")
            self.assertIs(outcome.result, Result.DELIVERED, outcome)
            self.assertLess(reactor.seconds() - began, LEFT_BEHIND_SECONDS + 10)  # type: ignore[attr-defined]

        return self.asynchronous(work)

    def daemon(self) -> str:
        """A command that leaves behind what has a session of its own and holds its output open, and waits until it has."""

        def end() -> None:
            os.kill(int((self.directory / "pid").read_text()), signal.SIGKILL)

        self.addCleanup(end)
        return "setsid sh -c 'echo $$ > new; mv new pid; exec sleep 60' & until test -s pid; do sleep 0.1; done"

    def test_daemon_left_behind(self) -> Any:
        """What has taken leave of the program is not ended with it, and does not hold up the message either."""

        async def work() -> None:
            began = reactor.seconds()  # type: ignore[attr-defined]
            outcome = await self.run_command(f"{self.daemon()}; echo 'no such user'; exit 67")
            self.assertIn("no such user", outcome.reason)
            self.assertLess(reactor.seconds() - began, LEFT_BEHIND_SECONDS + 30)  # type: ignore[attr-defined]

        return self.asynchronous(work)

    def test_daemon_of_a_late_program(self) -> Any:
        """The same when the program has taken too long itself."""

        async def work() -> None:
            began = reactor.seconds()  # type: ignore[attr-defined]
            outcome = await self.run_command(f"{self.daemon()}; sleep 600", seconds=5)
            self.assertIn("longer than 5 s", outcome.reason)
            self.assertLess(reactor.seconds() - began, LEFT_BEHIND_SECONDS + 35)  # type: ignore[attr-defined]

        return self.asynchronous(work)

    def test_cancelled(self) -> Any:
        """A server that stops ends it."""

        async def work() -> None:
            running = Deferred.fromCoroutine(self.run_command("echo > started; sleep 60"))
            running.cancel()
            with self.assertRaises(CancelledError):
                await running

        return self.asynchronous(work)

    def test_fault_of_one(self) -> Any:
        """A recipient for whom the program cannot be run is put off; who has the message does not get it again."""

        async def work() -> None:
            path = str(self.directory / "body")
            message = queued(content_of(BODY, path), ordinals=(0, 1))
            self.allowed = {"rm body"}
            outcomes = await self.agent().deliver("rm body", message, message.recipients)
            self.assertEqual([each.result for each in outcomes], [Result.DELIVERED, Result.DEFERRED])
            self.assertEqual(outcomes[1].status, "4.3.0")
            self.assertEqual(len(self.flushLoggedErrors(FileNotFoundError)), 1)

        return self.asynchronous(work)

    def test_stopped_midway(self) -> Any:
        """A stop while the second recipient's program runs leaves the first with his message, and the second for later."""

        async def work() -> None:
            os.mkfifo(self.directory / "second")
            command = "if [ -e first ]; then echo > second; sleep 60; fi; touch first"
            self.allowed = {command}
            message = queued(content_of(BODY), ordinals=(0, 1, 2))
            running = Deferred.fromCoroutine(self.agent().deliver(command, message, message.recipients))
            # Somebody writes to it when the second program has begun.
            await deferToThread((self.directory / "second").read_bytes)
            running.cancel()
            outcomes = await running
            self.assertEqual([each.wait_seconds for each in outcomes], [None, 60.0, 60.0])
            self.assertIs(outcomes[0].result, Result.DELIVERED)

        return self.asynchronous(work)

    def test_not_allowed(self) -> Any:
        """What does not stand in the files any more is not run, whatever the queue says."""

        async def work() -> None:
            message = queued(content_of(BODY))
            outcomes = await self.agent().deliver("touch evil", message, message.recipients)
            self.assertEqual([each.result for each in outcomes], [Result.DEFERRED])
            self.assertEqual(os.listdir(self.directory), [])

        return self.asynchronous(work)
