"""When it is said that a certificate expires."""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.expiry import ExpiryWarnings


class ExpiryTests(SynchronousTestCase):
    """Looking several times a day."""

    def said(self, days: list[int], warnings: ExpiryWarnings, file: str = "a.pem") -> list[int]:
        """The days at which something was said."""
        told: list[int] = []
        for each in days:
            with capturedLogs() as events:
                warnings.look([{"file": file, "days_left": each}])
                warnings.look([{"file": file, "days_left": each}])
            self.assertLessEqual(len(events), 1)
            told += [each] * len(events)
        return told

    def test_days(self) -> None:
        """At 30, 14, 7 and 1 days, once each, and every day when it is over."""
        days = list(range(40, -4, -1))
        self.assertEqual(self.said(days, ExpiryWarnings()), [30, 14, 7, 1, -1, -2, -3])

    def test_at_the_start(self) -> None:
        """A server that starts between two of these days says it at once."""
        self.assertEqual(self.said([9, 8, 7], ExpiryWarnings()), [9, 7])

    def test_renewed(self) -> None:
        """After a renewal it begins anew."""
        self.assertEqual(self.said([7, 90, 7], ExpiryWarnings()), [7, 7])

    def test_each_for_itself(self) -> None:
        """Certificates are told apart by their files, and what has expired is an error."""
        warnings = ExpiryWarnings()
        with capturedLogs() as events:
            warnings.look(
                [{"file": "a.pem", "days_left": 7}, {"file": "b.pem", "days_left": -2}, {"file": "c", "days_left": 60}]
            )
        self.assertEqual(
            [(each["log_level"], each["file"], each["days"]) for each in events],
            [(LogLevel.warn, "a.pem", 7), (LogLevel.error, "b.pem", 2)],
        )
