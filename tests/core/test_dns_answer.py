"""Answers of the DNS as values, and what a message may ask."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.dns_answer import Answer, Budget, Status


class AnswerTests(SynchronousTestCase):
    """What an answer says."""

    def test_absent(self) -> None:
        """Absent is what the DNS denies for certain, not what it could not be asked about."""
        absent = [status for status in Status if Answer(status).absent]
        self.assertEqual(absent, [Status.NO_DATA, Status.NO_NAME])


class BudgetTests(SynchronousTestCase):
    """What is left."""

    def test_spend(self) -> None:
        """As many as there are may be spent, and not one more."""
        budget = Budget(2)
        self.assertEqual([budget.spend() for _ in range(4)], [True, True, False, False])
        self.assertEqual(budget.left, 0)
