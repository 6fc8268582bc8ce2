"""A collection of mboxes as programs have written them, and what must come of each: texts, flags, and times of delivery."""

from __future__ import annotations

import io
import mailbox
import os
from datetime import UTC, datetime

import attrs
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.mbox import Quoting
from hermes.mailbox import maildir
from hermes.mailbox.kept_mail import MboxSource
from tests.support.kept import import_into
from tests.support.maildirs import files_in, read


def at(*when: int) -> int:
    """A time in UTC."""
    return int(datetime(*when, tzinfo=UTC).timestamp())  # type: ignore[misc, arg-type]


@attrs.frozen
class Expected:
    """A message: its text, its flags, or None where it is new, and its time."""

    text: bytes
    flags: str | None
    at: int


THUNDERBIRD = (
    b"From - Tue Mar 04 09:15:22 2003\r\n"
    b"X-Mozilla-Status: 0001\r\nX-Mozilla-Status2: 00000000\r\n"
    b"X-Mozilla-Keys:                                                                                 \r\n"
    b"Subject: read\r\n\r\n>From the beginning\r\n\r\n"
    b"From - Tue Mar 04 09:15:22 2003\r\n"
    b"X-Mozilla-Status: 0009\r\nX-Mozilla-Status2: 00000000\r\nSubject: deleted\r\n\r\nx\r\n\r\n"
    b"From - Tue Mar 04 09:15:23 2003\r\n"
    b"X-Mozilla-Status: 1002\r\nX-Mozilla-Status2: 00000000\r\nSubject: answered\r\n\r\nx\r\n\r\n"
)

EUDORA = (
    b"From ???@??? Mon Aug 12 10:11:12 1996\r\n"
    b"Received: from a.example.com by b.example.org; Mon, 12 Aug 96 10:11:00 EDT\r\nSubject: one\r\n\r\ntext\r\n"
    b"From ???@??? Mon Aug 12 10:11:13 1996\r\nSubject: two\r\n\r\nFrom hell to heaven\r\n"
)

PINE = (
    b"From MAILER-DAEMON Mon Jan  5 12:00:00 2004\n"
    b"Date: 05 Jan 2004 12:00:00 +0000\nFrom: Mail System Internal Data <MAILER-DAEMON@host.example.org>\n"
    b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1073304000 0000000002\nStatus: RO\n\n"
    b"This text is part of the internal format of your mail folder.\n\n"
    b"From anna@example.org Mon Jan  5 12:00:01 2004 +0100\n"
    b"Subject: a\nStatus: RO\nX-Status: F\nX-Keywords:\nX-UID: 1\n\nx\n\n"
    b"From bob@example.org Mon Jan  5 12:00:02 2004 +0100\nSubject: b\nStatus: O\nX-Status: \nX-Keywords:\nX-UID: 2\n\ny\n"
)

UUCP = (
    b"From uunet!host!anna  Fri Nov 17 20:05 1989 remote from host\n"
    b"Received: by host.example.org; Fri, 17 Nov 89 20:05:00 GMT\nSubject: path\n\nFrom time to time\n"
    b"From daemon Fri Nov 17 20:06:00 GMT 1989\nSubject: local\n\nx\n"
)

TAKEOUT = (
    b"From 1481463459293757912@xxx Sun Nov 01 14:13:03 +0000 2015\r\n"
    b"X-GM-THRID: 1481463459293757912\r\nX-Gmail-Labels: Archived,Sent\r\nSubject: label\r\n\r\nx\r\n\r\n\r\n"
)

CUT = b"From a@example.org Thu Jan  1 10:00:00 2015\nSubject: cut\n\nhalf a li"

