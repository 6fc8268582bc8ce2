"""Tests of :mod:`hermes.mailbox.kept_mail`: where kept mail is, and what must not be read."""

from __future__ import annotations

import io
import os
import socket
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.mbox import Quoting
from hermes.mailbox import folders, kept_mail
from hermes.mailbox.kept_mail import (
    CnmSource,
    Heading,
    KeptMailError,
    MaildirSource,
    MboxSource,
    Source,
    Unreadable,
    received_at,
)
from tests.support.maildirs import NOW, put

TEXT = b"Subject: x\n\nbody\n"
FROM = b"From anna@example.org Thu Jan  1 10:00:00 2026\n"


def read(source: Source) -> list[tuple[Heading | Unreadable, bytes]]:
    """The messages of a source with their texts."""
    found: list[tuple[Heading | Unreadable, bytes]] = []
    for item in source.items():
        if isinstance(item, bytes):
            found[-1] = found[-1][0], found[-1][1] + item
        else:
            found.append((item, b""))
    return found


class SourceTestCase(SynchronousTestCase):
    """A directory for a source."""

    def setUp(self) -> None:
        """Make it."""
        self.path = tempfile.mkdtemp(dir=".")

    def put(self, directory: str, name: str | bytes, octets: bytes = TEXT, *, modified_at: float = NOW) -> None:
        """A message of a maildir, or of any directory."""
        folder, _, inner = directory.rpartition("/")
        target = put(os.path.join(self.path, folder), inner, name, octets)
        os.utime(target, (modified_at, modified_at))

    def file(self, name: str, octets: bytes = TEXT, *, modified_at: float = NOW) -> str:
        """A file that lies in the directory; where it is."""
        path = os.path.join(self.path, name)
        with open(path, "wb") as file:
            file.write(octets)
        os.utime(path, (modified_at, modified_at))
        return path


class MboxTests(SourceTestCase):
    """One file."""

    def test_messages(self) -> None:
        """Messages are numbered, and have sender and time of their lines."""
        path = self.file("mbox", (FROM + TEXT + b"\n") * 2)
        with open(path, "rb") as file:
            source = MboxSource(file, Quoting.MBOXRD, os.path.getsize(path))
            found = read(source)
        self.assertEqual(
            found,
            [(Heading(f"message {number}", at=1767261600.0, sender="anna@example.org"), TEXT) for number in (1, 2)],
        )
        self.assertEqual(source.done, source.total)

    def test_pipe(self) -> None:
        """A pipe has no size, and is read to its end."""
        here, there = os.pipe()
        os.write(there, FROM + TEXT)
        os.close(there)
        with os.fdopen(here, "rb") as file:
            source = MboxSource(file, Quoting.MBOXRD)
            self.assertEqual(source.total, 0)
            self.assertEqual([text for _, text in read(source)], [TEXT])

    def test_last_message_ends_with_the_file(self) -> None:
        """A line that only the end of the file completes may be the beginning of a message."""
        with open(self.file("mbox", FROM + TEXT + b"\n" + FROM.strip()), "rb") as file:
            self.assertEqual([text for _, text in read(MboxSource(file, Quoting.MBOXRD))], [TEXT, b""])

    def test_no_mbox(self) -> None:
        """Another file is told as what it is."""
        with open(self.file("mbox", TEXT), "rb") as file:
            self.assertIn("no mbox", str(self.assertRaises(KeptMailError, read, MboxSource(file, Quoting.MBOXRD))))


