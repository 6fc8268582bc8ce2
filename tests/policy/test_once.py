"""Decisions for all recipients of a message: made once, and not waited for when they have been made."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import Origin
from hermes.core.outcome import PASS, Verdict
from hermes.core.reply import Reply
from hermes.core.transaction import Transaction
from hermes.policy.once import begun, decided

NO = Verdict(Reply.of(550, "5.7.1", "No"), "test")


class OnceTests(SynchronousTestCase):
    """One transaction."""

    def setUp(self) -> None:
        """Nothing has been decided."""
        self.transaction = Transaction(Origin("ESMTP", "192.0.2.7", "c"), "smtp", False, "a@example.com")
        self.waiting: Deferred[Verdict] = Deferred()
        self.begun = 0

    async def at_once(self) -> Verdict:
        """Nobody has to be asked."""
        self.begun += 1
        return NO

    async def later(self) -> Verdict:
        """Somebody has to be asked."""
        self.begun += 1
        return await self.waiting

    async def faulty(self) -> Verdict:
        """It goes wrong."""
        raise ZeroDivisionError

    def test_at_once(self) -> None:
        """What is decided without waiting is a verdict for whoever asks."""
        self.assertIs(begun(self.transaction, "test", self.at_once), NO)
        self.assertIs(decided(self.transaction, "test", self.at_once), NO)
        self.assertEqual(self.begun, 1)

    def test_later(self) -> None:
        """What waits is begun once; from then on it is a verdict."""
        begun(self.transaction, "test", self.later)
        answer: Any = decided(self.transaction, "test", self.later)
        waiting = Deferred.fromCoroutine(_as_coroutine(answer))
        self.assertNoResult(waiting)
        self.waiting.callback(PASS)
        self.assertIs(self.successResultOf(waiting), PASS)
        self.assertIs(decided(self.transaction, "test", self.later), PASS)
        self.assertEqual(self.begun, 1)

    def test_fault(self) -> None:
        """A fault is the one's who asks for the decision."""
        begun(self.transaction, "test", self.faulty)
        answer: Any = decided(self.transaction, "test", self.faulty)
        self.failureResultOf(Deferred.fromCoroutine(_as_coroutine(answer)), ZeroDivisionError)


async def _as_coroutine(answer: Coroutine[Any, Any, Verdict]) -> Verdict:
    return await answer
