"""
What policy says about a session as such: when it begins, when the client greets, and when something has been refused.

What it says about senders, recipients and messages is asked where these are judged (:mod:`hermes.services.reception`).
"""

from __future__ import annotations

from zope.interface import implementer

from hermes.core.envelope import Recipient
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.transaction import Transaction
from hermes.core.visit import Visit
from hermes.interfaces import IPolicy


@implementer(IPolicy)
class Unchecked:
    """No checks at all."""

    def wanted(self, stage: Stage) -> bool:
        """At no stage is there one."""
        return False

    def judge(self, case: Case) -> Verdict:
        """Pass everything."""
        return PASS


class SessionChecks:
    """The checks of one session, whose client is the visit's."""

    def __init__(self, policy: IPolicy, visit: Visit) -> None:
        self.visit = visit
        self._policy = policy

    def connect(self) -> Verdict:
        """Judge the connection, before anything is said."""
        return self._at_once(Stage.CONNECT)

    async def hello(self, name: str, command: str, tls: str | None) -> Verdict:
        """Judge the greeting of a client; what it said the last time does not count any more."""
        visit = self.visit
        visit.hello, visit.tls = name, tls
        if not self._policy.wanted(Stage.HELLO):
            return PASS
        return await judged(self._policy, Case(Stage.HELLO, visit, command))

    def refused(
        self, verdict: Verdict, command: str, transaction: Transaction | None, recipient: Recipient | None = None
    ) -> Verdict:
        """What to say instead of a refusal, which may be that of a recipient; or that refusal."""
        said = self._at_once(Stage.REFUSED, command, transaction, verdict, recipient)
        return verdict if said.reply is None else said

    def _at_once(
        self,
        stage: Stage,
        command: str = "",
        transaction: Transaction | None = None,
        verdict: Verdict = PASS,
        recipient: Recipient | None = None,
    ) -> Verdict:
        if not self._policy.wanted(stage):
            return PASS
        said = self._policy.judge(Case(stage, self.visit, command, transaction, recipient, verdict=verdict))
        if not isinstance(said, Verdict):
            raise TypeError(f"a check wants to wait at {stage.value}, where nobody can")
        return said


async def judged(policy: IPolicy, case: Case) -> Verdict:
    """The verdict of all checks on a case."""
    said = policy.judge(case)
    return said if isinstance(said, Verdict) else await said