class MaildirTests(SourceTestCase):
    """A maildir with folders."""

    def source(self) -> list[tuple[Heading | Unreadable, bytes]]:
        """What it holds."""
        return read(MaildirSource(self.path))

    def test_messages(self) -> None:
        """Those in cur are old and have flags; those in new have none. Folders keep their names, and CRLF is made LF."""
        self.put("cur", "100.a.host,S=9:2,SRF")
        self.put("cur", "101.b.host:2,Sab", TEXT.replace(b"\n", b"\r\n"))
        self.put("new", "102.c.host:2,S")
        self.put(".Work.2026/new", "103.d.host", b"no end")
        found = self.source()
        self.assertEqual(
            found,
            [
                (Heading("cur/100.a.host,S=9:2,SRF", "", 100.0, flags="FRS", is_old=True), TEXT),
                (Heading("cur/101.b.host:2,Sab", "", 101.0, flags="S", is_old=True), TEXT),
                (Heading("new/102.c.host:2,S", "", 102.0), TEXT),
                (Heading(".Work.2026/new/103.d.host", ".Work.2026", 103.0), b"no end\n"),
            ],
        )
        source = MaildirSource(self.path)
        self.assertEqual((source.total, source.done), (4, 0))
        read(source)
        self.assertEqual(source.done, 4)

    def test_time(self) -> None:
        """It is the older one of what the name says and of the file's own."""
        self.put("cur", f"{int(NOW)}.a.host:2,", modified_at=NOW - 500)
        self.put("cur", f"{int(NOW) - 1000}.b.host:2,", modified_at=NOW)
        self.put("cur", "unknown:2,", modified_at=NOW - 5)
        times = {heading.label[4:]: heading.at for heading, _ in self.source() if isinstance(heading, Heading)}
        self.assertEqual(sorted(filter(None, times.values())), [NOW - 1000, NOW - 500, NOW - 5])

    def test_what_is_no_message(self) -> None:
        """Links, pipes and sockets are told and not opened; what has a dot is nobody's message."""
        self.put("cur", "1.a.host:2,")
        self.put("cur", ".hidden")
        os.mkdir(os.path.join(self.path, "cur", "directory"))
        os.symlink("/etc/passwd", os.path.join(self.path, "cur", "2.link.host"))
        os.mkfifo(os.path.join(self.path, "cur", "3.pipe.host"))
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.path.join(self.path, "cur", "4.s"))
        found = self.source()
        self.assertEqual([heading.label for heading, text in found if text], ["cur/1.a.host:2,"])
        unreadable = {heading.label for heading, _ in found if isinstance(heading, Unreadable)}
        self.assertEqual(unreadable, {"cur/2.link.host", "cur/3.pipe.host", "cur/4.s"})

    def test_directories_that_lead_elsewhere(self) -> None:
        """A cur that is a link is not followed, nor a folder; one that is missing is no fault."""
        self.put("new", "1.a.host")
        os.rmdir(os.path.join(self.path, "cur"))
        os.symlink("/etc", os.path.join(self.path, "cur"))
        os.symlink("/etc", os.path.join(self.path, ".Etc"))
        os.mkdir(os.path.join(self.path, ".NoMaildir"))
        found = self.source()
        self.assertEqual([type(heading) for heading, _ in found], [Unreadable, Heading])
        self.assertEqual(found[0][0].label, "cur")

    def test_folders_that_can_not_be(self) -> None:
        """A folder whose name has an empty part is told, and not read."""
        self.put("new", "1.a.host")
        self.put("..Odd/new", "2.a.host")
        os.makedirs(os.path.join(self.path, ".Half", "new"))
        found = self.source()
        self.assertEqual([heading.label for heading, _ in found], ["..Odd", "new/1.a.host"])

    def test_gone_meanwhile(self) -> None:
        """A message that is taken away while others are read is told; what comes behind it is read."""
        self.put("cur", "1.a.host:2,")
        self.put("cur", "2.a.host:2,")
        source = MaildirSource(self.path)
        os.unlink(os.path.join(self.path, "cur", "1.a.host:2,"))
        self.assertEqual([type(heading) for heading, _ in read(source)], [Unreadable, Heading])

    def test_disk_that_fails(self) -> None:
        """A file that cannot be read to its end is told under the name of the message that has begun."""
        self.put("cur", "1.a.host:2,", b"x" * 100)

        class Ill(io.FileIO):
            reads = 0

            def read(self, size: int | None = -1, /) -> bytes:
                self.reads += 1
                if self.reads > 1:
                    raise OSError(5, "Input/output error")
                return super().read(size) or b""

        self.patch(kept_mail.os, "fdopen", lambda descriptor, *_, **__: Ill(descriptor, "rb"))
        found = self.source()
        self.assertEqual([heading.label for heading, _ in found], ["cur/1.a.host:2,"] * 2)
        self.assertEqual(found[1][0], Unreadable("cur/1.a.host:2,", "Input/output error"))

    def test_odd_names(self) -> None:
        """Names are octets, and any will do."""
        self.put("cur", b"\xff\xfe.a.host:2,S")
        ((heading, text),) = self.source()
        self.assertEqual((text, isinstance(heading, Heading)), (TEXT, True))

    def test_too_many(self) -> None:
        """There is an end to how many messages and folders are read."""
        for name in ("1.a.h", "2.a.h"):
            self.put("new", name)
        folders.make(self.path, ".A")
        for limit, number, fails in (("MAX_MESSAGES", 2, False), ("MAX_MESSAGES", 1, True)):
            self.patch(kept_mail, limit, number)
            if fails:
                self.assertRaises(KeptMailError, MaildirSource, self.path)
            else:
                MaildirSource(self.path)
        self.patch(kept_mail, "MAX_MESSAGES", 10)
        self.patch(folders, "MAX_FOLDERS", 1)
        MaildirSource(self.path)
        self.patch(folders, "MAX_FOLDERS", 0)
        self.assertRaises(KeptMailError, MaildirSource, self.path)


