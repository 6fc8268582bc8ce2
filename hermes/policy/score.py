"""When too much speaks against a message: the points that all checks before this one have noted."""

from __future__ import annotations

from zope.interface import implementer

from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.interfaces import ICheck
from hermes.policy.strangers import is_for_postmaster, is_stranger

_TOO_MUCH = Reply.of(550, "5.7.1", "Too much speaks against this message: postmaster can be written to all the same")


@implementer(ICheck)
class ScoreCheck:
    """Refuses messages with more than so many points."""

    name = "score"
    stages = (Stage.RECIPIENT,)
    momentary = True

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def judge(self, case: Case) -> Verdict:
        """Compare."""
        score = case.findings.score
        if score <= self._limit or not is_stranger(case.visit) or is_for_postmaster(case):
            return PASS
        said = ", ".join(f"{each.name}={each.result} {each.score:g}" for each in case.findings if each.score)
        return Verdict(_TOO_MUCH, "score", f"{score:g} points: {said}")
