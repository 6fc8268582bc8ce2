"""Whose turn it is to ask the name servers: names that nobody answers hold nobody up."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.net import dns_turns
from hermes.net.dns_query import Unanswered
from hermes.net.dns_turns import SLOW_SECONDS, DNSTurns


class TurnsTests(SynchronousTestCase):
    """Two places, and room for two slow questions."""

    def setUp(self) -> None:
        """Nothing has been asked."""
        self.patch(dns_turns, "MAX_RUNNING", 2)
        self.patch(dns_turns, "MAX_SLOW", 2)
        self.patch(dns_turns, "MAX_WAITING", 3)
        self.clock = Clock()
        self.turns = DNSTurns(self.clock)
        self.out: list[tuple[str, Deferred[str]]] = []

    def ask(self, name: str) -> Deferred[str | Unanswered]:
        """Ask for a name; its answer is given by the test."""

        async def asked() -> str:
            answer: Deferred[str] = Deferred()
            self.out.append((name, answer))
            return await answer

        return Deferred.fromCoroutine(self.turns.take(asked))

    def names(self) -> str:
        """What has been asked for so far."""
        return "".join(name for name, _ in self.out)

    def counts(self) -> tuple[int, int]:
        """How many are out, and how many of them are slow."""
        self.clock.advance(0)
        return self.turns.running, len(self.turns.slow)

    def test_slow_ones_make_way(self) -> None:
        """What has no answer in time goes on beside the others, and the next one has its place."""
        slow = [self.ask("a"), self.ask("b")]
        quick = self.ask("c")
        self.clock.advance(SLOW_SECONDS - 0.01)
        self.assertEqual((self.names(), self.counts()), ("ab", (2, 0)))
        self.clock.advance(0.01)
        self.assertEqual((self.counts(), self.names()), ((1, 2), "abc"))
        self.out[2][1].callback("C")
        self.assertEqual(self.successResultOf(quick), "C")
        self.assertEqual(self.counts(), (0, 2))
        for (name, answer), each in zip(self.out, slow, strict=False):
            answer.callback(name.upper())
            self.assertEqual(self.successResultOf(each), name.upper())
        self.assertEqual(self.counts(), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_many_slow_ones(self) -> None:
        """Where there is no room for one more slow question the oldest ends, and those who wait go on."""
        asked = [self.ask(name) for name in "abcde"]
        self.clock.advance(SLOW_SECONDS)
        self.assertEqual((self.counts(), self.names()), ((2, 2), "abcd"))
        self.assertNoResult(asked[0])
        self.clock.advance(SLOW_SECONDS)
        for each in asked[:2]:
            self.assertEqual(self.successResultOf(each), Unanswered("too many look-ups have no answer at the moment"))
        self.assertEqual((self.counts(), self.names()), ((1, 2), "abcde"))
        for (name, answer), each in zip(self.out[2:], asked[2:], strict=True):
            answer.callback(name.upper())
            self.assertEqual(self.successResultOf(each), name.upper())
        self.assertEqual(self.counts(), (0, 0))

    def test_too_many_wait(self) -> None:
        """As many wait as may; one more is told so."""
        asked = [self.ask(name) for name in "abcde"]
        self.assertEqual(
            self.successResultOf(self.ask("f")), Unanswered("too many look-ups are waiting already", asked=False)
        )
        self.assertEqual((len(asked), self.names()), (5, "ab"))

    def test_fault(self) -> None:
        """A fault goes to whoever asked, and the place to the next."""
        failed = self.ask("a")
        self.out[0][1].errback(ZeroDivisionError())
        self.failureResultOf(failed, ZeroDivisionError)
        self.assertEqual(self.counts(), (0, 0))
