"""Checks that decide once for all recipients of a message: begun at MAIL, awaited at the first recipient, remembered after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
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
    decision = Deferred.fromCoroutine(work())
    # Where nobody had to be asked, or the answers were there, it is decided already.
    made = decision.result if decision.called else None
    transaction.memory[name] = made if isinstance(made, Verdict) else decision
    return made if isinstance(made, Verdict) else decision


def decided(transaction: Transaction, name: str, work: Work) -> Verdict | Awaitable[Verdict]:
    """The decision; it need not be waited for when it has been made."""
    decision = begun(transaction, name, work)
    return decision if isinstance(decision, Verdict) else _awaited(transaction, name, decision)


async def _awaited(transaction: Transaction, name: str, decision: Deferred[Verdict]) -> Verdict:
    # Commands come one at a time, so nobody else waits for it; a session that ends takes the look-ups with it.
    verdict = transaction.memory[name] = await decision
    return verdict
