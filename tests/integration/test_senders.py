"""Programs that send mail, each for real: swaks, msmtp, curl and Postfix's smtp-source."""

from __future__ import annotations

import re
import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import PASSWORD, USER, Site, need, run

BODY = "From: <sender@example.net>\r\nSubject: hello\r\n\r\n.first\r\n..second\r\n\r\nlast\r\n"


class SenderTests(SynchronousTestCase):
    """One site."""

    def setUp(self) -> None:
        """Start it."""
        self.site = Site()
        self.addCleanup(self.site.close)
        self.site.start()

    def swaks(self, *options: str, check: bool = True) -> str:
        """Run swaks against the site; its transcript."""
        done = run(
            "swaks", "--server", "127.0.0.1", "--from", "sender@example.net", "--to", "joe@example.org",
            "--helo", "client.example.net", "--body", "hello", *options, check=check,
        )  # fmt: skip
        return done.stdout.decode(errors="replace")

    def port(self, name: str) -> str:
        """A port as text."""
        return str(self.site.ports[name])

    def login(self) -> list[str]:
        """How swaks logs in."""
        return ["--auth-user", USER, "--auth-password", PASSWORD, "--from", "joe@example.org"]


class SwaksTests(SenderTests):
    """The tester of SMTP servers."""

    skip = need("swaks")

    def test_plain(self) -> None:
        """A message from outside for a mailbox here arrives, with its trace headers."""
        self.swaks("--port", self.port("smtp"))
        (message,) = self.site.wait_for_messages(1)
        self.assertTrue(message.startswith(b"Return-Path: <sender@example.net>\nReceived: from client.example.net "))
        self.assertRegex(message, rb"with ESMTP\b")
        self.assertNotIn(b"\r", message)

    def test_starttls_and_login(self) -> None:
        """Submission with STARTTLS and each mechanism."""
        for mechanism in ("PLAIN", "LOGIN"):
            self.swaks("--port", self.port("submission"), "--tls", "--auth", mechanism, *self.login())
        messages = self.site.wait_for_messages(2)
        for message in messages:
            self.assertRegex(message, rb"with ESMTPSA\b")
            self.assertRegex(message, rb"TLSv1\.[23]")

    def test_implicit_tls(self) -> None:
        """Submission with TLS from the first octet."""
        self.swaks("--port", self.port("submissions"), "--tls-on-connect", "--auth", "PLAIN", *self.login())
        self.site.wait_for_messages(1)

    def test_pipelining(self) -> None:
        """Commands sent together are answered in order."""
        transcript = self.swaks("--port", self.port("smtp"), "--pipeline")
        self.assertIn("PIPELINING", transcript)
        self.site.wait_for_messages(1)

    def test_lmtp(self) -> None:
        """Another program delivers by LMTP over a UNIX socket."""
        run(
            "swaks",
            "--protocol",
            "LMTP",
            "--socket",
            self.site.lmtp,
            "--from",
            "s@example.net",
            "--to",
            "joe@example.org",
        )
        self.site.wait_for_messages(1)

    def test_nobody_relays(self) -> None:
        """A stranger's mail for strangers is refused, and said to be."""
        transcript = self.swaks("--port", self.port("smtp"), "--to", "other@example.com", check=False)
        self.assertRegex(transcript, r"(?m)^<\*\* 550 5\.7\.1 ")

    def test_unknown_recipient(self) -> None:
        """A mailbox that does not exist is refused at RCPT."""
        transcript = self.swaks("--port", self.port("smtp"), "--to", "nobody@example.org", check=False)
        self.assertRegex(transcript, r"(?m)^<\*\* 550 5\.1\.1 ")

    def test_wrong_password(self) -> None:
        """A wrong password is 535, and the command line can say that it was tried."""
        transcript = self.swaks(
            "--port", self.port("submission"), "--tls", "--auth", "PLAIN", "--auth-user", USER, "--auth-password", "x",
            check=False,
        )  # fmt: skip
        self.assertRegex(transcript, r"(?m)^<~\* 535 5\.7\.8 ")

    def test_no_login_in_the_clear(self) -> None:
        """Without TLS no password is asked for, and none is taken."""
        transcript = self.swaks("--port", self.port("submission"), "--auth", "PLAIN", *self.login(), check=False)
        self.assertNotRegex(transcript, r"(?m)^<-  250.AUTH")
        self.assertNotIn("235 ", transcript)

    def test_tracked(self) -> None:
        """What arrived can be looked up by every name it has."""
        transcript = self.swaks("--port", self.port("smtp"), "--header", "Message-Id: <tracked@example.net>")
        queue_id = re.findall(r"250 2\.\d\.\d .*?([0-9A-Z]{12})", transcript)[-1]
        self.site.wait_for_messages(1)
        for query in (queue_id, "joe@example.org", "sender@example.net", "<tracked@example.net>"):
            kinds = str(self.site.ask("track", query))
            self.assertIn("received", kinds)
            self.assertIn("delivered", kinds)


