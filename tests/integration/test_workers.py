"""Several workers, as an administrator and the site's clients see them."""

from __future__ import annotations

import os
import poplib
import re
import signal
import smtplib
import socket
import urllib.request
from collections import Counter
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import PASSWORD, PATIENCE_SECONDS, USER, Site, free_ports, wait_until


class WorkersTestCase(SynchronousTestCase):
    """A site of two workers; what is for other domains stays in the queue."""

    def setUp(self) -> None:
        """A site that does not run yet."""
        (nobody,) = free_ports(1)
        self.site = Site(f"auth_without_tls = loopback\n\n[smarthost]\nhost = 127.0.0.1\nport = {nobody}\ntls = none\n")
        self.addCleanup(self.site.close)
        self.site.configure("hermes", "workers = 2")
        self.site.configure("smtp", "relay_networks = 127.0.0.0/8")

    def send(self, *recipients: str, place: int | None = None) -> None:
        """Send a message."""
        with smtplib.SMTP("127.0.0.1", place or self.site.ports["smtp"]) as client:
            client.sendmail("s@example.net", recipients, "Subject: x\r\n\r\nbody\r\n")

    def send_to_both(self, recipient: str) -> list[str]:
        """Send until both workers have taken a message; the queue ids, by their shards."""
        ids: dict[str, str] = {}

        def sent() -> bool:
            # Two at once go to two workers more often than not.
            clients = [smtplib.SMTP("127.0.0.1", self.site.ports["smtp"]) for _ in range(4)]
            for client in clients:
                client.ehlo()
                client.mail("s@example.net")
                client.rcpt(recipient)
                _, words = client.data(b"Subject: x\r\n\r\nbody\r\n")
                queue_id = words.split()[-1].decode()
                ids.setdefault(queue_id[-1], queue_id)
            for client in clients:
                client.quit()
            return len(ids) == 2

        wait_until("both workers to take a message", sent)
        return [ids[shard] for shard in sorted(ids)]

    def hermes(self, *words: str, check: bool = True) -> str:
        """Run the command; what it said."""
        done = self.site.hermes(*words[:2], "-c", str(self.site.config), *words[2:], check=check)
        return (done.stdout + done.stderr).decode()

    def status(self) -> dict[str, Any]:
        """What the server says about itself."""
        status: dict[str, Any] = self.site.ask("status")
        return status


