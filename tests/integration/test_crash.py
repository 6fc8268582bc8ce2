"""
The second promise: what was answered with 250 survives.

The server, or one of its processes, is killed (SIGKILL) at random moments under load, at least two hundred times, and started
again. At the end every acknowledged message is in the mailbox, or in the queue when it could not go on.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import threading
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import Site, free_ports, wait_until

KILLS = 200

#: Senders at once; each waits for its 250 before it goes on.
SENDERS = 4

#: One message in so many is large enough to go to a file of its own.
LARGE_EVERY = 10

LARGE_OCTETS = 300_000

#: Below the first a process that writes mailboxes is killed, below the second a worker, and else the whole server.
SOME_WRITER, SOME_WORKER = 0.2, 0.6


class Sender(threading.Thread):
    """Sends messages one after the other, and remembers those that were acknowledged."""

    def __init__(self, name: str, port: int, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self.name = name
        self._port = port
        self._ended = ended
        self._count = 0
        #: Message-IDs acknowledged, by recipient.
        self.acknowledged: dict[str, set[str]] = {"joe@example.org": set(), "other@example.com": set()}

    def run(self) -> None:
        """Send until told to end; a connection that is lost is made again."""
        while not self._ended.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self._port), 5) as connection:
                    connection.settimeout(5)
                    self._session(connection)
            except OSError:
                self._ended.wait(0.02)

    def _session(self, connection: socket.socket) -> None:
        replies = connection.makefile("rb")
        self._expect(replies, b"220")
        connection.sendall(b"HELO client.example.net\r\n")
        self._expect(replies, b"250")
        while not self._ended.is_set():
            self._count += 1
            message_id = f"{self.name}.{self._count}@client.example.net"
            recipient = "other@example.com" if self._count % 7 == 0 else "joe@example.org"
            body = b"x" * 76 + b"\r\n"
            body *= LARGE_OCTETS // len(body) if self._count % LARGE_EVERY == 0 else 20
            connection.sendall(f"MAIL FROM:<s@example.net>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
            for code in (b"250", b"250", b"354"):
                self._expect(replies, code)
            connection.sendall(b"Message-ID: <%s>\r\n\r\n%s.\r\n" % (message_id.encode(), body))
            self._expect(replies, b"250")
            self.acknowledged[recipient].add(message_id)

    @staticmethod
    def _expect(replies: object, code: bytes) -> None:
        line = replies.readline()  # type: ignore[attr-defined]
        if not line.startswith(code):
            raise OSError(f"expected {code!r}, got {line!r}")


class CrashTests(SynchronousTestCase):
    """One site through all of it."""

    timeout = 1800

    def test_every_acknowledged_message_survives(self) -> None:
        """Two hundred kills of a single server, or of what writes its mailboxes, lose nothing."""
        self.survive(1)

    def test_with_workers(self) -> None:
        """
        Two hundred kills of three workers, of one of them, or of what writes its mailboxes, lose nothing.

        At the end there is one process, which has the others' mail too.
        """
        self.survive(3)

    def survive(self, workers: int) -> None:
        """Kill, start again, and look at the end."""
        (nobody,) = free_ports(1)
        site = Site(f"\n[smarthost]\nhost = 127.0.0.1\nport = {nobody}\ntls = none\n")
        self.addCleanup(site.close)
        site.configure("smtp", "relay_networks = 127.0.0.0/8")
        site.configure("hermes", f"workers = {workers}")
        ended = threading.Event()
        self.addCleanup(ended.set)
        senders = [Sender(f"s{number}", site.ports["smtp"], ended) for number in range(SENDERS)]
        moments = random.Random(20260131)
        for sender in senders:
            sender.start()
        for _ in range(KILLS):
            if site.process is None or site.process.poll() is not None:
                site.start()
            # From the first moments after the start until well into the load.
            ended.wait(moments.choice((0.0, 0.02, 0.1, 0.2, 0.4)) * moments.random())
            some, chosen = moments.random(), None
            if some < SOME_WRITER:
                chosen = site.depositors()
            elif some < SOME_WORKER:
                chosen = site.workers()
            if chosen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(moments.choice(chosen), signal.SIGKILL)
            else:
                site.kill()
        if site.process is not None and site.process.poll() is None:
            site.kill()
        site.config.write_text(site.config.read_text().replace(f"workers = {workers}\n", "workers = 1\n"))
        ended.set()
        for sender in senders:
            sender.join(60)
        site.start()
        self.check(site, senders)

    def check(self, site: Site, senders: list[Sender]) -> None:
        """Every acknowledged message is where it should be; the store is sound; nothing half-written is left."""
        local = set.union(*(sender.acknowledged["joe@example.org"] for sender in senders))
        remote = set.union(*(sender.acknowledged["other@example.com"] for sender in senders))
        self.assertGreater(len(local), KILLS)
        self.assertGreater(len(remote), SENDERS)

        def waiting() -> dict[str, list[str]]:
            rows: dict[str, list[str]] = {"joe@example.org": [], "other@example.com": []}
            for message in site.ask("queue", "list"):
                text = str(message)
                for address, names in rows.items():
                    if address in text:
                        names.append(str(message["message_id"]).strip("<>"))
            return rows

        # What was being written when its process died would have its next turn in some minutes.
        site.hermes("queue", "retry", "-c", str(site.config))
        wait_until("the mailbox to have everything", lambda: not waiting()["joe@example.org"], 300)
        delivered = Counter(self.message_id(message) for message in site.messages())
        self.assertEqual(local - delivered.keys(), set(), "acknowledged, and lost")
        self.assertEqual(remote - set(waiting()["other@example.com"]), set(), "acknowledged, and lost from the queue")
        # Twice is allowed by the promise, and should not happen: the file names are the same for the same delivery.
        self.assertEqual([name for name, count in delivered.items() if count > 1], [])
        for message in site.messages():
            self.assertTrue(message.endswith(b"x" * 76 + b"\n"), "a message that was cut")
        site.stop()
        site.hermes("check", "-c", str(site.config))

    def message_id(self, message: bytes) -> str:
        """The Message-ID of a message."""
        found = re.search(rb"^Message-ID: <(.+)>$", message, re.MULTILINE)
        assert found is not None
        return found[1].decode()
