"""What goes on through a smart host: with and without TLS, kept while it is down, returned when it is refused."""

from __future__ import annotations

import os
import smtplib
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import PASSWORD, USER, Site, free_ports, need, run, wait_until

RELAY = "\n[direct]\nenabled = no\n[smarthost]\nhost = 127.0.0.1\nport = {port}\ntls = none\n"


class RelayTests(SynchronousTestCase):
    """A site whose smart host is Postfix's smtp-sink."""

    skip = need("smtp-sink", "smtp-source")

    def setUp(self) -> None:
        """The site; the sink is started by each test."""
        (self.sink_port,) = free_ports(1)
        extra = RELAY.format(port=self.sink_port) + "[queue]\nretry = 1s\n"
        self.site = Site(extra)
        self.addCleanup(self.site.close)
        text = self.site.config.read_text().replace("[pop3]", "relay_networks = 127.0.0.0/8\n\n[pop3]", 1)
        self.site.config.write_text(text)
        self.site.start()

    def sink(self, *options: str) -> Path:
        """Start smtp-sink; what it receives is appended to the file returned."""
        directory = self.site.root / "sink"
        directory.mkdir(mode=0o777, exist_ok=True)
        directory.chmod(0o777)
        command = ["/usr/sbin/smtp-sink", "-d", f"{directory}/message.", *options, f"127.0.0.1:{self.sink_port}", "100"]
        if os.getuid() == 0:
            command[1:1] = ["-u", "postfix"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return directory

    def send(self, count: int = 1, *options: str, sender: str = "joe@example.org") -> None:
        """Send from this machine to another domain."""
        run(
            "/usr/sbin/smtp-source", "-m", str(count), "-l", "4096", *options, "-f", sender, "-t", "other@example.com",
            f"127.0.0.1:{self.site.ports['smtp']}",
        )  # fmt: skip

    def test_relayed(self) -> None:
        """Everything goes on, and the queue is empty afterwards."""
        directory = self.sink()
        self.send(200, "-s", "10")
        wait_until("200 messages", lambda: len(list(directory.iterdir())) >= 200)
        wait_until("an empty queue", lambda: self.site.ask("queue", "list") == [])

    def test_kept_while_the_smart_host_is_down(self) -> None:
        """Mail waits, survives a restart, and goes when the smart host is back."""
        self.send(5)
        wait_until(
            "a first attempt", lambda: any("refused" in str(row).lower() for row in self.site.ask("queue", "list"))
        )
        self.site.kill()
        self.site.start()
        self.assertEqual(len(self.site.ask("queue", "list")), 5)
        directory = self.sink()
        self.site.hermes("queue", "retry", "-c", str(self.site.config))
        wait_until("five messages", lambda: len(list(directory.iterdir())) >= 5)

    def test_refused(self) -> None:
        """A recipient that the smart host refuses comes back to the sender with its words."""
        self.sink("-f", "RCPT")
        self.send()
        (report,) = self.site.wait_for_messages(1)
        self.assertIn(b"multipart/report", report)
        self.assertIn(b"Final-Recipient: rfc822; other@example.com", report)
        self.assertRegex(report, rb"Diagnostic-Code: smtp; 5\d\d ")
        self.assertTrue(report.startswith(b"Return-Path: <>\n"))

    def test_no_report_for_reports(self) -> None:
        """What came from the null sender is not returned to anybody; the postmaster alone hears of it (RFC 5321 6.1)."""
        self.sink("-f", "RCPT")
        self.send(sender="")
        (copy,) = self.site.wait_for_messages(1)
        self.assertIn(b"Subject: Copy for the postmaster", copy)
        wait_until("an empty queue", lambda: self.site.ask("queue", "list") == [])
        self.assertEqual(self.site.messages(), [copy])
        self.assertIn("failed", str(self.site.ask("track", "other@example.com")))

    def test_held(self) -> None:
        """An administrator stops a message, lets it go on, and removes another."""
        self.send(2)
        rows = wait_until("two messages", lambda: len(found := self.site.ask("queue", "list")) == 2 and found)
        first, second = sorted({row["id"] for row in rows})
        config = str(self.site.config)
        self.site.hermes("queue", "hold", "-c", config, first)
        self.site.hermes("queue", "remove", "-c", config, second)
        directory = self.sink()
        self.site.hermes("queue", "retry", "-c", config)
        self.assertEqual([row["id"] for row in self.site.ask("queue", "list")], [first])
        self.site.hermes("queue", "release", "-c", config, first)
        wait_until("the released message", lambda: len(list(directory.iterdir())) == 1)

    def test_returned_by_hand(self) -> None:
        """An administrator gives a message up: its sender is told."""
        self.send()
        (row,) = wait_until("a message", lambda: self.site.ask("queue", "list"))
        self.site.hermes("queue", "return", "-c", str(self.site.config), row["id"])
        (report,) = self.site.wait_for_messages(1)
        self.assertIn(b"multipart/report", report)


class ChainTests(SynchronousTestCase):
    """One Hermes through another: STARTTLS and implicit TLS, verified, with a login."""

    def chain(self, tls: str, port: str, password: str = PASSWORD) -> tuple[Site, Site]:
        """A provider, and a site that sends through it."""
        provider = Site()
        self.addCleanup(provider.close)
        provider.start()
        extra = (
            f"\n[smarthost]\nhost = localhost\nport = {provider.ports[port]}\ntls = {tls}\nverify = yes\n"
            f"authority = {provider.certificate}\nusername = {USER}\npassword = {password}\n[queue]\nretry = 1s\n"
        )
        site = Site(extra)
        self.addCleanup(site.close)
        # The site is another organisation than its provider.
        text = site.config.read_text().replace("example.org", "example.net")
        site.config.write_text(text.replace("[pop3]", "relay_networks = 127.0.0.0/8\n\n[pop3]", 1))
        site.start()
        return provider, site

    def send(self, site: Site) -> None:
        """Send a message to the provider's domain, as the account that it knows."""
        with smtplib.SMTP("127.0.0.1", site.ports["smtp"]) as client:
            client.sendmail("joe@example.org", ["joe@example.org"], "Subject: chain\r\n\r\n.dot\r\n")

    def test_verified(self) -> None:
        """The certificate is for another name than the one that was asked for: nothing is sent, and the queue says why."""
        _, site = self.chain("starttls", "submission")
        self.send(site)
        wait_until("the reason", lambda: "certificate" in str(site.ask("queue", "list")))

    def test_trusted(self) -> None:
        """With the name that the certificate has, the mail arrives: STARTTLS, and TLS from the first octet."""
        for tls, port in (("starttls", "submission"), ("implicit", "submissions")):
            provider, site = self.chain(tls, port)
            site.stop()
            site.config.write_text(site.config.read_text().replace("verify = yes", "verify = no"))
            site.start()
            self.send(site)
            (message,) = provider.wait_for_messages(1)
            self.assertTrue(message.endswith(b"\n\n.dot\n"))
            self.assertRegex(message, rb"with ESMTPSA\b")

    def test_scram(self) -> None:
        """SCRAM-SHA-256, bound to the connection and not: both ends prove themselves, and the mail arrives."""
        for mechanism in ("scram-sha-256-plus", "scram-sha-256"):
            provider, site = self.chain("starttls", "submission")
            for each in (provider, site):
                each.stop()
                text = each.config.read_text().replace("verify = yes", f"verify = no\nauth = {mechanism}")
                each.config.write_text(text)
            provider.config.write_text(provider.config.read_text() + "[accounts]\nscram = yes\n")
            words = ("user", "password", "-c", str(provider.config), USER, "--password-file", "-")
            provider.hermes(*words, stdin=PASSWORD)
            provider.start()
            site.start()
            self.send(site)
            provider.wait_for_messages(1)

    def test_wrong_password(self) -> None:
        """A wrong password bounces nothing: the mail waits until the configuration is mended, and the queue says why."""
        _, site = self.chain("starttls", "submission", "wrong")
        site.stop()
        site.config.write_text(site.config.read_text().replace("verify = yes", "verify = no"))
        site.start()
        self.send(site)
        wait_until("the reason", lambda: "535" in str(site.ask("queue", "list")))
        self.assertEqual(len(site.ask("queue", "list")), 1)