class CnmTests(SourceTestCase):
    """Mercury's and Pegasus Mail's files."""

    def test_directory(self) -> None:
        """All that end in .CNM, in any case; other files of the user are none of ours."""
        self.file("A0000001.CNM", TEXT.replace(b"\n", b"\r\n"))
        self.file("b0000002.cnm", b"X-PMFLAGS: 128 0\n" + TEXT)
        self.file("PASSWD.PM")
        self.file("FOL00001.PMM")
        found = read(CnmSource(self.path))
        self.assertEqual([heading.label for heading, _ in found], ["A0000001.CNM", "b0000002.cnm"])
        self.assertEqual(found[0], (Heading("A0000001.CNM", at=NOW), TEXT))

    def test_one_file(self) -> None:
        """One of them alone, by its name, or by a name without a directory."""
        path = self.file("A.CNM")
        self.assertEqual([text for _, text in read(CnmSource(path))], [TEXT])
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.path)
        self.assertEqual([text for _, text in read(CnmSource("A.CNM"))], [TEXT])

    def test_time(self) -> None:
        """When the last server had it says the first Received field; else it is the file's time."""
        received = b"Received: from a by b;\r\n\tThu, 1 Jan 2026 10:00:00 +0000\r\nReceived: from b; Thu, 1 Jan 1998 10:00:00\r\n"
        self.file("A.CNM", received + TEXT)
        ((heading, _),) = read(CnmSource(self.path))
        self.assertEqual(heading, Heading("A.CNM", at=1767261600.0))

    def test_dates_of_strangers(self) -> None:
        """What is no date is none."""
        for value in (
            b"from a",
            b"from a; yesterday",
            b"x; Thu, 1 Jan 99999 10:00:00 +0000",
            b"from a; Thu, 99 Foo 99999999999999 99:99:99 +9999",
            b"x;" + b"1 " * 500,
        ):
            self.assertIsNone(received_at(b"Received: " + value + b"\n\nx"), value)
        self.assertIsNone(received_at(b""))
        # What stands behind the header is no field.
        self.assertIsNone(received_at(b"Subject: x\n\nReceived: from a; Thu, 1 Jan 2026 10:00:00 +0000\n"))
