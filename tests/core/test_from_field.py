"""Another author in the From field."""

from __future__ import annotations

from email import message_from_bytes
from email.utils import parseaddr
from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.from_field import with_from

NEW = "account@example.net"


class FromFieldTests(SynchronousTestCase):
    """What becomes of a header."""

    def test_cases(self) -> None:
        """The name stays, the old field is kept for answers, everything else is untouched and in its place."""
        for header, wanted in (
            (b"Subject: x\nFrom: scan@a.test\nTo: b\n",
             b"Subject: x\nFrom: <account@example.net>\nReply-To: scan@a.test\nTo: b\n"),
            (b'From: "Scanner, 2nd floor" <scan@a.test>\n',
             b'From: "Scanner, 2nd floor" <account@example.net>\nReply-To: "Scanner, 2nd floor" <scan@a.test>\n'),
            (b"Reply-To: boss@a.test\nfrom : Scan <scan@a.test>\n",
             b"Reply-To: boss@a.test\nFrom: Scan <account@example.net>\nX-Original-From: Scan <scan@a.test>\n"),
            (b"From: Scan\n <scan@a.test>\nX: y\n",
             b"From: Scan <account@example.net>\nReply-To: Scan\n <scan@a.test>\nX: y\n"),
            (b"From: a@a.test, b@b.test\n", b"From: <account@example.net>\nReply-To: a@a.test, b@b.test\n"),
            (b"From: a@a.test\nX: y\nFrom: b@b.test\n",
             b"From: <account@example.net>\nReply-To: a@a.test\nX: y\n"),
            (b"From: scanner\n", b"From: <account@example.net>\nX-Original-From: scanner\n"),
            (b"From:\n", b"From: <account@example.net>\n"),
            (b"Subject: x\n", b"From: <account@example.net>\nSubject: x\n"),
            (b"", b"From: <account@example.net>\n"),
            (b"From: a@a.test\r\nTo: b\r\n", b"From: <account@example.net>\r\nReply-To: a@a.test\r\nTo: b\r\n"),
            (b"From: a@a.test", b"From: <account@example.net>\nReply-To: a@a.test\n"),
        ):  # fmt: skip
            self.assertEqual(with_from(header, NEW), wanted)

    def test_unchanged(self) -> None:
        """A header whose author is right already stays as it is, octet for octet."""
        for header in (b"From: account@example.net\n", b"FROM: Me <Account@Example.NET>\nTo: b\n"):
            self.assertEqual(with_from(header, NEW), header)

    def test_pathological(self) -> None:
        """A field of 64 KiB, whatever it is made of, is replaced like any other, and in no time."""
        for piece in (b"(", b":", b"[", b"@", b"<", b'"', b"\\", b"(\\", b"a:b;", b"a ", b"\ta\r", b"()"):
            header = b"From: " + piece * (65536 // len(piece)) + b" a@a.test\n"
            began = process_time()
            made = with_from(header, NEW)
            self.assertLess(process_time() - began, 2.0, piece)
            self.assertIn(b"<account@example.net>\n", made)

    @given(st.binary(max_size=120), st.binary(max_size=60).filter(lambda value: b"\n" not in value))
    def test_anything(self, start: bytes, value: bytes) -> None:
        """However the header looks, it has one From field, with the new address, and no empty line comes into it."""
        header = (
            b"X: "
            + start.replace(b"\n", b"").replace(b"\r", b"")
            + b"\nFrom:"
            + value.replace(b"\r", b"")
            + b"\nTo: c@c.test\n"
        )
        made = with_from(header, NEW)
        parsed = message_from_bytes(made + b"\nbody\n")
        self.assertEqual(len(parsed.get_all("From") or []), 1)
        self.assertTrue(made == header or b"<account@example.net>" in made)
        self.assertEqual(parsed.get_payload(), "body\n")
        self.assertEqual(parsed["To"], "c@c.test")
        if made != header and value.isascii() and value.strip() == b"":
            self.assertEqual(parseaddr(str(parsed["From"]))[1], NEW)