class RunningTests(WorkersTestCase):
    """Two workers do as one."""

    def test_as_one(self) -> None:
        """Mail that any worker has taken is delivered, listed, held, returned and found; at the end of the server too."""
        self.site.start()
        ids = self.send_to_both("joe@example.org")
        self.assertEqual([each[-1] for each in ids], ["0", "1"])
        self.site.wait_for_messages(2)
        waiting = self.send_to_both("other@example.com")
        wait_until(
            "the attempts", lambda: all(row["recipients"][0]["attempts"] for row in self.site.ask("queue", "list"))
        )
        listed = [row["id"] for row in self.site.ask("queue", "list")]
        self.assertEqual(listed, sorted(listed))
        self.assertEqual(set(waiting) - set(listed), set())
        for queue_id in waiting:
            self.assertIn("is held", self.hermes("queue", "hold", queue_id))
            self.assertIn("goes on", self.hermes("queue", "release", queue_id))
        self.assertIn(f"{len(listed)} messages will be tried now", self.hermes("queue", "retry", "--all"))
        self.assertIn("1 message will be tried now", self.hermes("queue", "retry", waiting[0]))
        self.assertIn("has been removed", self.hermes("queue", "remove", waiting[1]))
        self.assertIn("is not in the queue", self.hermes("queue", "remove", waiting[1], check=False))
        for queue_id in (*ids, *waiting):
            self.assertIn("received", self.hermes("track", queue_id))
        self.assertEqual(self.site.stop(), 0)
        self.assertEqual(len(self.site.ask("queue", "list")), len(listed) - 1)
        for queue_id in (*ids, *waiting):
            self.assertIn("received", self.hermes("track", queue_id))
        self.hermes("check", "--json")

    def test_status(self) -> None:
        """The status adds up; sessions name their worker; connections are spread."""
        self.site.start()
        clients = [smtplib.SMTP("127.0.0.1", self.site.ports["smtp"]) for _ in range(8)]
        for client in clients:
            client.ehlo()
        status = self.status()
        self.assertEqual([worker["state"] for worker in status["workers"]], ["ready", "ready"])
        self.assertEqual((status["connections"], status["smtp_sessions"]), (8, 8))
        self.assertEqual(status["process"], self.site.process and self.site.process.pid)
        self.assertEqual({worker["process"] for worker in status["workers"]}, set(self.site.workers()))
        spread = Counter(session["worker"] for session in self.site.ask("sessions"))
        self.assertEqual(sum(spread.values()), 8)
        self.assertEqual(len(spread), 2, "one worker has all connections")
        for client in clients:
            client.quit()

    def test_metrics(self) -> None:
        """The parent answers for all: each worker's figures have its number, and the parent's own have none."""
        (port,) = free_ports(1)
        with self.site.config.open("a") as config:
            config.write(f"[metrics]\nlisten = 127.0.0.1:{port}\n")
        self.site.start()
        self.send_to_both("joe@example.org")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            told = answer.read().decode()
        for text in (told, self.hermes("metrics")):
            self.assertEqual(set(re.findall(r'hermes_messages_received_total{.*worker="(\d)"', text)), {"0", "1"})
            self.assertEqual(re.findall(r'hermes_workers{state="ready"} (.*)', text), ["2.0"])

    def test_mailbox_lock(self) -> None:
        """A mailbox that one session reads is not given to another, whichever workers they are at."""
        self.site.start()
        first = poplib.POP3("127.0.0.1", self.site.ports["pop3"])
        first.user(USER)
        first.pass_(PASSWORD)
        refused = 0
        for _ in range(6):
            other = poplib.POP3("127.0.0.1", self.site.ports["pop3"])
            other.user(USER)
            with self.assertRaises(poplib.error_proto) as caught:
                other.pass_(PASSWORD)
            refused += b"IN-USE" in caught.exception.args[0]
            other.close()
        self.assertEqual(refused, 6)
        first.quit()

    def test_wrong_passwords(self) -> None:
        """Wrong passwords count for all workers together."""
        self.site.configure("pop3", "max_errors = 3")
        with self.site.config.open("a") as file:
            file.write("\n[limits]\nexempt_loopback = no\nlogin_failures = 4\n")
        self.site.start()
        told: list[bytes] = []
        for _ in range(8):
            client = poplib.POP3("127.0.0.1", self.site.ports["pop3"])
            client.user(USER)
            try:
                client.pass_("wrong")
            except poplib.error_proto as error:
                told.append(error.args[0])
            client.close()
        self.assertEqual([b"Too many wrong" in words for words in told], [False] * 4 + [True] * 4)

    def test_unix_socket(self) -> None:
        """A UNIX socket is shared like a port, outlives a worker, and is gone after the stop."""
        self.site.start()

        def greeted() -> bool:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE_SECONDS)
                client.connect(str(self.site.lmtp))
                return client.recv(4) == b"220 "

        self.assertTrue(greeted())
        before = self.site.workers()
        # In order, as a worker never does by itself: its ports are closed one by one.
        os.kill(before[0], signal.SIGTERM)
        wait_until("a successor", lambda: len(now := self.site.workers()) == 2 and before[0] not in now)
        self.assertTrue(all(greeted() for _ in range(4)))
        self.assertEqual(self.site.stop(), 0)
        self.assertFalse(self.site.lmtp.exists())

    def test_reload(self) -> None:
        """All workers take a changed file, a new port among it, or none of them does."""
        self.site.start()
        (new,) = free_ports(1)
        old = self.site.ports["submissions"]
        text = self.site.config.read_text()
        self.site.config.write_text(
            text.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}").replace("[smtp]\n", "[smtp]\nmax_size = 1234\n")
        )
        self.assertIn("in force", self.hermes("reload"))
        for _ in range(8):
            with smtplib.SMTP("127.0.0.1", self.site.ports["smtp"]) as client:
                client.ehlo()
                self.assertEqual(client.esmtp_features["size"], "1234")
            socket.create_connection(("127.0.0.1", new), 5).close()
        with socket.socket() as client:
            self.assertNotEqual(client.connect_ex(("127.0.0.1", old)), 0)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            text = self.site.config.read_text()
            self.site.config.write_text(text.replace("1234", "4321").replace(f"127.0.0.1:{new}", f"127.0.0.1:{port}"))
            self.assertIn("something else listens there", self.hermes("reload", check=False))
        self.site.config.write_text(text.replace("1234", "4321").replace("workers = 2", "workers = 3"))
        self.assertIn("hermes.workers cannot be changed", self.hermes("reload", check=False))
        for _ in range(8):
            with smtplib.SMTP("127.0.0.1", self.site.ports["smtp"]) as client:
                client.ehlo()
                self.assertEqual(client.esmtp_features["size"], "1234")