class MsmtpTests(SenderTests):
    """A program that people and scripts send with."""

    skip = need("msmtp")

    def send(self, *options: str) -> None:
        """Send one message from standard input."""
        run(
            "msmtp", "--host=127.0.0.1", f"--user={USER}", f"--passwordeval=printf %s '{PASSWORD}'", "--auth=plain",
            "--tls=on", f"--tls-trust-file={self.site.certificate}", "--tls-host-override=mail.example.org",
            "--from=joe@example.org", *options, "joe@example.org", stdin=BODY.replace("\r\n", "\n"),
        )  # fmt: skip

    def test_starttls(self) -> None:
        """STARTTLS, verified, with a login; dots at the beginning of lines survive."""
        self.send(f"--port={self.port('submission')}", "--tls-starttls=on")
        (message,) = self.site.wait_for_messages(1)
        self.assertTrue(message.endswith(b"\n\n.first\n..second\n\nlast\n"))

    def test_implicit_tls(self) -> None:
        """TLS from the first octet."""
        self.send(f"--port={self.port('submissions')}", "--tls-starttls=off")
        self.site.wait_for_messages(1)


class CurlTests(SenderTests):
    """curl sends too."""

    skip = need("curl")

    def test_smtps(self) -> None:
        """A message over implicit TLS with a login."""
        run(
            "curl", "-sS", "--url", f"smtps://mail.example.org:{self.port('submissions')}", "--cacert", self.site.certificate,
            "--resolve", f"mail.example.org:{self.port('submissions')}:127.0.0.1", "--user", f"{USER}:{PASSWORD}",
            "--mail-from", "joe@example.org", "--mail-rcpt", "joe@example.org", "--upload-file", "-", stdin=BODY,
        )  # fmt: skip
        (message,) = self.site.wait_for_messages(1)
        self.assertTrue(message.endswith(b"\n\n.first\n..second\n\nlast\n"))

    def test_verify(self) -> None:
        """VRFY discloses nobody (RFC 5321 7.3)."""
        done = run("curl", "-sS", f"smtp://127.0.0.1:{self.port('smtp')}", "-X", "VRFY joe", "-v", check=False)
        self.assertRegex(done.stderr.decode(), r"< 252 ")


class SmtpSourceTests(SenderTests):
    """Postfix's load generator: many messages, all of which must arrive whole."""

    skip = need("smtp-source")

    def send(self, count: int, octets: int, *options: str) -> list[bytes]:
        """Send so many, and return what arrived."""
        run(
            "/usr/sbin/smtp-source", "-m", str(count), "-l", str(octets), *options, "-f", "sender@example.net",
            "-t", "joe@example.org", f"127.0.0.1:{self.port('smtp')}",
        )  # fmt: skip
        return self.site.wait_for_messages(count)

    def bodies(self, messages: list[bytes]) -> set[bytes]:
        """The different bodies."""
        return {message.partition(b"\n\n")[2] for message in messages}

    def test_many_connections(self) -> None:
        """A connection a message, twenty at once."""
        messages = self.send(300, 4096, "-s", "20")
        self.assertEqual((len(messages), len(self.bodies(messages))), (300, 1))

    def test_kept_connections(self) -> None:
        """Twenty connections that are kept."""
        messages = self.send(300, 4096, "-s", "20", "-d")
        self.assertEqual((len(messages), len(self.bodies(messages))), (300, 1))

    def test_large(self) -> None:
        """Messages that go to files of their own."""
        messages = self.send(20, 1024 * 1024, "-s", "5")
        self.assertEqual(len(self.bodies(messages)), 1)
        self.assertGreater(len(messages[0]), 1_000_000)


class RawTests(SenderTests):
    """What no polite client sends."""

    def test_input_behind_starttls_is_forgotten(self) -> None:
        """Commands that came in the clear behind STARTTLS are not carried out inside TLS."""
        import ssl

        with socket.create_connection(("127.0.0.1", self.site.ports["smtp"]), 10) as plain:
            plain.recv(500)
            plain.sendall(b"EHLO client.example.net\r\n")
            while b"250 " not in plain.recv(2000):
                pass
            plain.sendall(b"STARTTLS\r\nMAIL FROM:<a@example.net>\r\n")
            self.assertEqual(plain.recv(500)[:4], b"220 ")
            context = ssl.create_default_context(cafile=str(self.site.certificate))
            with context.wrap_socket(plain, server_hostname="mail.example.org") as secure:
                secure.sendall(b"RCPT TO:<joe@example.org>\r\n")
                self.assertEqual(secure.recv(500)[:4], b"503 ")
