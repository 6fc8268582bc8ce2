"""The POP3 client that measures: it counts what comes, and takes nothing that is wrong."""

from __future__ import annotations

import socketserver
import tempfile
import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.pop3_client import POP3Client, messages_of
from tests.integration.site import need

#: One whose lines begin with dots, one that is empty but for its end of line, and one without any line.
MESSAGES = (b"Subject: 1\r\n\r\n.\r\n..two\r\nend\r\n", b"\r\n", b"")


class _Session(socketserver.StreamRequestHandler):
    """Answers as its server's table says; what is not in it ends the connection."""

    server: _Server

    def handle(self) -> None:
        """One session."""
        self.server.begun += 1
        self.wfile.write(self.server.answers[""])
        while line := self.rfile.readline():
            command = line.decode().strip()
            self.server.heard.append(command)
            word = command if command in self.server.answers else command.partition(" ")[0]
            if word not in self.server.answers:
                return
            self.wfile.write(self.server.answers[word])
            if word == "QUIT":
                return


class _Server(socketserver.ThreadingTCPServer):
    """A POP3 server that says what it is told to say."""

    daemon_threads = True

    def __init__(self, answers: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.answers = answers
        self.heard: list[str] = []
        self.begun = 0


def right() -> dict[str, bytes]:
    """Answers with which everything is in order."""
    sizes = "".join(f"{number} {len(message)}\r\n" for number, message in enumerate(MESSAGES, 1)).encode()
    uids = "".join(f"{number} id{number}\r\n" for number in range(1, len(MESSAGES) + 1)).encode()
    stuffed = [message.replace(b"\r\n.", b"\r\n..") for message in MESSAGES]
    return {
        "": b"+OK ready\r\n",
        "USER": b"+OK\r\n",
        "PASS": b"+OK\r\n",
        "STAT": b"+OK %d %d\r\n" % (len(MESSAGES), sum(map(len, MESSAGES))),
        "LIST": b"+OK\r\n" + sizes + b".\r\n",
        "UIDL": b"+OK\r\n" + uids + b".\r\n",
        **{f"RETR {number}": b"+OK\r\n" + octets + b".\r\n" for number, octets in enumerate(stuffed, 1)},
        "NOOP": b"+OK\r\n",
        "QUIT": b"+OK\r\n",
    }


class ClientTests(SynchronousTestCase):
    """The program, compiled, against a server that is right or wrong."""

    skip = need("gcc")

    def setUp(self) -> None:
        """Compile it."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.client = POP3Client(self.directory)

    def serve(self, answers: dict[str, bytes]) -> _Server:
        """Serve until the test is over."""
        server = _Server(answers)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def port(self, server: _Server) -> int:
        """Where it listens."""
        port: int = server.server_address[1]
        return port

    def test_messages(self) -> None:
        """All messages are fetched, counted, and written down without their stuffing."""
        server, copy = self.serve(right()), self.directory / "copy"
        measured = self.client.run(self.port(server), "box", "secret", "-r", sessions=2, copy=copy)
        self.assertEqual((measured.sessions, measured.messages, measured.octets), (2, 6, 2 * sum(map(len, MESSAGES))))
        self.assertEqual(messages_of(copy), list(MESSAGES))
        self.assertEqual(measured.latency_ms["message"]["count"], 6)
        fetching = ["RETR 1", "RETR 2", "RETR 3"]
        self.assertEqual(server.heard, 2 * ["USER box0", "PASS secret", "STAT", "LIST", "UIDL", *fetching, "QUIT"])

    def test_logins(self) -> None:
        """Each thread has its own account; without options nothing is asked but STAT."""
        server = self.serve(right())
        measured = self.client.run(self.port(server), "box", "secret", threads=3, sessions=4)
        self.assertEqual((measured.sessions, measured.messages, server.begun), (12, 0, 12))
        for number in range(3):
            self.assertEqual(server.heard.count(f"USER box{number}"), 4)
        self.assertEqual(set(server.heard) - {"USER box0", "USER box1", "USER box2"}, {"PASS secret", "STAT", "QUIT"})
        latency = measured.latency_ms
        self.assertEqual((latency["session"]["count"], latency["ready"]["count"]), (12, 12))
        for kind in ("session", "ready"):
            ranks = [latency[kind][rank] for rank in ("p50", "p90", "p99", "max")]
            self.assertEqual(ranks, sorted(ranks))
            self.assertGreater(ranks[0], 0)
        self.assertGreaterEqual(latency["session"]["max"], latency["ready"]["max"])

    def test_noops(self) -> None:
        """NOOP is sent for a while, and each answer timed."""
        server = self.serve(right())
        measured = self.client.run(self.port(server), "box", "secret", "-n", "1")
        self.assertGreater(server.heard.count("NOOP"), 0)
        self.assertEqual(measured.latency_ms["noop"]["count"], server.heard.count("NOOP"))

    def test_wrong(self) -> None:
        """Whatever is answered wrongly ends the measurement, and is told."""
        total = sum(map(len, MESSAGES))
        for word, answer, told in (
            ("", b"-ERR too busy\r\n", "too busy"),
            ("PASS", b"-ERR [AUTH] no\r\n", "[AUTH] no"),
            ("STAT", b"+OK\r\n", "number is missing"),
            ("STAT", b"+OK 4 %d\r\n" % total, "STAT told of 4"),
            ("STAT", b"+OK 2 %d\r\n" % total, "more than 2"),
            ("STAT", b"+OK 3 %d\r\n" % (total + 1), "add up"),
            ("LIST", b"+OK\r\n1 29\r\n1 2\r\n3 0\r\n.\r\n", "in the place of message 2"),
            ("UIDL", b"+OK\r\n1 a\r\n2 b\r\n.\r\n", "UIDL has 2"),
            ("RETR 1", b"+OK\r\nshort\r\n.\r\n", "LIST told"),
            ("RETR 2", b"+OK\r\n\r\n\r\n.\r\n", "LIST told"),
            ("RETR 3", b"-ERR no such message\r\n", "no such message"),
            ("UIDL", b"+OK\n", "CRLF"),
            ("QUIT", b"-ERR not updated\r\n", "not updated"),
        ):
            server = self.serve({**right(), word: answer})
            error = self.assertRaises(AssertionError, self.client.run, self.port(server), "box", "secret", "-r")
            self.assertIn(told, str(error))
            self.assertNotIn("secret", str(error))

    def test_closed(self) -> None:
        """A server that goes away in the middle is told of too."""
        for word in ("USER", "STAT", "RETR 2", "QUIT"):
            answers = right()
            del answers[word]
            server = self.serve(answers)
            error = self.assertRaises(AssertionError, self.client.run, self.port(server), "box", "secret", "-r")
            self.assertIn("closed", str(error))
