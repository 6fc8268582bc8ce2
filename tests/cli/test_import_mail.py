"""Tests of ``hermes import``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hermes.cli import import_mail
from hermes.cli.import_mail import FACTS_OCTETS, TRIES, _portions, _words
from hermes.core.event import Event, Kind
from hermes.core.identifiers import imported_id
from hermes.interfaces import UnavailableError
from hermes.mailbox import importing
from hermes.mailbox.departed import departing
from hermes.mailbox.import_record import FILE, ImportRecord
from hermes.mailbox.lock import alone_in
from hermes.services.control import MAX_LINE_OCTETS
from hermes.spool.store import Spool
from tests.support.command import CommandTestCase, FakeServer, fill_spool
from tests.support.kept import stored
from tests.support.maildirs import files_in, put

TEXT = b"Subject: x\nMessage-ID: <m@example.org>\n\nbody\n"
FROM = b"From anna@example.org Thu Jan  1 10:00:00 2026\n"


class ImportTestCase(CommandTestCase):
    """A site with an account, and a directory for sources."""

    more = ""

    def setUp(self) -> None:
        """Make them."""
        self.config = self.site(self.more)
        self.data = Path(self.config).parent / "data"
        self.run_hermes("user", "add", "-c", self.config, "bob", "--password-file", "-", typed="secret\n")
        self.path = str(self.data / "mail" / "bob")
        self.kept = Path(self.mktemp())
        self.kept.mkdir()

    def mbox(self, *texts: bytes) -> str:
        """An mbox with these messages, or one."""
        path = self.kept / "mbox"
        path.write_bytes(b"".join(FROM + text + b"\n" for text in texts or (TEXT,)))
        return str(path)

    def hermes(self, *words: str, exit_code: int = 0, typed: bytes | None = None) -> str:
        """All that ``hermes import`` prints."""
        result = self.run_hermes("import", "-c", self.config, *words, exit_code=exit_code, typed=typed)
        return str(result.output)


class SourceTests(ImportTestCase):
    """Where mail comes from."""

    def test_mbox(self) -> None:
        """A file is an mbox; the second time nothing is new."""
        path = self.mbox(TEXT, b"Subject: y\n\n>From here\n")
        self.assertIn("2 messages imported for bob", self.hermes("BOB", path))
        self.assertEqual(len(stored(self.path)), 2)
        said = self.hermes("bob", path)
        self.assertIn("0 messages imported", said)
        self.assertIn("2 had been imported before", said)

    def test_standard_input(self) -> None:
        """A dash is standard input."""
        self.assertIn("1 messages", self.hermes("bob", "-", typed=FROM + TEXT))

    def test_quoting(self) -> None:
        """What is undone in the text of an mbox can be said."""
        path = self.mbox(b"a: b\n\n>From x\n")
        for word, line in (("mboxrd", b"From x"), ("mboxo", b"From x"), ("none", b">From x")):
            self.hermes("bob", path, "--quoting", word, "--folder", word)
            (text,) = stored(os.path.join(self.path, f".{word}"))
            self.assertTrue(text.endswith(b"\n" + line + b"\n"))

    def test_maildir(self) -> None:
        """A directory with cur and new is a maildir, whose folders come too; --folder puts it into one."""
        source = str(self.kept)
        put(source, "cur", "100.a.host:2,FS", TEXT)
        put(os.path.join(source, ".Sent"), "new", "101.a.host", TEXT)
        self.hermes("bob", source)
        self.assertTrue(files_in(self.path, "cur")[0].endswith(":2,FS"))
        self.assertEqual(len(files_in(os.path.join(self.path, ".Sent"), "new")), 1)
        self.hermes("bob", source, "--folder", "Alt/Entwürfe")
        self.assertEqual(len(files_in(os.path.join(self.path, ".Alt.Entw&APw-rfe"), "cur")), 1)
        self.assertEqual(len(files_in(os.path.join(self.path, ".Alt.Entw&APw-rfe.Sent"), "new")), 1)

    def test_cnm(self) -> None:
        """A directory with .CNM files is Mercury's, and one of these files is a message."""
        (self.kept / "A.CNM").write_bytes(TEXT.replace(b"\n", b"\r\n"))
        (self.kept / "PASSWD.PM").write_bytes(b"secret")
        self.hermes("bob", str(self.kept))
        self.assertEqual(stored(self.path), [TEXT])
        self.assertIn("1 had been", self.hermes("bob", str(self.kept / "A.CNM")))

    def test_format(self) -> None:
        """What it is can be said, and must be so."""
        path = self.mbox()
        self.hermes("bob", path, "--format", "cnm", "--folder", "A")
        self.assertEqual(stored(os.path.join(self.path, ".A")), [FROM + TEXT + b"\n"])
        self.assertIn("no maildir", self.hermes("bob", str(self.kept), "--format", "maildir", exit_code=1))
        self.assertIn("no maildir", self.hermes("bob", str(self.kept), exit_code=1))

    def test_refused(self) -> None:
        """What is no mail, a link, a pipe, or not there is told in a line."""
        letter = self.kept / "letter"
        letter.write_bytes(b"Dear Bob\n")
        os.symlink("letter", self.kept / "link")
        os.mkfifo(self.kept / "pipe")
        for name, words in (
            ("letter", "no mbox"),
            ("link", "is a link"),
            ("pipe", "not a regular file"),
            ("missing", "No such file"),
        ):
            self.assertIn(words, self.hermes("bob", str(self.kept / name), exit_code=1))
        self.assertEqual(stored(self.path), [])

    def test_itself(self) -> None:
        """A mailbox is not imported into itself."""
        self.hermes("bob", self.mbox())
        for path in (self.path, os.path.join(self.path, "new", "..")):
            self.assertIn("in the mailbox that the mail is to go to", self.hermes("bob", path, exit_code=1))

    def test_odd_names(self) -> None:
        """Names of files and folders in no encoding can be told, imported and tracked."""
        source = os.fsencode(str(self.kept))
        (self.kept / "cur").mkdir()
        put(os.path.join(source, b".F\xff").decode("utf-8", "surrogateescape"), "new", b"1.\xfe.host", TEXT)
        os.symlink("/etc/passwd", os.path.join(source, b".F\xff", b"new", b"2.\xfe\x1b[31m.host"))
        said = self.hermes("bob", str(self.kept), exit_code=1)
        self.assertIn("1 messages imported", said)
        self.assertIn("it is a link", said)
        self.assertNotIn("\x1b", said)
        self.assertIn("imported into the mailbox", self.run_hermes("track", "-c", self.config, "bob").output)


