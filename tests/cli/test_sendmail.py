"""``hermes sendmail``: what becomes of a message, and the exit codes that programs go by."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from unittest import mock

from hermes.cli import sendmail_bridge
from hermes.config.loader import load
from hermes.core.dropped import envelope_of
from hermes.core.envelope import BodyType, Envelope
from tests.support.command import CommandTestCase, FakeServer

TEXT = "From: a@example.org\nSubject: x\n\nhi\n"


CRLF = b"\r\n"


class SendmailCase(CommandTestCase):
    """A site whose server does not run."""

    def setUp(self) -> None:
        """Make it."""
        self.config = self.site()
        self.drop = Path(self.config).parent / "data" / "drop"

    def send(self, *words: str, typed: str | bytes = TEXT, exit_code: int = 0) -> str:
        """Run it; what it says on standard error."""
        return self.run_hermes("sendmail", "-C", self.config, *words, typed=typed, exit_code=exit_code).stderr

    def left(self) -> tuple[Envelope, bytes]:
        """The one message that is there; it is taken away."""
        self.assertEqual(os.listdir(self.drop / "tmp"), [])
        (name,) = os.listdir(self.drop / "new")
        head, _, text = (self.drop / "new" / name).read_bytes().partition(b"\n")
        (self.drop / "new" / name).unlink()
        return envelope_of(head), text


class DownTests(SendmailCase):
    """While the server is down."""

    def test_left(self) -> None:
        """The message is in the drop directory, and nobody else may read it."""
        self.assertEqual(self.send("-f", "s@example.net", "bob@example.net", "anna"), "")
        (name,) = os.listdir(self.drop / "new")
        self.assertEqual(os.stat(self.drop / "new" / name).st_mode & 0o777, 0o600)
        envelope, text = self.left()
        self.assertEqual(envelope.reverse_path, "s@example.net")
        self.assertEqual([each.address for each in envelope.recipients], ["bob@example.net", "anna@example.org"])
        self.assertEqual(text, TEXT.encode())
        self.assertIs(envelope.body, BodyType.SEVEN_BIT)

    def test_header(self) -> None:
        """With -t the header names recipients too, and Bcc is taken out."""
        self.send("-t", "-i", "c@example.net", typed="To: a@example.net\nBcc: b@example.net\nFrom: x@y.test\n\nhi\n")
        envelope, text = self.left()
        self.assertEqual(
            [each.address for each in envelope.recipients], ["c@example.net", "a@example.net", "b@example.net"]
        )
        self.assertEqual(text, b"To: a@example.net\nFrom: x@y.test\n\nhi\n")

    def test_names_in_the_header(self) -> None:
        """With -t a name without a domain is one here, as many programs write root; what is no name is none."""
        self.send("-t", typed='To: root, Anna <anna>, a@example.net, "never ends\nSubject: x\n\nhi\n')
        named = [each.address for each in self.left()[0].recipients]
        self.assertEqual(named, ["a@example.net", "root@example.org", "anna@example.org"])

    def test_several_in_a_word(self) -> None:
        """A word may name several, with names of people beside their addresses, as sendmail takes them."""
        self.send("-i", "Joe <joe@example.net>, root", "anna", "<bob@example.net>")
        named = [each.address for each in self.left()[0].recipients]
        self.assertEqual(named, ["joe@example.net", "root@example.org", "anna@example.org", "bob@example.net"])

    def test_dots(self) -> None:
        """A single dot ends the message, unless -i or -oi says that it does not."""
        typed = "From: a@b.test\n\none\n.\ntwo"
        self.send("anna", typed=typed)
        self.assertTrue(self.left()[1].endswith(b"\none\n"))
        for word in ("-i", "-oi"):
            self.send(word, "anna", typed=typed)
            self.assertTrue(self.left()[1].endswith(b"\none\n.\ntwo\n"))
        self.send("anna", typed="From: a@b.test\r\n\r\none\r\n.\r\ntwo\r\n")
        self.assertTrue(self.left()[1].endswith(b"\none\n"))

    def test_author(self) -> None:
        """A message without From gets one; who is called nothing sends as himself; <> is nobody."""
        with mock.patch("hermes.cli.sendmail._user", return_value="wwwrun"):
            self.send("anna", typed="Subject: x\n\nhi\n")
            envelope, text = self.left()
            self.assertEqual((envelope.reverse_path, text[:25]), ("wwwrun@example.org", b"From: wwwrun@example.org\n"))
            self.send("-F", 'A "B" \\C', "-f", "a@b.test", "anna", typed="Subject: x\n\nhi\n")
            self.assertTrue(self.left()[1].startswith(b'From: "A B C" <a@b.test>\nSubject'))
            self.send("-f", "<>", "anna", typed="Subject: x\n\nhi\n")
            envelope, text = self.left()
            self.assertEqual((envelope.reverse_path, text[:25]), ("", b"From: wwwrun@example.org\n"))

    def test_wishes(self) -> None:
        """What the sender wants to be told, and what the octets are."""
        self.send(
            "-N", "failure,delay", "-R", "hdrs", "-V", "id1", "anna", typed="From x Mon\nFrom: a@b.test\n\n\u00e4\n"
        )
        envelope, text = self.left()
        self.assertEqual((envelope.ret, envelope.envid, envelope.body), ("HDRS", "id1", BodyType.EIGHT_BIT))
        self.assertEqual(envelope.recipients[0].notify, {"FAILURE", "DELAY"})
        self.assertTrue(text.startswith(b"From: a@b.test\n"))

    def test_wrong(self) -> None:
        """Exit codes of sysexits.h: 64 wrong use, 65 wrong data, 78 no configuration."""
        for words, code, said in (
            ((), 64, "no recipient"),
            (("-t",), 64, "no recipient"),
            (("-Z", "anna"), 64, "-Z is not an option"),
            (("an na",), 65, "an na"),
            (("-f", "@", "anna"), 65, "@"),
        ):
            self.assertIn(said, self.send(*words, exit_code=code))
        self.assertFalse(self.drop.exists() and os.listdir(self.drop / "new"))
        result = self.run_hermes("sendmail", "anna", typed=TEXT, exit_code=78)
        self.assertIn("HERMES_CONFIG", result.stderr)
        result = self.run_hermes("sendmail", "-C", self.config + "x", "anna", typed=TEXT, exit_code=78)
        nothing = self.site("[drop]\ndirectory =\n")
        result = self.run_hermes("sendmail", "-C", nothing, "anna", typed=TEXT, exit_code=78)
        self.assertIn("set directory in [drop]", result.stderr)

    def test_size(self) -> None:
        """No more than the server would take."""
        self.config = self.site("[smtp]\nmax_size = 100\n")
        self.drop = Path(self.config).parent / "data" / "drop"
        for length, code in ((99, 0), (100, 0), (101, 65)):
            typed = "From: a@b.test\n\n"
            self.send("-i", "anna", typed=typed + "x" * (length - len(typed)), exit_code=code)
            if not code:
                self.left()

    def test_directory_alone(self) -> None:
        """Who may not read the configuration is told the directory; a name alone is one at this host."""
        self.send("anna")
        self.left()
        result = self.run_hermes("sendmail", "bob@example.net", typed=TEXT, environment={"HERMES_DROP": str(self.drop)})
        self.assertEqual(result.stderr, "")
        self.assertEqual(self.left()[0].recipients[0].address, "bob@example.net")
        result = self.run_hermes(
            "sendmail", "--drop", str(self.drop / "none"), "bob@example.net", typed=TEXT, exit_code=73
        )
        result = self.run_hermes("sendmail", "--drop", str(self.drop), "-bp", exit_code=78)
        self.assertIn("needs the server's config.ini", result.stderr)

    def test_other_modes(self) -> None:
        """The queue is shown; what needs the server is put off."""
        self.assertIn("The queue is empty", self.run_hermes("sendmail", "-C", self.config, "-bp").stdout)
        for word in ("-q", "-bi"):
            self.assertIn("not running", self.send(word, exit_code=75))


class RunningTests(SendmailCase):
    """While the server runs."""

    def test_taken(self) -> None:
        """It is asked to take the file by its name."""
        server = FakeServer(
            self, self.config, {"ok": True, "result": {"queue_id": "0" * 12, "refused": "", "for_good": False}}
        )
        self.send("anna")
        (question,) = server.questions
        (name,) = os.listdir(self.drop / "new")
        self.assertEqual(question, {"command": "drop.take", "arguments": {"name": name}})

    def test_refused(self) -> None:
        """What it refuses for good is an error for the program; what it cannot take now is taken later."""
        for for_good, code in ((True, 69), (False, 0)):
            self.config = self.site()
            self.drop = Path(self.config).parent / "data" / "drop"
            FakeServer(
                self, self.config, {"ok": True, "result": {"queue_id": "", "refused": "554 No", "for_good": for_good}}
            )
            self.assertEqual(self.send("anna", exit_code=code), "sendmail: 554 No\n" if for_good else "")

    def test_fault(self) -> None:
        """A server with a fault has the message all the same: it lies where it will be taken."""
        FakeServer(self, self.config, {"ok": False, "error": "a fault"})
        self.assertEqual(self.send("anna"), "")
        self.left()

    def test_orders(self) -> None:
        """-q tries what waits, -bi reads the aliases."""
        for word, command in (("-q", "queue.retry"), ("-bi", "reload")):
            self.config = self.site()
            server = FakeServer(self, self.config, {"ok": True, "result": "done"})
            self.send(word)
            self.assertEqual(server.questions[0]["command"], command)
            self.config = self.site()
            FakeServer(self, self.config, {"ok": False, "error": "not now"})
            self.assertIn("not now", self.send(word, exit_code=69))


class BridgeTests(CommandTestCase):
    """-bs."""

    def server(self, answer: bytes) -> int:
        """A server that says something, hears the client out, and ends; its port."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.heard = b""

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer)
                while not self.heard.upper().endswith((b"QUIT\r\n", b"QUIT\n")):
                    piece = connection.recv(1000)
                    if not piece:
                        return
                    self.heard += piece
                connection.sendall(b"221 bye\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(listener.close)
        self.addCleanup(thread.join, 5)
        return int(listener.getsockname()[1])

    def test_all_said(self) -> None:
        """A program that does not say QUIT when it has said all has every answer, and no wait; one that says it says it once."""
        for typed, heard in (
            (b"EHLO x\r\n", b"EHLO x\r\nQUIT\r\n"),
            (b"EHLO x\nquit\n", b"EHLO x\nquit\n"),
            (b"QUIT\r\n", b"QUIT\r\n"),
            (b"", b"QUIT\r\n"),
        ):
            config = self.site(f"[smtp]\nlisten = 127.0.0.1:{self.server(b'220 hello' + CRLF)}\n")
            with mock.patch.object(sendmail_bridge, "BROKEN_OFF_SECONDS", 0.0):
                code, said = self.carried(config, typed)
            self.assertEqual((code, said), (0, b"220 hello\r\n221 bye\r\n"), typed)
            self.assertEqual(self.heard, heard)

    def test_broken_off(self) -> None:
        """Nothing is said for a program that ends in the middle of a line, or of a message whose octets are counted."""
        for typed in (b"EHLO", b"MAIL FROM:<>\r\nbdat 100 LAST\r\nSubject: x\r\n"):
            listener = socket.create_server(("127.0.0.1", 0))
            self.addCleanup(listener.close)
            config = self.site(f"[smtp]\nlisten = 127.0.0.1:{listener.getsockname()[1]}\n")
            with mock.patch.object(sendmail_bridge, "BROKEN_OFF_SECONDS", 0.0):
                self.assertEqual(self.carried(config, typed), (0, b""))
            connection, _ = listener.accept()
            with connection:
                self.assertEqual(connection.recv(1000), typed)

    def test_counted_in_pieces(self) -> None:
        """The command is seen wherever its octets are cut."""
        for at in range(1, 5):
            said = sendmail_bridge._Said()
            said.add(b"BDAT 6 LAST\r\n"[:at])
            said.add(b"BDAT 6 LAST\r\n"[at:])
            self.assertFalse(said.whole)

    def test_gone(self) -> None:
        """A server that is gone in the middle, or a program that does not listen, is a failure of input or output."""
        config = self.site(f"[smtp]\nlisten = 127.0.0.1:{self.server(b'220 hello' + CRLF)}\n")
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as sink, open(os.devnull, "rb") as source:
            self.assertEqual(sendmail_bridge.bridge(load(config), source, sink), 74)

    def carried(self, config: str, typed: bytes) -> tuple[int, bytes]:
        """Run it with pipes; the exit code and what came out."""
        (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
        os.write(in_write, typed)
        os.close(in_write)
        with os.fdopen(in_read, "rb") as source, os.fdopen(out_write, "wb") as sink:
            code = sendmail_bridge.bridge(load(config), source, sink)
        with os.fdopen(out_read, "rb") as output:
            return code, output.read()

    def test_carried(self) -> None:
        """What the program says reaches the server, and what the server says the program."""
        port = self.server(b"220 hello\r\n")
        # At the first place nobody listens any more.
        with socket.create_server(("127.0.0.1", 0)) as other:
            gone = other.getsockname()[1]
        config = self.site(f"[smtp]\nlisten = 127.0.0.1:{gone}, 127.0.0.1:{port}\n")
        self.assertEqual(self.carried(config, b"EHLO x\r\nQUIT\r\n"), (0, b"220 hello\r\n221 bye\r\n"))
        self.assertEqual(self.heard, b"EHLO x\r\nQUIT\r\n")

    def test_down(self) -> None:
        """A program that speaks SMTP is told so in SMTP."""
        code, said = self.carried(self.site(), b"EHLO x\r\n")
        self.assertEqual((code, said[:4]), (75, b"421 "))

    def test_silence(self) -> None:
        """Where nobody says anything any more it ends."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        config = self.site(f"[smtp]\nlisten = 127.0.0.1:{listener.getsockname()[1]}\n")
        # Whose input has ended is waited for less long than whose input is open, but neither for ever.
        with mock.patch.object(sendmail_bridge, "LINGER_SECONDS", 0.0):
            code, said = self.carried(config, b"")
        self.assertEqual((code, said), (74, b""))
        reading, writing = os.pipe()
        self.addCleanup(os.close, writing)
        with os.fdopen(reading, "rb") as source, mock.patch.object(sendmail_bridge, "SILENCE_SECONDS", 0.0):
            self.assertEqual(sendmail_bridge.bridge(load(config), source, source), 74)
