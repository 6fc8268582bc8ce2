"""Checks that decide once for all recipients of a message: begun at MAIL, awaited at the first recipient, remembered after it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred

from hermes.core.outcome import Verdict
from hermes.core.transaction import Transaction

Work = Callable[[], Coroutine[Any, Any, Verdict]]


def begun(transaction: Transaction, name: str, work: Work) -> Verdict | Deferred[Verdict]:
    """What was decided under that name, or the decision under way, which begins now if it has not."""
    known = transaction.memory.get(name)
    if isinstance(known, Verdict | Deferred):
        return known
    decision = transaction.memory[name] = Deferred.fromCoroutine(work())
    return decision


async def decided(transaction: Transaction, name: str, work: Work) -> Verdict:
    """The decision."""
    decision = begun(transaction, name, work)
    if isinstance(decision, Deferred):
        # Commands come one at a time, so nobody else waits for it; a session that ends takes the look-ups with it.
        decision = transaction.memory[name] = await decision
    return decision