class AccountTests(ImportTestCase):
    """Whose mailbox it is, and what it may hold."""

    def test_nobody(self) -> None:
        """There must be such an account; a folder must have a name."""
        self.assertIn("no account 'anna'", self.hermes("anna", self.mbox(), exit_code=1))
        self.assertIn("no dot", self.hermes("bob", self.mbox(), "--folder", "a.b", exit_code=2))
        self.assertIn("size", self.hermes("bob", self.mbox(), "--max-size", "much", exit_code=2).lower())

    def test_quota(self) -> None:
        """A full mailbox ends it with a word; when there is room it goes on."""
        self.run_hermes("user", "set", "-c", self.config, "bob", "--quota", str(100))
        path = self.mbox(*(TEXT + b"%d\n" % number for number in range(3)))
        said = self.hermes("bob", path, exit_code=1)
        self.assertIn("the mailbox is full", said)
        self.assertIn("1 messages imported", said)
        self.run_hermes("user", "set", "-c", self.config, "bob", "--quota", "1M")
        self.assertIn("2 messages imported", self.hermes("bob", path))

    def test_expiry(self) -> None:
        """Where the server would remove what is old it has to be said that this is meant."""
        self.run_hermes("user", "profile", "-c", self.config, "--expire", "30d", "bob")
        self.assertIn("older than 30d", self.hermes("bob", self.mbox(), exit_code=1))
        self.assertEqual(stored(self.path), [])
        self.hermes("bob", self.mbox(), "--old-too")

    def test_expiry_of_all(self) -> None:
        """The same where it is the settings that say it; an account may say otherwise."""
        Path(self.config).write_text(Path(self.config).read_text() + "[pop3]\nexpire = 10d\n")
        self.assertIn("older than 10d", self.hermes("bob", self.mbox(), exit_code=1))
        self.run_hermes("user", "profile", "-c", self.config, "--expire", "never", "bob")
        self.hermes("bob", self.mbox())

    def test_another_user(self) -> None:
        """What another user wrote the server could not read: he is told who to be."""
        self.patch(import_mail.os, "geteuid", lambda: 12345)
        said = self.hermes("bob", self.mbox(), exit_code=1)
        self.assertIn("run this as that user", said)
        self.assertFalse(os.path.exists(self.path))
        self.hermes("bob", self.mbox(), exit_code=1)
        self.patch(import_mail.pwd, "getpwuid", lambda number: {}[number])
        self.assertIn(f"belongs to {os.stat(self.data).st_uid}", self.hermes("bob", self.mbox(), exit_code=1))

    def test_one_at_a_time(self) -> None:
        """Two imports wait for one another; and while mail comes in its account is neither renamed nor erased."""
        self.hermes("bob", self.mbox())
        with alone_in(self.path):
            self.assertIn("just now", self.hermes("bob", self.mbox(), exit_code=1))
            for words in (("rename", "bob", "robert"), ("erase", "--yes", "bob")):
                said = self.run_hermes("user", words[0], "-c", self.config, *words[1:], exit_code=1).output
                self.assertIn("just now", said)
        self.hermes("bob", self.mbox())
        self.run_hermes("user", "rename", "-c", self.config, "bob", "robert")
        self.assertIn("1 had been", self.hermes("robert", self.mbox()))
        # A mailbox that has just departed is not made again.
        self.run_hermes("user", "erase", "-c", self.config, "--yes", "robert")
        self.assertFalse(os.path.exists(self.path))

    def test_departed(self) -> None:
        """Where one of that name has just gone it is said for how long there is none, and what to do; done, it works."""
        self.hermes("bob", self.mbox())
        directory = os.path.dirname(self.path)
        with departing(directory, "bob"):
            os.rename(self.path, os.path.join(directory, ".erased"))
        said = self.hermes("bob", self.mbox(), exit_code=1)
        mark = os.path.join(directory, ".departed-bob")
        self.assertIn("renamed or removed", said)
        self.assertIn(mark, said)
        self.assertFalse(os.path.exists(self.path))
        os.unlink(mark)
        self.assertIn("1 messages imported", self.hermes("bob", self.mbox()))

    def test_directory_that_is_down(self) -> None:
        """When the accounts are elsewhere, and nobody can say, that is told."""

        def unavailable(settings: object, name: str) -> None:
            raise UnavailableError("no answer")

        self.patch(import_mail, "account_named", unavailable)
        self.assertIn("no answer", self.hermes("bob", self.mbox(), exit_code=1))


