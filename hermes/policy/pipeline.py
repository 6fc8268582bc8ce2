"""
The pipeline of checks: each stage of a session goes through those that want to judge it, until one refuses.

Checks that need not wait cost a call each; only where one has to wait does the rest become a coroutine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from zope.interface import implementer

from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.interfaces import ICheck, IPolicy


@implementer(IPolicy)
class Pipeline:
    """The checks of one set of settings, in the order in which they are asked."""

    def __init__(self, checks: Sequence[ICheck] = ()) -> None:
        self._checks = tuple(checks)
        self._stages = {stage: tuple(check for check in checks if stage in check.stages) for stage in Stage}

    def wanted(self, stage: Stage) -> bool:
        """True when there are checks at that stage."""
        return bool(self._stages[stage])

    def judge(self, case: Case) -> Verdict | Awaitable[Verdict]:
        """Ask one check after the other until one refuses; at REFUSED ask all, each about what the one before has said."""
        checks = self._stages[case.stage]
        return _judge_refusal(case, checks) if case.stage is Stage.REFUSED else _judge(case, checks)

    def lasting(self) -> Pipeline:
        """The same without the checks whose answers depend on the moment."""
        return Pipeline([check for check in self.checks() if not check.momentary])

    def checks(self) -> list[ICheck]:
        """All checks, in their order."""
        return list(self._checks)


def _judge(case: Case, checks: Sequence[ICheck]) -> Verdict | Awaitable[Verdict]:
    for position, check in enumerate(checks):
        verdict = check.judge(case)
        if not isinstance(verdict, Verdict):
            return _judge_rest(case, verdict, checks[position + 1 :])
        if verdict.reply is not None:
            return verdict
    return PASS


def _judge_refusal(case: Case, checks: Sequence[ICheck]) -> Verdict | Awaitable[Verdict]:
    said = PASS
    for check in checks:
        verdict = check.judge(case)
        if not isinstance(verdict, Verdict):
            return verdict
        if verdict.reply is not None:
            case.verdict = said = verdict
    return said


async def _judge_rest(case: Case, waiting: Awaitable[Verdict], checks: Sequence[ICheck]) -> Verdict:
    verdict = await waiting
    for check in checks:
        if verdict.reply is not None:
            break
        answer = check.judge(case)
        verdict = answer if isinstance(answer, Verdict) else await answer
    return verdict
