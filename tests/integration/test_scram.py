"""SCRAM-SHA-256 with programs that nobody here wrote: msmtp and mpop, both with GNU SASL."""

from __future__ import annotations

import shutil
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import PASSWORD, Site, run, wait_until

MESSAGE = "From: <joe@example.org>\nSubject: hello\n\nhello\n"


def lacks_scram(program: str) -> str | None:
    """What trial's ``skip`` wants: None when the program is there and can do it."""
    if shutil.which(program) is None:
        return f"not installed: {program} (.ci/run installs it)"
    told = subprocess.run([program, "--version"], check=False, capture_output=True, text=True).stdout
    return None if "scram-sha-256" in told.split() else f"this {program} was built without SCRAM-SHA-256"


class ScramTests(SynchronousTestCase):
    """A site that offers SCRAM; its account was made before, so that it has no keys yet."""

    skip = lacks_scram("msmtp") or lacks_scram("mpop")

    def setUp(self) -> None:
        """Start it."""
        self.site = Site("\n[accounts]\nscram = yes\n")
        self.addCleanup(self.site.close)
        self.site.start()

    def send(self, mechanism: str, password: str = PASSWORD) -> int:
        """Send a message; msmtp's exit status."""
        words = [
            *self.site.gnu_sasl_words("submission", mechanism, password),
            "--from=joe@example.org",
            "joe@example.org",
        ]
        return run("msmtp", *words, stdin=MESSAGE, check=False).returncode

    def test_send_and_fetch(self) -> None:
        """The first login by PLAIN makes the keys; then the password is proved, for sending and for reading."""
        self.assertNotEqual(self.send("scram-sha-256"), 0)
        self.assertEqual(self.send("plain"), 0)
        self.assertIn("\nscram = SCRAM-SHA-256$", (self.site.data / "accounts.ini").read_text())
        self.assertEqual(self.send("scram-sha-256"), 0)
        self.assertNotEqual(self.send("scram-sha-256", "guess"), 0)
        self.site.wait_for_messages(2)
        target = self.site.root / "fetched"
        for part in ("new", "cur", "tmp"):
            (target / part).mkdir(parents=True)
        where = [f"--delivery=maildir,{target}", f"--uidls-file={self.site.root}/uidls"]
        run("mpop", *self.site.gnu_sasl_words("pop3", "scram-sha-256", PASSWORD), "--keep=off", *where)
        self.assertEqual(len(list((target / "new").iterdir())), 2)
        wait_until("the last login in the log", lambda: len(self.site.logins()) == 5)
        proved = "SCRAM-SHA-256"
        self.assertEqual(
            self.site.logins("mechanism", "result"),
            [
                (proved, "refused"),
                ("PLAIN", "accepted"),
                (proved, "accepted"),
                (proved, "refused"),
                (proved, "accepted"),
            ],
        )
