"""SCRAM-SHA-256 with programs that nobody here wrote: msmtp and mpop, both with GNU SASL."""

from __future__ import annotations

import shutil
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import PASSWORD, USER, Site, run, wait_until

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

    def login(self, port: str, mechanism: str, password: str) -> list[str]:
        """How both programs are told to log in."""
        return [
            "--host=127.0.0.1", f"--port={self.site.ports[port]}", f"--user={USER}", f"--auth={mechanism}",
            f"--passwordeval=printf %s '{password}'", "--tls=on", "--tls-starttls=on",
            f"--tls-trust-file={self.site.certificate}", "--tls-host-override=mail.example.org",
        ]  # fmt: skip

    def send(self, mechanism: str, password: str = PASSWORD) -> int:
        """Send a message; msmtp's exit status."""
        words = [*self.login("submission", mechanism, password), "--from=joe@example.org", "joe@example.org"]
        return run("msmtp", *words, stdin=MESSAGE, check=False).returncode

    def logins(self) -> list[tuple[str, str]]:
        """Mechanism and result of each login, as the mail log has them."""
        lines = [line.split() for line in (self.site.data / "mail.log").read_text().splitlines()]
        facts = [dict(word.partition("=")[::2] for word in words) for words in lines if "login" in words]
        return [(each["mechanism"], each["result"]) for each in facts]

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
        run("mpop", *self.login("pop3", "scram-sha-256", PASSWORD), "--keep=off", *where)
        self.assertEqual(len(list((target / "new").iterdir())), 2)
        wait_until("the last login in the log", lambda: len(self.logins()) == 5)
        proved = "SCRAM-SHA-256"
        self.assertEqual(
            self.logins(),
            [
                (proved, "refused"),
                ("PLAIN", "accepted"),
                (proved, "accepted"),
                (proved, "refused"),
                (proved, "accepted"),
            ],
        )
