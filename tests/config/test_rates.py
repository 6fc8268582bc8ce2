"""What the rates and the list of offenders must be in the configuration."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.rules import findings
from hermes.config.schema import Settings, SMTPSettings
from hermes.config.sections.offenders import OffendersSettings
from hermes.config.sections.rates import RatesSettings


class RatesTests(SynchronousTestCase):
    """``[rates]``."""

    def found(self, **values: tuple[str, ...]) -> list[str]:
        """What is said about these settings."""
        return [finding.text for finding in findings(Settings(rates=RatesSettings(**values)))]

    def test_good(self) -> None:
        """The defaults are, and one limit for each time."""
        self.assertEqual(self.found(), [])
        self.assertEqual(self.found(address_octets=("10M/minute", "1G/hour", "5G/day")), [])

    def test_nonsense(self) -> None:
        """What is no rate, and two for one time."""
        (text,) = self.found(address_messages=("many/minute",))
        self.assertIn("is no number", text)
        (text,) = self.found(address_messages=("5/minute", "9/minute"))
        self.assertIn("second limit for a minute", text)

    def test_too_narrow(self) -> None:
        """A message with as many recipients as are allowed must fit."""
        (text,) = self.found(account_recipients=("999/hour",))
        self.assertIn("write 1000 or more", text)
        self.assertEqual(self.found(account_recipients=("1000/hour",)), [])
        settings = Settings(
            smtp=SMTPSettings(max_recipients=100), rates=RatesSettings(account_recipients=("100/hour",))
        )
        self.assertEqual(list(findings(settings)), [])


class OffendersTests(SynchronousTestCase):
    """``[offenders]``."""

    def test_report(self) -> None:
        """A cause that there is none of is told, with what was probably meant."""
        for word, remedy in (("login", "did you mean logins?"), ("spam", "write some of logins, recipients")):
            (finding,) = findings(Settings(offenders=OffendersSettings(report=(word,))))
            self.assertIn(remedy, finding.text)
        self.assertEqual(list(findings(Settings(offenders=OffendersSettings(report=())))), [])
