"""CRAM-MD5 and APOP with programs that nobody here wrote: swaks, msmtp, curl, mpop and fetchmail."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import PASSWORD, USER, Site, need, run, wait_until

SECRET = "made for this alone"
EMAIL = "joe@example.org"
MESSAGE = "From: <joe@example.org>\nSubject: hello\n\nhello\n"


class DigestTests(SynchronousTestCase):
    """A site with an account that has a secret."""

    skip = need("swaks", "msmtp", "mpop", "curl", "fetchmail")

    def setUp(self) -> None:
        """Start it."""
        self.site = Site()
        self.addCleanup(self.site.close)
        self.site.start()
        words = ("user", "cram", "-c", str(self.site.config), USER, "on", "--password-file", "-")
        self.site.hermes(*words, stdin=SECRET)

    def swaks(self, mechanism: str, secret: str) -> int:
        """Send with swaks; its exit status."""
        return run(
            "swaks", "--server", f"127.0.0.1:{self.site.ports['submission']}", "--tls", "--from", EMAIL, "--to", EMAIL,
            "--auth", mechanism, "--auth-user", USER, "--auth-password", secret, check=False,
        ).returncode  # fmt: skip

    def test_send_and_fetch(self) -> None:
        """All of them get in with the secret and not without it; the password goes on to work."""
        # The server has not looked at the accounts since they changed: the first to come makes it look.
        wait_until("the offer", lambda: self.swaks("CRAM-MD5", SECRET) == 0)
        self.assertNotEqual(self.swaks("CRAM-MD5", PASSWORD), 0)
        self.assertEqual(self.swaks("PLAIN", PASSWORD), 0)
        for secret, works in ((SECRET, True), (PASSWORD, False)):
            words = [*self.site.gnu_sasl_words("submission", "cram-md5", secret), f"--from={EMAIL}", EMAIL]
            self.assertEqual(run("msmtp", *words, stdin=MESSAGE, check=False).returncode == 0, works)
        port = self.site.ports["submission"]
        run(
            "curl", "-sS", "--ssl-reqd", f"smtp://mail.example.org:{port}/", "--resolve",
            f"mail.example.org:{port}:127.0.0.1", "--cacert", self.site.certificate, "--user", f"{USER}:{SECRET}",
            "--login-options", "AUTH=CRAM-MD5", "--mail-from", EMAIL, "--mail-rcpt", EMAIL, "--upload-file", "-",
            stdin=MESSAGE.replace("\n", "\r\n"),
        )  # fmt: skip
        self.site.wait_for_messages(4)
        target = self.site.root / "fetched"
        for part in ("new", "cur", "tmp"):
            (target / part).mkdir(parents=True)
        where = [f"--delivery=maildir,{target}", f"--uidls-file={self.site.root}/uidls", "--keep=on"]
        for mechanism in ("apop", "cram-md5"):
            run("mpop", *self.site.gnu_sasl_words("pop3", mechanism, SECRET), *where)
            self.assertNotEqual(
                run("mpop", *self.site.gnu_sasl_words("pop3", mechanism, PASSWORD), *where, check=False).returncode, 0
            )
        self.assertEqual(len(list((target / "new").iterdir())), 4)
        said = self.fetchmail()
        self.assertRegex(said, r"POP3> APOP joe [0-9a-f]{32}\nfetchmail: POP3< \+OK mailbox open")
        logins = wait_until(
            "the logins in the log",
            lambda: ("APOP", "accepted") in (found := self.site.logins("mechanism", "result")) and found,
        )
        for mechanism in ("CRAM-MD5", "APOP"):
            self.assertIn((mechanism, "accepted"), logins)
            self.assertIn((mechanism, "refused"), logins)
        octets = b"".join(path.read_bytes() for path in self.site.data.rglob("*") if path.is_file())
        self.assertNotIn(SECRET.encode(), octets)

    def fetchmail(self) -> str:
        """Fetchmail reads by APOP, over TLS."""
        control = self.site.root / "fetchmailrc"
        control.write_text(
            f"poll 127.0.0.1 protocol apop port {self.site.ports['pop3s']}\n"
            f'  user "{USER}" password "{SECRET}" ssl sslcertck sslcertfile "{self.site.certificate}"\n'
            f'  sslcommonname "mail.example.org" fetchall keep mda "cat >/dev/null"\n'
        )
        control.chmod(0o600)
        done = run(
            "fetchmail", "--nodetach", "-v", "--fetchmailrc", control, "--pidfile", self.site.root / "pid", check=False
        )
        return done.stdout.decode(errors="replace")
