"""Collecting from Dovecot, with everything that it can: TLS, SASL, several boxes, and a kill in between."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import Site, need, wait_until
from tests.support.dovecot import Dovecot

HEADER = "Received: from a by b with SMTP; Thu, 1 Jan 2026 00:00:00 +0000\nMessage-ID: <{0}@example.net>\nSubject: number {0}\n"


def message(number: int, *fields: str, body: str = ".dot\n..dots\n\nGrüße\n") -> bytes:
    """A message of its own."""
    return (HEADER.format(number) + "".join(f"{field}\n" for field in fields) + "\n" + body).encode()


class DovecotTests(SynchronousTestCase):
    """A foreign server with two boxes, and one site."""

    skip = need("dovecot")

    def setUp(self) -> None:
        """Start them."""
        self.site = Site()
        self.addCleanup(self.site.close)
        tls = self.site.data / "tls"
        self.dovecot = Dovecot(tls / "certificate.pem", tls / "key.pem", "box", "many")
        self.addCleanup(self.dovecot.close)

    def configure(self, name: str, **settings: object) -> None:
        """Add a collector."""
        values = {"enabled": "no", "host": "127.0.0.1", "username": name, "password": "secret", **settings}
        with self.site.config.open("a") as config:
            config.write(f"\n[collector:{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()))
        self.site.config.chmod(0o600)

    def collect(self, name: str, *options: str) -> dict[str, object]:
        """Look now."""
        report: dict[str, object] = self.site.ask("collect", name, *options)
        return report

    def looked(self) -> list[dict[str, object]]:
        """The rows of boxes that have been looked at, and are not being."""
        rows: list[dict[str, object]] = self.site.ask("collect")
        return [row for row in rows if row["sessions"] and row["state"] != "at work"]

    def test_ways_in(self) -> None:
        """In the clear to this machine, by STLS and by TLS from the first octet; by SCRAM, PLAIN, and USER and PASS."""
        ways = (
            ("none", self.dovecot.pop3, ""),
            ("none", self.dovecot.pop3, "user"),
            ("starttls", self.dovecot.pop3, "scram-sha-256"),
            ("starttls", self.dovecot.pop3, "plain"),
            ("implicit", self.dovecot.pop3s, ""),
        )
        for number, (tls, port, auth) in enumerate(ways):
            # One box under several names of its server, because one box is collected once.
            self.configure("box", tls=tls, port=port, auth=auth, account="joe", verify="no", host="127.0.0.1")
            if self.site.process is None:
                self.site.start()
            else:
                self.site.hermes("reload", "-c", str(self.site.config))
            self.dovecot.put("box", message(number))
            report = self.collect("box")
            self.assertEqual((report["taken"], report["deleted"], report["problem"]), (1, 1, ""), (tls, auth))
            text = self.site.config.read_text()
            self.site.config.write_text(text[: text.index("\n[collector:box]")])
        found = self.site.wait_for_messages(len(ways))
        for number in range(len(ways)):
            (one,) = [octets for octets in found if f"Subject: number {number}\n".encode() in octets]
            self.assertTrue(one.endswith(message(number)))
        self.assertEqual(self.dovecot.messages("box"), [])
        track = self.site.hermes("track", "-c", str(self.site.config), "joe@example.org", "--json")
        self.assertIn(b'"collector": "box"', track.stdout.replace(b'":"', b'": "'))

    def test_by_itself(self) -> None:
        """The boxes are looked at without being asked; multi-drop finds the recipient, and nothing is fetched twice."""
        self.dovecot.put("many", message(1, "Delivered-To: joe@example.org"))
        self.dovecot.put("many", message(2, "To: somebody@example.com"))
        self.configure("many", tls="none", port=self.dovecot.pop3, enabled="yes", leave="always", poll="10s")
        self.site.start()
        self.site.wait_for_messages(2)
        (row,) = self.site.ask("collect")
        self.assertEqual((row["messages"], row["problem"]), (2, ""))
        self.site.stop()
        self.site.start()
        # It looks by itself when it starts.
        (row,) = wait_until("a look at the box", self.looked)
        self.assertEqual((row["messages"], row["problem"]), (0, ""))
        self.assertEqual((len(self.site.messages()), len(self.dovecot.messages("many"))), (2, 2))

    def test_killed(self) -> None:
        """Killed at any moment while it collects, and started again, everything has come exactly once in the end."""
        count = 300
        for number in range(count):
            self.dovecot.put("box", message(number))
        self.configure("box", tls="none", port=self.dovecot.pop3, account="joe", enabled="yes", poll="10s")
        for seconds in (0.05, 0.15, 0.3):
            self.site.start()
            before = len(self.site.messages())
            wait_until(
                "a message",
                lambda before=before: len(self.site.messages()) > before or not self.dovecot.messages("box"),
            )
            time.sleep(seconds)
            self.site.kill()
        self.site.start()
        wait_until("an empty box", lambda: not self.dovecot.messages("box"))
        found = self.site.wait_for_messages(count)
        wait_until("an empty queue", lambda: not self.site.ask("queue", "list"))
        found = self.site.messages()
        numbers = sorted(int(one.partition(b"Subject: number ")[2].partition(b"\n")[0]) for one in found)
        self.assertEqual(numbers, list(range(count)))
