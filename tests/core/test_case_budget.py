"""What a case may still ask of the DNS."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.dns_answer import Budget
from hermes.core.envelope import Origin
from hermes.core.policy import Case, Stage
from hermes.core.transaction import Transaction
from hermes.core.visit import Visit


class CaseBudgetTests(SynchronousTestCase):
    """One budget for a session before its messages, and one for each message."""

    def test_budget(self) -> None:
        """A message begins with a whole budget, whatever the session has spent; all its checks share it."""
        visit = Visit("192.0.2.7", budget=Budget(3, 2.0))
        self.assertIs(Case(Stage.CONNECT, visit).budget, visit.budget)
        self.assertTrue(visit.budget.spend())
        transactions = [Transaction(Origin("SMTP"), "smtp", False, "", visit=visit) for _ in range(2)]
        cases = [Case(Stage.SENDER, visit, "", transaction) for transaction in transactions]
        self.assertTrue(cases[0].budget.spend())
        self.assertEqual([case.budget.left for case in cases], [2, 3])
        self.assertEqual(cases[0].budget.timeout_seconds, 2.0)
        self.assertIs(Case(Stage.RECIPIENT, visit, "", transactions[0]).budget, cases[0].budget)
