"""The store of what checks have found out."""

from twisted.trial.unittest import TestCase

from hermes.core.findings import MAX_FINDINGS, Finding, Findings


class FindingsTests(TestCase):
    """Findings of a session and of its messages."""

    def test_found_again(self) -> None:
        """What was noted is found by its name, and nothing else is."""
        findings = Findings()
        findings.note("rdns", "none", "192.0.2.7 has no name", 1.5)
        self.assertEqual(findings.get("rdns"), Finding("rdns", "none", "192.0.2.7 has no name", 1.5))
        self.assertIsNone(findings.get("spf"))

    def test_last_one_counts(self) -> None:
        """A second finding of one name takes the place of the first."""
        findings = Findings()
        findings.note("rdns", "unknown")
        findings.note("rdns", "ok")
        self.assertEqual([finding.result for finding in findings], ["ok"])

    def test_session(self) -> None:
        """A message has the findings of its session, and the session none of the message's."""
        session = Findings()
        session.note("rdns", "ok")
        session.note("hello", "literal", score=1)
        message = Findings(session)
        message.note("spf", "pass", score=-2)
        message.note("hello", "own name", score=3)
        self.assertEqual(message.summary(), "rdns=ok spf=pass hello=own name")
        self.assertEqual(message.score, 1)
        self.assertEqual(session.summary(), "rdns=ok hello=literal")
        self.assertEqual(session.get("rdns"), message.get("rdns"))
        self.assertIsNone(session.get("spf"))

    def test_nothing(self) -> None:
        """Without findings there is nothing to say."""
        self.assertEqual(Findings().summary(), "")
        self.assertEqual(list(Findings(Findings())), [])
        self.assertEqual(Findings().score, 0)

    def test_bounded(self) -> None:
        """The store takes so many and no more; what is there can still be replaced."""
        findings = Findings()
        for number in range(MAX_FINDINGS + 1):
            findings.note(f"check.{number}", "yes")
        self.assertEqual(len(list(findings)), MAX_FINDINGS)
        self.assertIsNotNone(findings.get(f"check.{MAX_FINDINGS - 1}"))
        self.assertIsNone(findings.get(f"check.{MAX_FINDINGS}"))
        findings.note("check.0", "no")
        self.assertEqual(findings.get("check.0"), Finding("check.0", "no"))
