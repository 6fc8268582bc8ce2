"""Addresses that stand for others, in a real server: mail through a list, edits while it runs, and a crash in the middle."""

from __future__ import annotations

import os
import smtplib
import sqlite3
import ssl
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import PASSWORD, USER, Site, free_ports, need, wait_until

_EXTRA = """
[smarthost]
host = 127.0.0.1
port = {port}
tls = none
[queue]
retry = 1s
"""

#: What is sent through the list before and while the server is killed.
MESSAGES = 300


class AddressTests(SynchronousTestCase):
    """A site with joe and ann, whose list has a member elsewhere."""

    skip = need("smtp-sink", "smtp-source")

    def setUp(self) -> None:
        """Make and start it, with Postfix's smtp-sink as the world outside."""
        (port,) = free_ports(1)
        self.site = Site(_EXTRA.format(port=port))
        self.addCleanup(self.site.close)
        config = str(self.site.config)
        self.site.hermes("user", "add", "-c", config, "ann", "--generate")
        self.aliases = self.site.data / "aliases"
        self.aliases.write_text("team: joe, ann, far@example.net\nsales == joe\n")
        self.outside = self.site.root / "sink"
        self.outside.mkdir(mode=0o777)
        self.outside.chmod(0o777)
        command = ["/usr/sbin/smtp-sink", "-d", f"{self.outside}/message.", f"127.0.0.1:{port}", "100"]
        if os.getuid() == 0:
            command[1:1] = ["-u", "postfix"]
        sink = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(sink.wait)
        self.addCleanup(sink.terminate)
        self.site.start()

    def send(self, to: str, sender: str = "s@example.com", *, login: bool = False) -> None:
        """Send a message; smtplib raises what is refused."""
        port = self.site.ports["submission" if login else "smtp"]
        with smtplib.SMTP("127.0.0.1", port) as client:
            if login:
                client.starttls(context=ssl._create_unverified_context())
                client.login(USER, PASSWORD)
            client.sendmail(sender, [to], "Subject: x\r\n\r\nbody\r\n")

    def sent_on(self) -> list[str]:
        """What has gone to other servers, with the envelope as smtp-sink writes it."""
        return [path.read_text(errors="replace") for path in self.outside.iterdir() if path.stat().st_size]

    def test_list_and_edit(self) -> None:
        """A list reaches everybody, the one outside with a sender of ours; an edit counts, a mistake changes nothing."""
        self.send("Team@example.org")
        for user in ("joe", "ann"):
            self.site.wait_for_messages(1, user)
        wait_until("an empty queue", lambda: self.site.ask("queue", "list") == [])
        (message,) = self.sent_on()
        self.assertIn("SRS0=", message)
        self.assertIn("Delivered-To: team@example.org", message.replace("Team", "team"))
        kinds = [event["event"] for event in self.site.ask("track", "ann@example.org")]
        self.assertIn("expanded", kinds)
        self.assertRaises(smtplib.SMTPRecipientsRefused, self.send, "new@example.org")
        self.aliases.write_text("new == ann\nsales == joe\n")
        wait_until("the edit", lambda: self.is_taken("new@example.org"))
        self.aliases.write_text("new == FILTER:x\n")
        # The files are looked at when somebody asks, and what was in force stays so.
        taken: set[bool] = set()

        def asked() -> bool:
            taken.add(self.is_taken("new@example.org"))
            return "aliases:1: FILTER" in self.site.log()

        wait_until("the complaint", asked)
        self.assertEqual(taken, {True})
        self.assertNotIn("Traceback", self.site.log())

    def is_taken(self, address: str) -> bool:
        """Whether a stranger may write to it."""
        with smtplib.SMTP("127.0.0.1", self.site.ports["smtp"]) as client:
            client.ehlo()
            client.mail("s@example.com")
            return client.rcpt(address)[0] == 250

    def test_own_alias(self) -> None:
        """Somebody who has logged in may send from an alias that is theirs alone, and from no list."""
        self.send("ann@example.org", "sales@example.org", login=True)
        self.site.wait_for_messages(1, "ann")
        self.assertRaises(smtplib.SMTPSenderRefused, self.send, "ann@example.org", "team@example.org", login=True)

    def test_rules(self) -> None:
        """Mail goes where rules say; an edit counts with the next message, and a mistake puts it off until it is mended."""
        rules = self.site.data / "orders.rul"
        rules.write_text('If header "S" contains "order" AddHeader "X-Kind: order"\nAlways Copy "ann"\n')
        self.aliases.write_text("orders == FILTER:orders.rul\n")
        wait_until("the edit", lambda: self.is_taken("orders@example.org"))
        self.send("orders@example.org")
        (message,) = self.site.wait_for_messages(1, "ann")
        self.assertNotIn(b"X-Kind: order", message)
        rules.write_text('Always AddHeader "X-Kind: all"\nAlways Copy "ann"\nAlways Print "lpt1"\n')
        self.send("orders@example.org")
        wait_until("the complaint", lambda: "orders.rul:3: Print" in self.site.log())
        self.assertEqual(len(self.site.messages("ann")), 1)
        rules.write_text('Always AddHeader "X-Kind: all"\nAlways Copy "ann"\nAlways Copy "PUBLIC:orders"\n')
        messages = self.site.wait_for_messages(2, "ann")
        self.assertEqual(len([each for each in messages if b"\nX-Kind: all\n" in each]), 1)
        folder = self.site.data / "public" / "orders" / "new"
        wait_until("the folder", lambda: folder.is_dir() and len(os.listdir(folder)) == 1)
        self.assertNotIn("Traceback", self.site.log())

    def test_crash_within_rules(self) -> None:
        """The server is killed while mail goes through rules: each copy of each message is there, and once."""
        rules = self.site.data / "orders.rul"
        rules.write_text(
            'Always Copy "ann"\nAlways AddHeader "X-Kind: all"\nAlways Copy "joe"\nAlways Copy "PUBLIC:orders"\n'
        )
        self.aliases.write_text("orders == FILTER:orders.rul\n")
        wait_until("the edit", lambda: self.is_taken("orders@example.org"))
        self.crash("orders@example.org")
        accepted = self.accepted()
        self.assertGreater(accepted, MESSAGES // 10)
        for user in ("joe", "ann"):
            self.assertEqual(len(self.site.messages(user)), accepted, user)
        self.assertEqual(len(os.listdir(self.site.data / "public" / "orders" / "new")), accepted)

    def crash(self, to: str) -> None:
        """Kill the server while many messages come in, and start it again."""
        source = subprocess.Popen(
            [
                *("/usr/sbin/smtp-source", "-m", str(MESSAGES), "-s", "4", "-l", "2048", "-f", "s@example.com"),
                *("-t", to, f"127.0.0.1:{self.site.ports['smtp']}"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until("the first messages", lambda: len(self.site.messages("ann")) > MESSAGES // 10)
        self.site.kill()
        source.wait()
        self.site.start()
        wait_until("an empty queue", lambda: self.site.ask("queue", "list") == [])

    def test_crash(self) -> None:
        """The server is killed while mail goes through the list: each member gets each message, and the mailboxes once."""
        self.crash("team@example.org")
        accepted = self.accepted()
        self.assertGreater(accepted, MESSAGES // 10)
        for user in ("joe", "ann"):
            self.assertEqual(len(self.site.messages(user)), accepted, user)
        # Another server may get one twice (RFC 1047), and must get all.
        self.assertGreaterEqual(len(self.sent_on()), accepted)

    def accepted(self) -> int:
        """How many messages have come in from outside."""
        place = Path(self.site.data) / "spool" / "spool.sqlite"
        with sqlite3.connect(f"file:{place}?mode=ro", uri=True) as connection:
            found = connection.execute(
                "SELECT count(*) FROM events WHERE kind = 'received' AND facts LIKE '%listener%'"
            )
            return int(found.fetchone()[0])


class LargeSiteTests(SynchronousTestCase):
    """Many addresses."""

    def test_start_with_many(self) -> None:
        """10,000 accounts and 100,000 aliases are no reason to wait: the server is there, and knows them all."""
        site = Site()
        self.addCleanup(site.close)
        accounts = site.data / "accounts.ini"
        more = "".join(f"[user{number}]\nname = First{number} Last{number}\n" for number in range(10_000))
        accounts.write_text(accounts.read_text() + more)
        aliases = "".join(f"alias{number} == user{number % 10_000}\n" for number in range(100_000))
        (site.data / "aliases").write_text(aliases)
        site.start()
        with smtplib.SMTP("127.0.0.1", site.ports["smtp"]) as client:
            client.ehlo()
            client.mail("s@example.com")
            self.assertEqual(client.rcpt("alias99999@example.org")[0], 250)
            self.assertEqual(client.rcpt("alias100000@example.org")[0], 550)
