"""What an account may do with a submission: its author, and how many people it reaches in a day."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import PASSWORD, USER, Site, need, run

EMAIL = "joe@example.org"


class SubmissionTests(SynchronousTestCase):
    """A site that relays to a smart host which is not there: what is taken waits in the queue."""

    skip = need("swaks")

    def setUp(self) -> None:
        """Start it."""
        self.site = Site("\n[smarthost]\nhost = 127.0.0.1\nport = 9\ntls = none\n\n[accounts]\nnew_recipients = 2\n")
        self.addCleanup(self.site.close)
        self.site.start()

    def swaks(self, recipients: str, *more: str) -> str:
        """Send with swaks; all that was said."""
        done = run(
            "swaks", "--server", f"127.0.0.1:{self.site.ports['submission']}", "--tls", "--from", EMAIL, "--to", recipients,
            "--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD, *more, check=False,
        )  # fmt: skip
        return done.stdout.decode(errors="replace")

    def test_several_authors(self) -> None:
        """A second From is refused when the message is over, and nothing of it is kept."""
        said = self.swaks(EMAIL, "--add-header", "From: x@example.net")
        self.assertIn("550 5.6.0 The message has several From fields", said)
        self.assertIn("250 2.0.0 accepted", self.swaks(EMAIL))
        self.assertEqual(len(self.site.wait_for_messages(1)), 1)

    def test_new_recipients(self) -> None:
        """The third new recipient of the day waits, known ones and own ones do not; it is shown, told and cleared."""
        said = self.swaks("a@example.net,b@example.net,c@example.net,joe@example.org")
        self.assertEqual(said.count("450 4.7.1 You have written to 2 people today"), 1, said)
        self.assertIn("250 2.0.0 accepted", said)
        self.assertNotIn(" 450 ", self.swaks("b@example.net"))
        self.assertEqual(
            self.site.ask("user", "recipients"), [{"account": USER, "new": 2, "refused": 1, "remembered": 2}]
        )
        self.assertIn("which is its limit", self.site.log())
        self.assertIn("told once a day", (self.site.data / "mail.log").read_text())
        self.site.hermes("user", "recipients", "-c", str(self.site.config), USER, "--clear")
        self.assertNotIn(" 450 ", self.swaks("c@example.net"))
