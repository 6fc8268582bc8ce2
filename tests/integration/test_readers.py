"""Programs that read mail, each for real: curl, mpop, fetchmail and getmail."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import PASSWORD, USER, Site, need, run

#: Lines with dots, an empty one, one that is long, and octets above 127.
BODY = ".dot\n..dots\n\n" + "x" * 3000 + "\nGrüße\nlast line\n"


class ReaderTests(SynchronousTestCase):
    """One site with three messages."""

    def setUp(self) -> None:
        """Start it and send them."""
        self.site = Site()
        self.addCleanup(self.site.close)
        self.site.start()
        for number in range(3):
            run(
                "curl", "-sS", "--url", f"smtp://127.0.0.1:{self.site.ports['smtp']}", "--mail-from", "s@example.net",
                "--mail-rcpt", "joe@example.org", "--upload-file", "-",
                stdin=f"From: s@example.net\nSubject: number {number}\n\n{BODY}".replace("\n", "\r\n"),
            )  # fmt: skip
            self.site.wait_for_messages(number + 1)

    def check(self, texts: list[bytes]) -> None:
        """All three came over, whole and in order."""
        self.assertEqual(len(texts), 3)
        lines = [text.replace(b"\r\n", b"\n") for text in texts]
        for number, text in enumerate(sorted(lines, key=lambda text: text.partition(b"Subject: ")[2])):
            self.assertIn(f"Subject: number {number}\n".encode(), text)
            self.assertTrue(text.rstrip(b"\n").endswith(BODY.rstrip("\n").encode()), text[-200:])

    def assert_empty(self) -> None:
        """What the reader deleted is gone from the disk, and the trace knows who took it."""
        self.assertEqual(self.site.messages(), [])
        self.assertIn("retrieved", str(self.site.ask("track", "joe@example.org")))


class CurlTests(ReaderTests):
    """curl reads too."""

    skip = need("curl")

    def curl(self, path: str, *options: str | Path) -> bytes:
        """One request over implicit TLS."""
        port = self.site.ports["pop3s"]
        return run(
            "curl", "-sS", f"pop3s://mail.example.org:{port}/{path}", "--resolve", f"mail.example.org:{port}:127.0.0.1",
            "--cacert", self.site.certificate, "--user", f"{USER}:{PASSWORD}", *options,
        ).stdout  # fmt: skip

    def test_list_and_retrieve(self) -> None:
        """The listing has the size that comes over."""
        sizes = dict(line.split() for line in self.curl("").decode().splitlines())
        texts = [self.curl(number) for number in sizes]
        self.check(texts)
        self.assertEqual([str(len(text)) for text in texts], list(sizes.values()))

    def test_delete(self) -> None:
        """A deletion is done when the session ends."""
        self.curl("2", "-X", "DELE", "--head")
        self.assertEqual(len(self.site.messages()), 2)

    def test_stls(self) -> None:
        """TLS by STLS."""
        port = self.site.ports["pop3"]
        text = run(
            "curl", "-sS", "--ssl-reqd", f"pop3://mail.example.org:{port}/1", "--resolve",
            f"mail.example.org:{port}:127.0.0.1", "--cacert", self.site.certificate, "--user", f"{USER}:{PASSWORD}",
        ).stdout  # fmt: skip
        self.assertIn(b"Subject: number", text)

    def test_no_login_in_the_clear(self) -> None:
        """Without TLS the password is not taken."""
        done = run(
            "curl", "-sS", f"pop3://127.0.0.1:{self.site.ports['pop3']}/", "--user", f"{USER}:{PASSWORD}", check=False
        )
        self.assertNotEqual(done.returncode, 0)


class MpopTests(ReaderTests):
    """The companion of msmtp."""

    skip = need("mpop")

    def test_fetch(self) -> None:
        """Everything is fetched over STLS, pipelined, and deleted."""
        target = self.site.root / "fetched"
        for part in ("new", "cur", "tmp"):
            (target / part).mkdir(parents=True)
        run(
            "mpop", "--host=127.0.0.1", f"--port={self.site.ports['pop3']}", f"--user={USER}", "--keep=off",
            f"--passwordeval=printf %s '{PASSWORD}'", "--tls=on", "--tls-starttls=on", "--auth=plain", "--pipelining=on",
            f"--tls-trust-file={self.site.certificate}", "--tls-host-override=mail.example.org",
            f"--delivery=maildir,{target}", f"--uidls-file={self.site.root}/uidls",
        )  # fmt: skip
        self.check([path.read_bytes() for path in (target / "new").iterdir()])
        self.assert_empty()


class FetchmailTests(ReaderTests):
    """The old master."""

    skip = need("fetchmail")

    def test_fetch(self) -> None:
        """Everything is fetched over STLS and handed to a program."""
        target = self.site.root / "fetched"
        target.mkdir()
        settings = self.site.root / "fetchmailrc"
        settings.write_text(
            f"poll 127.0.0.1 protocol pop3 port {self.site.ports['pop3']}\n"
            f'  user "{USER}" password "{PASSWORD}" sslproto "TLS1.2+" sslcertck sslcertfile "{self.site.certificate}"\n'
            f'  sslcommonname "mail.example.org" fetchall\n'
            f"  mda \"/bin/sh -c 'cat > {target}/$$'\"\n"
        )
        settings.chmod(0o600)
        os.environ["FETCHMAILHOME"] = str(self.site.root)
        self.addCleanup(os.environ.pop, "FETCHMAILHOME")
        run("fetchmail", "--nodetach", "--fetchmailrc", settings, "--pidfile", self.site.root / "pid")
        self.check([path.read_bytes() for path in target.iterdir()])
        self.assert_empty()


class GetmailTests(ReaderTests):
    """getmail6."""

    skip = need("getmail")

    def test_fetch(self) -> None:
        """Everything is fetched over implicit TLS and handed to a program."""
        target = self.site.root / "fetched"
        target.mkdir()
        (self.site.root / "getmailrc").write_text(
            "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = 127.0.0.1\n"
            f"port = {self.site.ports['pop3s']}\nusername = {USER}\npassword = {PASSWORD}\n"
            f"ca_certs = {self.site.certificate}\nssl_cert_hostname = mail.example.org\n"
            "[destination]\ntype = MDA_external\npath = /bin/sh\n"
            f'arguments = ("-c", "cat > {target}/$$")\nallow_root_commands = true\n'
            "[options]\ndelete = true\nread_all = true\nmessage_log_verbose = false\nverbose = 0\n"
        )
        run("getmail", f"--getmaildir={self.site.root}", "--rcfile=getmailrc")
        self.check([path.read_bytes() for path in target.iterdir()])
        self.assert_empty()