class ReportTests(ImportTestCase):
    """What is said."""

    def test_problems(self) -> None:
        """What could not be imported is told message by message, and the exit code says that there was something."""
        path = self.mbox(TEXT, TEXT + b"x" * 1000, b"X-Mozilla-Status: 0009\n\n")
        said = self.hermes("bob", path, "--max-size", "1K", exit_code=1)
        self.assertIn("message 2: it is larger than 1024 octets", said)
        self.assertIn("1 messages could not be imported", said)
        self.assertIn("1 passed over: deleted there", said)
        self.assertEqual(len(stored(self.path)), 1)

    def test_json(self) -> None:
        """The same for programs."""
        path = self.mbox(TEXT, TEXT + b"x" * 1000)
        told: Any = self.run_json("import", "-c", self.config, "bob", path, "--max-size", "1K", exit_code=1)
        self.assertEqual((told["account"], told["imported"], told["already"], told["failed"]), ("bob", 1, 0, 1))
        self.assertEqual((told["source"], told["fault"], len(told["problems"])), (path, "", 1))

    def test_interrupted(self) -> None:
        """Ctrl-C ends it with a word, and it goes on when it is said again."""

        def tell(self: object, events: object, octets: int) -> None:
            raise KeyboardInterrupt

        self.patch(importing, "GROUP_MESSAGES", 1)
        before = import_mail.Telling.tell
        self.patch(import_mail.Telling, "tell", tell)
        self.assertIn("interrupted", self.hermes("bob", self.mbox(TEXT, b"a: b\n\n"), exit_code=1))
        self.patch(import_mail.Telling, "tell", before)
        self.assertIn("2 messages imported", self.hermes("bob", self.mbox(TEXT, b"a: b\n\n")))
        self.assertEqual(len(stored(self.path)), 2)

    def test_disk(self) -> None:
        """A disk that fails ends it with a word."""

        def add(record: object, identities: object) -> None:
            raise OSError(28, "No space left on device")

        self.patch(ImportRecord, "add", add)
        said = self.hermes("bob", self.mbox(), exit_code=1)
        self.assertIn("No space left on device", said)
        self.assertIn("Say the command again", said)

    def test_record(self) -> None:
        """A record that is damaged is told with its place."""
        self.hermes("bob", self.mbox())
        (Path(self.path) / FILE).write_bytes(b"x\n")
        self.assertIn("is damaged", self.hermes("bob", self.mbox(), exit_code=1))


