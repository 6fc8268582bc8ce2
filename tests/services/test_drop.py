"""Messages that are left in files: what is taken, what is not, and what is left of the files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.dropped import head_of
from hermes.core.envelope import Envelope, Recipient
from hermes.core.event import Event, Kind
from hermes.core.jobs import perform_each
from hermes.core.outcome import Verdict
from hermes.core.policy import Stage
from hermes.core.reply import Reply
from hermes.interfaces import SpoolFullError
from hermes.services import drop_files
from hermes.services.drop import Drop, Taken, Way
from hermes.services.drop_files import DroppedFile
from hermes.services.reception import Premises
from tests.services.test_smtp_policy import Check
from tests.support.smtp_site import Site
from tests.support.worker import ImmediateWorker

HEAD = head_of(Envelope("anna@example.org", (Recipient("alice@example.org"), Recipient("far@example.net"))))
TEXT = b"Subject: x\r\n\r\nhi\r\n"


class Router:
    """By domain."""

    async def route(self, address: str, sender: str = "", account: str = "", *, released: bool = False) -> str:
        """The domain."""
        return f"direct:{address.partition('@')[2]}"


class DropCase(SynchronousTestCase):
    """A directory, and a drop that takes what is in it into a spool in memory."""

    def setUp(self) -> None:
        """Make it."""
        self.directory = os.path.abspath(self.mktemp())
        drop_files.make(self.directory, shared=False)
        self.known: list[Event] = []
        self.made(Site())

    def made(self, site: Site, **more: Any) -> None:
        """Let a site have it."""
        self.site = site
        case = self

        class Spool:
            async def track(self, query: str, limit: int) -> Sequence[Event]:
                return [event for event in case.known if event.facts["drop"] == query]

        premises: Premises = site.premises
        worker = ImmediateWorker()
        worker.start(perform_each)
        way = Way(premises, Router(), "mail.example.org", more.get("max_recipients", 1000))  # type: ignore[arg-type]
        self.drop = Drop(worker, Spool(), lambda: way)  # type: ignore[arg-type]

    def leave(self, octets: bytes, name: str = "abc") -> DroppedFile:
        """Leave a file."""
        Path(self.directory, drop_files.NEW, name).write_bytes(octets)
        return drop_files.dropped(self.directory, name)

    def take(self, file: DroppedFile, *, told: bool = False) -> Taken:
        """Take it."""
        return self.successResultOf(Deferred.fromCoroutine(self.drop.take(file, told=told)))

    def files(self) -> dict[str, list[str]]:
        """What is left, by directory."""
        return {name: sorted(os.listdir(os.path.join(self.directory, name))) for name in ("tmp", "new", "failed")}


class TakeTests(DropCase):
    """take()."""

    def test_taken(self) -> None:
        """Envelope and message are as they were given; what a submission lacks is added; the file is gone."""
        file = self.leave(HEAD + TEXT)
        taken = self.take(file)
        (committed,) = self.site.spool.committed
        self.assertEqual(taken, Taken(queue_id=committed.message.queue_id))
        self.assertEqual(committed.message.envelope.reverse_path, "anna@example.org")
        self.assertEqual(
            committed.destinations, {"alice@example.org": "direct:example.org", "far@example.net": "direct:example.net"}
        )
        self.assertTrue(committed.text.endswith("Subject: x\n\nhi\n"))
        for line in ("Return-Path: <anna@example.org>\n", "\nReceived: ", "\nDate: ", "\nMessage-ID: "):
            self.assertIn(line, committed.text)
        self.assertEqual(committed.facts["drop"], file.key)
        self.assertEqual(committed.facts["size_octets"], len(TEXT))
        self.assertEqual(self.files(), {"tmp": [], "new": [], "failed": []})

    def test_known(self) -> None:
        """What was committed before the server died is only removed."""
        file = self.leave(HEAD + TEXT)
        self.known.append(Event(0.0, Kind.RECEIVED, "0" * 12, facts={"drop": file.key}))
        self.assertEqual(self.take(file), Taken(queue_id="0" * 12))
        self.assertEqual((self.site.spool.committed, self.files()["new"]), ([], []))

    def test_gone(self) -> None:
        """What somebody else has taken is not there."""
        taken = self.take(drop_files.dropped(self.directory, "nothing"))
        self.assertEqual((taken.queue_id, taken.for_good), ("", False))

    def test_spool_is_full(self) -> None:
        """What cannot be taken now stays for later."""
        self.site.spool.fault = SpoolFullError()
        file = self.leave(HEAD + TEXT)
        taken = self.take(file)
        self.assertEqual((taken.queue_id, taken.for_good), ("", False))
        self.assertEqual(self.files()["new"], ["abc"])
        self.site.spool.fault = None
        self.assertNotEqual(self.take(file).queue_id, "")

    def test_refused(self) -> None:
        """What a check refuses for good is set aside, or removed when somebody is told; for now, it stays."""
        for code, told, place in ((554, False, "failed"), (554, True, ""), (451, False, "new"), (451, True, "new")):
            verdict = Verdict(Reply.of(code, "5.7.1" if code == 554 else "4.7.1", "No"), "test")
            self.made(Site(checks=[Check(Stage.MESSAGE, lambda case, verdict=verdict: verdict)]))
            taken = self.take(self.leave(HEAD + TEXT, f"n{code}{told}"), told=told)
            self.assertEqual((taken.queue_id, taken.for_good), ("", code == 554))
            self.assertIn("No", taken.refused)
            self.assertEqual(self.site.spool.committed, [])
            where = [name for name, files in self.files().items() if f"n{code}{told}" in files]
            self.assertEqual(where, [place] if place else [])

    def test_limits(self) -> None:
        """Size and number of recipients are those of the SMTP server."""
        to = tuple(Recipient(f"u{number}@example.org") for number in range(4))
        for most, accepted in ((3, False), (4, True), (5, True)):
            self.made(Site(), max_recipients=most)
            taken = self.take(self.leave(head_of(Envelope("", to)) + TEXT))
            self.assertIs(bool(taken.queue_id), accepted)
        most = 1000
        for length, accepted in ((most - 1, True), (most, True), (most + 1, False)):
            self.made(Site(max_size=most))
            taken = self.take(self.leave(HEAD + b"a: b\r\n\r\n" + b"x" * (length - 10) + b"\r\n"))
            self.assertIs(bool(taken.queue_id), accepted, length - most)

    def test_no_message(self) -> None:
        """Nonsense is set aside, whatever it is."""
        for octets, words in (
            (b"", "first line"),
            (b"From: x\n\n", "Expecting value"),
            (head_of(Envelope("", ())) + TEXT, "no recipient"),
        ):
            taken = self.take(self.leave(octets))
            self.assertTrue(taken.for_good)
            if words != "first line":
                self.assertIn(words, taken.refused)
            self.assertEqual(self.files()["new"], [])

    def test_files_of_others(self) -> None:
        """A link, a second name of a file, and what is no file are not read."""
        secret = Path(self.directory, "secret")
        secret.write_bytes(HEAD + TEXT)
        new = Path(self.directory, drop_files.NEW)
        (new / "symlink").symlink_to(secret)
        (new / "hard").hardlink_to(secret)
        (new / "directory").mkdir()
        os.mkfifo(new / "fifo")
        for name in ("symlink", "hard", "directory", "fifo"):
            self.assertTrue(self.take(drop_files.dropped(self.directory, name)).for_good, name)
        self.assertEqual(self.site.spool.committed, [])
        self.assertEqual(secret.read_bytes(), HEAD + TEXT)


class OtherProgramsTests(DropCase):
    """Whole messages as files."""

    def lay(self, octets: bytes, name: str = "m1.101") -> DroppedFile:
        """Put a file into a directory of another program."""
        self.queue = Path(self.mktemp())
        self.queue.mkdir()
        (self.queue / name).write_bytes(octets)
        (file,) = drop_files.lying(str(self.queue)).values()
        return file

    def test_header(self) -> None:
        """The header says from whom and to whom; Bcc is taken out, and so is the line of a mailbox file."""
        text = b"From x Mon\r\nFrom: a@example.org\r\nTo: alice@example.org\r\nBcc: far@example.net\r\nSubject: x\r\n\r\nhi\r\n"
        file = self.lay(text)
        taken = self.take(file)
        (committed,) = self.site.spool.committed
        self.assertEqual(taken.queue_id, committed.message.queue_id)
        self.assertEqual(
            [each.address for each in committed.message.envelope.recipients], ["alice@example.org", "far@example.net"]
        )
        self.assertEqual(committed.message.envelope.reverse_path, "a@example.org")
        self.assertIn("From: a@example.org\nTo: alice@example.org\nSubject: x\n\nhi\n", committed.text)
        self.assertNotIn("Bcc", committed.text)
        self.assertEqual(os.listdir(self.queue), [])

    def test_large(self) -> None:
        """A long message is read in pieces, and nothing is lost between them."""
        body = b"".join(b"line %d\r\n" % number for number in range(30_000))
        self.take(self.lay(b"From: a@example.org\r\nTo: alice@example.org\r\n\r\n" + body))
        self.assertTrue(self.site.spool.committed[0].text.endswith(body.decode().replace("\r\n", "\n")))

    def test_no_end_of_header(self) -> None:
        """A message that is all header, and one whose header has no end."""
        self.assertNotEqual(self.take(self.lay(b"From: a@example.org\nTo: alice@example.org\n")).queue_id, "")
        self.assertIn("octets", self.take(self.lay(b"X: y\n" * 20_000)).refused)

    def test_set_aside(self) -> None:
        """What is for nobody stays where it is, under a name that is not looked at."""
        file = self.lay(b"Subject: x\n\nhi\n")
        self.assertIn("no recipient", self.take(file).refused)
        self.assertEqual(os.listdir(self.queue), ["m1.101.failed"])
        self.assertEqual(drop_files.lying(str(self.queue)), {})

    def test_names(self) -> None:
        """Only messages are looked at, and a file that has changed, or another of the same name, is another one."""
        self.lay(b"one")
        for name in ("m2.qcf", "m3.EML", "m4.msg", "m5.tmp"):
            (self.queue / name).write_bytes(b"x")
        (self.queue / "empty.101").touch()
        (self.queue / "dir.101").mkdir()
        (self.queue / "link.101").symlink_to(self.queue / "m4.msg")
        before = drop_files.lying(str(self.queue))
        self.assertEqual(sorted(Path(file.path).name for file in before.values()), ["m1.101", "m3.EML", "m4.msg"])
        (self.queue / "m1.101").write_bytes(b"two more")
        after = drop_files.lying(str(self.queue))
        self.assertEqual(len(before.keys() & after.keys()), 2)
        keys = {file.key for file in (*before.values(), *after.values())}
        self.assertEqual(len(keys), 4)


class DirectoryTests(SynchronousTestCase):
    """make() and left()."""

    def test_rights(self) -> None:
        """Nobody else may look in; when it is shared, others may leave files, and neither list nor remove them."""
        for shared, rights in ((False, 0o700), (True, 0o1733), (False, 0o700)):
            directory = self.mktemp()
            drop_files.make(directory, shared=shared)
            drop_files.make(directory, shared=shared)
            for name in ("tmp", "new"):
                self.assertEqual(os.stat(os.path.join(directory, name)).st_mode & 0o7777, rights)
            self.assertEqual(os.stat(os.path.join(directory, "failed")).st_mode & 0o7777, 0o700)

    def test_many(self) -> None:
        """One look takes so many, and no more; hidden files are nobody's."""
        directory = self.mktemp()
        drop_files.make(directory, shared=False)
        new = Path(directory, "new")
        (new / ".hidden").touch()
        for count in (drop_files.MAX_FILES - 1, drop_files.MAX_FILES, drop_files.MAX_FILES + 1):
            for number in range(count):
                (new / f"{number:05}").touch()
            self.assertEqual(len(drop_files.left(directory)), min(count, drop_files.MAX_FILES))