class LifeTests(WorkersTestCase):
    """Workers that die, and workers that are no more."""

    def test_successor(self) -> None:
        """A worker that dies costs its sessions only; its successor takes its queue up again and goes by the same settings."""
        self.site.start()
        waiting = self.send_to_both("other@example.com")
        before = self.site.workers()
        with smtplib.SMTP("127.0.0.1", self.site.ports["smtp"]) as client:
            client.ehlo()
            (session,) = self.site.ask("sessions")
            processes = {worker["number"]: worker["process"] for worker in self.status()["workers"]}
            other = processes[1 - session["worker"]]
            os.kill(other, signal.SIGKILL)
            wait_until("a successor", lambda: len(now := self.site.workers()) == 2 and now != before)
            wait_until("it to be ready", lambda: all(each["state"] == "ready" for each in self.status()["workers"]))
            self.assertEqual(client.noop()[0], 250)
        self.assertIn("killed by signal 9", self.site.log())
        for queue_id in waiting:
            self.assertIn("is held", self.hermes("queue", "hold", queue_id))
        self.assertEqual(self.site.stop(), 0)

    def test_fewer_workers(self) -> None:
        """What the second worker had in its queue is delivered when there is only one process, or another number of them."""
        self.site.start()
        waiting = self.send_to_both("other@example.com")
        self.assertEqual(self.site.stop(), 0)
        for number in (1, 3, 1):
            self.site.config.write_text(self.site.config.read_text().replace("workers = 2", f"workers = {number}"))
            self.site.start()
            for queue_id in waiting:
                self.assertIn("is held", self.hermes("queue", "hold", queue_id))
                self.assertIn("goes on now", self.hermes("queue", "release", queue_id))
            self.assertEqual(self.site.stop(), 0)

    def test_given_up(self) -> None:
        """The queue of a worker that dies again and again goes to another one."""
        self.site.start()
        waiting = self.send_to_both("other@example.com")
        victim = self.status()["workers"][1]["process"]

        def given_up() -> bool:
            worker = self.status()["workers"][1]
            if worker["process"]:
                os.kill(worker["process"], signal.SIGKILL)
            return bool(worker["state"] == "given up")

        wait_until("it to be given up", given_up)
        self.assertTrue(victim)
        wait_until("its shard to be adopted", lambda: "Shard 1 of the spool has no worker" in self.site.log())
        for queue_id in waiting:
            self.assertIn("is held", self.hermes("queue", "hold", queue_id))
        self.send("joe@example.org")
        self.site.wait_for_messages(1)
        self.assertEqual(self.status()["adopted_shards"][0]["shard"], 1)
        self.assertEqual(self.site.stop(), 0)

    def test_the_parent_dies(self) -> None:
        """Without their parent the workers end at once, so that the server can be started again."""
        self.site.start()
        before = self.site.workers()
        self.site.kill()
        wait_until("the workers to end", lambda: not any(os.path.exists(f"/proc/{process}") for process in before))
        self.site.start()
        self.send("joe@example.org")
        self.site.wait_for_messages(1)

    def test_cannot_start(self) -> None:
        """A worker that cannot start ends the start of the server, with one line that says why and status 3."""
        (self.site.data / "spool-1").mkdir(parents=True)
        (self.site.data / "spool-1" / "spool.sqlite").write_bytes(b"this is not a database" * 1000)
        done = self.site.hermes("run", "-c", str(self.site.config), check=False)
        self.assertEqual(done.returncode, 3)
        words = [line for line in done.stderr.decode().splitlines() if line.startswith("hermes:")]
        self.assertEqual(len(words), 1)
        self.assertIn("spool-1", words[0])
        self.assertNotIn("Traceback", done.stderr.decode())
        self.assertFalse((self.site.data / "control.sock").exists())
        self.assertFalse(self.site.lmtp.exists())