class TraceTests(ImportTestCase):
    """What ``hermes track`` knows of it."""

    def test_without_a_server(self) -> None:
        """The facts are in the trace, by Message-ID and by account."""
        self.hermes("bob", self.mbox())
        for query in ("<m@example.org>", "bob"):
            said = self.run_hermes("track", "-c", self.config, query).output
            self.assertIn("imported into the mailbox", said)

    def test_with_a_server(self) -> None:
        """A server that runs is told of them, and of the room they take."""
        server = FakeServer(self, self.config, {"ok": True, "result": 1})
        self.hermes("bob", self.mbox())
        (question,) = server.questions
        self.assertEqual(question["command"], "import.record")
        arguments = question["arguments"]
        (text,) = stored(self.path)
        self.assertEqual((arguments["account"], arguments["octets"]), ("bob", len(text)))
        self.assertEqual([event["message_id"] for event in arguments["events"]], ["<m@example.org>"])

    def test_cannot_be_told(self) -> None:
        """A server is asked for a while; that it does not take them is said once, and the mail is there all the same."""
        self.patch(importing, "GROUP_MESSAGES", 1)
        pauses: list[float] = []
        self.patch(import_mail.time, "sleep", pauses.append)
        ill = {"ok": False, "error": "the server is ill"}
        FakeServer(self, self.config, *([ill] * (TRIES + 2)))
        said = self.hermes("bob", self.mbox(TEXT, b"a: 1\n\n", b"a: 2\n\n"))
        self.assertEqual(said.count("the server is ill"), 1)
        self.assertEqual(len(pauses), TRIES - 1)
        self.assertEqual(len(stored(self.path)), 3)

    def test_server_that_starts(self) -> None:
        """A server that has its spool and does not answer yet is waited for."""
        servers: list[FakeServer] = []

        def work(spool: Spool) -> list[Any]:
            def sleep(seconds: float) -> None:
                servers.append(FakeServer(self, self.config, {"ok": True, "result": 1}))

            self.patch(import_mail.time, "sleep", sleep)
            self.assertNotIn("will not know", self.hermes("bob", self.mbox()))
            return []

        fill_spool(self, self.config, work)
        self.assertEqual(len(servers[0].questions), 1)

    def test_server_that_stops(self) -> None:
        """What it has taken is not told again; the rest is stored when it has gone."""
        texts = [b"Message-ID: <%d@example.org>\n\n" % number for number in range(100)]

        def sleep(seconds: float) -> None:
            os.unlink(self.data / "control.sock")

        self.patch(import_mail.time, "sleep", sleep)
        server = FakeServer(self, self.config, {"ok": True, "result": 1}, b"")
        self.assertNotIn("will not know", self.hermes("bob", self.mbox(*texts)))
        taken = len(server.questions[0]["arguments"]["events"])
        self.assertEqual([question["arguments"]["octets"] > 0 for question in server.questions], [True, False])
        told = self.run_json("track", "-c", self.config, "bob")
        self.assertEqual(len(told), 100 - taken)

    def test_portions(self) -> None:
        """Each question fits into a line that the server takes, however many facts there are and whatever is in them."""
        self.assertEqual(list(_portions([])), [])
        nasty = "\U0001f600" * 10_000
        events = [
            Event(
                1.0,
                Kind.IMPORTED,
                imported_id(b"%016d" % number),
                "bob",
                None,
                nasty[: number % 300],
                {"folder": "x" * 255},
            )
            for number in range(200)
        ] + [Event(1.0, Kind.IMPORTED, imported_id(b"x" * 16), "bob", None, nasty, {"folder": "\xff" * 255})]
        portions = list(_portions(events))
        self.assertEqual(sum(map(len, portions)), len(events))
        for portion in portions:
            self.assertLess(len(json.dumps([_words(event) for event in portion])) + 200, MAX_LINE_OCTETS)
        self.assertLess(len(portions), 200)
        self.assertLess(FACTS_OCTETS, MAX_LINE_OCTETS)
