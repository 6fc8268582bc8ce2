"""Strict turns: order, back-pressure, fairness, time and the end of a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hermes.net import turns as module
from hermes.net.turns import Turns
from hermes.protocols.receive_buffer import Line, ReceiveBuffer


class Lines:
    """An engine whose events are lines."""

    def __init__(self) -> None:
        self.buffer = ReceiveBuffer()

    def receive(self, data: bytes) -> None:
        """Take octets."""
        self.buffer.feed(data)

    def next_event(self) -> bytes | None:
        """Give a line."""
        line = self.buffer.line(100)
        return None if isinstance(line, Line) else line


class Transport(StringTransport):
    """Remembers whether it was asked to pause, and whether it was closed hard."""

    aborted = False

    @property
    def paused(self) -> bool:
        """True while nothing is read."""
        return self.producerState == "paused"

    def abortConnection(self) -> None:
        """Close at once."""
        self.aborted = True


class TurnsTests(SynchronousTestCase):
    """One session that echoes."""

    def setUp(self) -> None:
        """Begin."""
        self.clock = Clock()
        self.transport = Transport()
        self.failures: list[Failure] = []
        self.timeouts = 0
        self.waiting: list[Deferred[None]] = []
        self.respond: Callable[[bytes], Any] = self.echo
        self.turns = Turns(
            self.transport,
            Lines(),
            self.clock,
            respond=self.answer,
            failed=self.failures.append,
            timed_out=self.timed_out,
            idle_seconds=10,
        )
        self.turns.start()

    def timed_out(self) -> None:
        """Count."""
        self.timeouts += 1

    async def answer(self, event: bytes) -> None:
        """Answer as the test wants it."""
        await self.respond(event)

    async def echo(self, event: bytes) -> None:
        """Answer at once; a line ``wait`` is answered when the test says so."""
        if event == b"wait\n":
            self.waiting.append(Deferred())
            await self.waiting[-1]
        self.turns.write(event)

    def test_order(self) -> None:
        """Answers keep the order of the commands, though one has to wait."""
        self.turns.received(b"a\nwait\nb\n")
        self.assertEqual(self.transport.value(), b"a\n")
        self.waiting[0].callback(None)
        self.assertEqual(self.transport.value(), b"a\nwait\nb\n")

    def test_reading_is_paused_while_an_answer_waits(self) -> None:
        """A peer that goes on talking while its answer waits is not read; its turn resumes with the answer."""
        self.turns.received(b"a\n")
        self.turns.received(b"wait\n")
        self.assertFalse(self.transport.paused)
        self.turns.received(b"late\n")
        self.assertTrue(self.transport.paused)
        self.assertEqual(len(self.waiting), 1)
        self.waiting[0].callback(None)
        self.assertFalse(self.transport.paused)
        self.assertEqual(self.transport.value(), b"a\nwait\nlate\n")

    def test_a_peer_that_does_not_read(self) -> None:
        """Nothing more is answered, nor read, until it has read what there is."""
        self.turns.pauseProducing()
        self.turns.received(b"a\nb\n")
        self.assertEqual(self.transport.value(), b"a\n")
        self.turns.received(b"c\n")
        self.assertTrue(self.transport.paused)
        self.turns.resumeProducing()
        self.assertEqual(self.transport.value(), b"a\nb\nc\n")
        self.assertFalse(self.transport.paused)

    def test_a_flood_lets_others_run(self) -> None:
        """After some tens of commands the reactor turns before the next."""
        count = module.EVENTS_BEFORE_YIELDING
        self.turns.received(b"x\n" * (count + 1))
        self.assertEqual(self.transport.value(), b"x\n" * count)
        self.clock.advance(0)
        self.assertEqual(self.transport.value(), b"x\n" * (count + 1))

    def test_silence(self) -> None:
        """A silent peer times out; each octet begins the time anew."""
        self.clock.advance(9)
        self.turns.received(b"partial")
        self.clock.advance(9)
        self.assertEqual(self.timeouts, 0)
        self.clock.advance(1)
        self.assertEqual(self.timeouts, 1)

    def test_our_own_slowness_is_not_the_peers(self) -> None:
        """While an answer waits the peer cannot time out; afterwards it has its full time."""
        self.turns.received(b"wait\n")
        self.clock.pump([10] * 5)
        self.assertEqual(self.timeouts, 0)
        self.waiting[0].callback(None)
        self.clock.advance(9.9)
        self.assertEqual(self.timeouts, 0)
        self.clock.advance(0.1)
        self.assertEqual(self.timeouts, 1)

    def test_never_reading_times_out(self) -> None:
        """A peer that does not read its answers is not waited for for ever."""
        self.turns.pauseProducing()
        self.turns.received(b"a\n")
        self.clock.advance(10)
        self.assertEqual(self.timeouts, 1)

    def test_fault(self) -> None:
        """An exception in an answer reaches ``failed``, once, and the session can still say something."""

        async def broken(event: bytes) -> None:
            raise RuntimeError("a fault of ours")

        self.respond = broken
        self.turns.received(b"a\n")
        self.assertEqual([failure.type for failure in self.failures], [RuntimeError])
        self.turns.write(b"451\n")
        self.assertEqual(self.transport.value(), b"451\n")

    def test_stop_cancels_what_is_awaited(self) -> None:
        """The connection is lost while an answer waits: it is cancelled, and nothing is written or reported."""
        self.turns.received(b"wait\n")
        self.turns.stop()
        self.assertTrue(self.waiting[0].called)
        self.assertEqual((self.transport.value(), self.failures), (b"", []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_several_are_awaited(self) -> None:
        """Who waits for several at once, or for who does, hears that the session is over, as if there were but one."""
        heard: list[BaseException] = []

        async def several() -> None:
            await gatherResults([Deferred(), Deferred()], consumeErrors=True)

        async def ask(event: bytes) -> None:
            try:
                await gatherResults([Deferred.fromCoroutine(several()), Deferred()], consumeErrors=True)
            except Exception as error:
                heard.append(error)
                raise

        self.respond = ask
        self.turns.received(b"a\n")
        self.turns.stop()
        self.assertEqual([type(each) for each in heard], [CancelledError])
        self.assertEqual(self.failures, [])

    def test_nothing_after_stop(self) -> None:
        """Octets that come late are not looked at."""
        self.turns.stop()
        self.turns.stop()
        self.turns.received(b"a\n")
        self.turns.proceed()
        self.assertEqual(self.transport.value(), b"")
        self.assertTrue(self.turns.stopped)

    def test_finish_within_an_answer(self) -> None:
        """The last answer goes out, and what was pipelined behind it is not answered."""

        async def leave(event: bytes) -> None:
            self.turns.write(event)
            self.turns.finish()

        self.respond = leave
        self.turns.received(b"quit\nmore\n")
        self.assertEqual(self.transport.value(), b"quit\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_long_answer(self) -> None:
        """``written`` waits between pieces for a peer that reads slowly."""

        async def long(event: bytes) -> None:
            for piece in (b"1\n", b"2\n", b"3\n"):
                self.turns.write(piece)
                if piece == b"2\n":
                    self.turns.pauseProducing()
                await self.turns.written()

        self.respond = long
        self.turns.received(b"retr\n")
        self.assertEqual(self.transport.value(), b"1\n2\n")
        self.turns.resumeProducing()
        self.assertEqual(self.transport.value(), b"1\n2\n3\n")

    def test_what_cancels_itself_is_a_fault(self) -> None:
        """An answer that was given up by what it waited for, and not by the end of the session, is reported."""
        self.turns.received(b"wait\n")
        self.waiting[0].cancel()
        self.assertEqual([failure.type for failure in self.failures], [CancelledError])

    def test_idle(self) -> None:
        """It is the peer's turn unless an answer waits."""
        self.assertTrue(self.turns.idle)
        self.turns.received(b"wait\n")
        self.assertFalse(self.turns.idle)
        self.waiting[0].callback(None)
        self.assertTrue(self.turns.idle)