CASES = {
    "Thunderbird": (
        THUNDERBIRD,
        (
            Expected(b"Subject: read\n\nFrom the beginning\n", "S", at(2003, 3, 4, 9, 15, 22)),
            Expected(b"Subject: answered\n\nx\n", "PR", at(2003, 3, 4, 9, 15, 23)),
        ),
    ),
    "Eudora": (
        EUDORA,
        (
            Expected(
                b"Received: from a.example.com by b.example.org; Mon, 12 Aug 96 10:11:00 EDT\nSubject: one\n\ntext\n",
                None,
                at(1996, 8, 12, 10, 11, 12),
            ),
            Expected(b"Subject: two\n\nFrom hell to heaven\n", None, at(1996, 8, 12, 10, 11, 13)),
        ),
    ),
    "Pine": (
        PINE,
        (
            Expected(b"Return-Path: <anna@example.org>\nSubject: a\n\nx\n", "FS", at(2004, 1, 5, 11, 0, 1)),
            Expected(b"Return-Path: <bob@example.org>\nSubject: b\n\ny\n", "", at(2004, 1, 5, 11, 0, 2)),
        ),
    ),
    "UUCP": (
        UUCP,
        (
            Expected(
                b"Received: by host.example.org; Fri, 17 Nov 89 20:05:00 GMT\nSubject: path\n\nFrom time to time\n",
                None,
                at(1989, 11, 17, 20, 5),
            ),
            Expected(b"Subject: local\n\nx\n", None, at(1989, 11, 17, 20, 6)),
        ),
    ),
    "Google Takeout": (
        TAKEOUT,
        (
            Expected(
                b"X-GM-THRID: 1481463459293757912\nX-Gmail-Labels: Archived,Sent\nSubject: label\n\nx\n\n",
                None,
                at(2015, 11, 1, 14, 13, 3),
            ),
        ),
    ),
    "cut off": (
        CUT,
        (Expected(b"Return-Path: <a@example.org>\nSubject: cut\n\nhalf a li\n", None, at(2015, 1, 1, 10)),),
    ),
}


class OddityTests(SynchronousTestCase):
    """Each into a mailbox of its own."""

    def check(self, octets: bytes, expected: tuple[Expected, ...]) -> None:
        """What comes of a file."""
        path = self.mktemp()
        import_into(path, MboxSource(io.BytesIO(octets), Quoting.MBOXRD))
        found = [
            Expected(
                read(path, directory, name),
                name.partition(":2,")[2] if directory == "cur" else None,
                maildir.seconds_of(name.encode()) or 0,
            )
            for directory in ("cur", "new")
            for name in files_in(path, directory)
        ]
        self.assertEqual(sorted(found, key=lambda each: each.at), list(expected))
        again = import_into(path, MboxSource(io.BytesIO(octets), Quoting.MBOXRD))
        self.assertEqual((again.imported, again.already), (0, len(expected)))

    def test_programs(self) -> None:
        """As they have written them."""
        for name, (octets, expected) in CASES.items():
            with self.subTest(name):
                self.check(octets, expected)

    def test_line_ends(self) -> None:
        """The same with the line ends of the other system."""
        for name, (octets, expected) in CASES.items():
            with self.subTest(name):
                lines = octets.replace(b"\r\n", b"\n")
                self.check(lines, expected)
                self.check(lines.replace(b"\n", b"\r\n"), expected)

    def test_python(self) -> None:
        """What Python's own module writes, with its flags and its quoting."""
        path = os.path.abspath(self.mktemp())
        box = mailbox.mbox(path)
        message = mailbox.mboxMessage("Subject: x\n\nFrom here\n\n")
        message.set_from("anna@example.org", datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC).timetuple())
        message.set_flags("RFA")
        box.add(message)
        box.add(mailbox.mboxMessage("Subject: y\n\ny\n"))
        box.close()
        with open(path, "rb") as file:
            octets = file.read()
        target = self.mktemp()
        import_into(target, MboxSource(io.BytesIO(octets), Quoting.MBOXO))
        (name,) = files_in(target, "cur")
        self.assertTrue(name.endswith(":2,FRS"))
        self.assertEqual(read(target, "cur", name), b"Return-Path: <anna@example.org>\nSubject: x\n\nFrom here\n\n")
        self.assertEqual(maildir.seconds_of(name.encode()), at(2020, 2, 3, 4, 5, 6))
        (name,) = files_in(target, "new")
        self.assertEqual(read(target, "new", name), b"Subject: y\n\ny\n")
