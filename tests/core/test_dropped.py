"""What is left in files for the server: its first line, and what a header says when there is no such line."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.dropped import Addressed, LineEnds, addressed, body_of, envelope_of, head_of, without_bcc
from hermes.core.envelope import BodyType, Envelope, Recipient

#: Texts that could be in a header, and such as could not.
TEXTS = st.text(alphabet='ab@<>,;:"\\() \t\nBcCtToR-é\x00', max_size=80)


class HeadTests(SynchronousTestCase):
    """head_of() and envelope_of()."""

    def test_there_and_back(self) -> None:
        """What was written is read."""
        never = frozenset({"NEVER"})
        for envelope in (
            Envelope("", (Recipient("a@example.org"),)),
            Envelope(
                "s@example.org", (Recipient("a@example.org", never), Recipient("b@example.net", never)), ret="HDRS"
            ),
            Envelope("é@example.org", (Recipient("ü@example.org"),), BodyType.EIGHT_BIT, smtputf8=True, envid="x y"),
        ):
            line = head_of(envelope)
            self.assertTrue(line.endswith(b"\n") and line.isascii() and line.count(b"\n") == 1)
            self.assertEqual(envelope_of(line), envelope)
        self.assertEqual(envelope_of(head_of(Envelope("", ()))), Envelope("", ()))

    def test_twice(self) -> None:
        """Who is named twice gets one copy."""
        to = (Recipient("a@example.org"), Recipient("a@example.org"))
        self.assertEqual(envelope_of(head_of(Envelope("", to))).recipients, to[:1])

    def test_damaged(self) -> None:
        """What is no envelope is refused, whatever it is."""
        good = {"from": "", "to": ["a@b"], "notify": None, "ret": None, "envid": None, "body": "7BIT"}
        envelope_of(json.dumps(good).encode())
        for change in (
            {"to": ["a"]},
            {"to": ["@b"]},
            {"to": ["a\n@b"]},
            {"to": [5]},
            {"to": ["x" * 320 + "@b"]},
            {"to": 5},
            {"from": "x"},
            {"notify": ["SOMETIMES"]},
            {"notify": ["NEVER", "DELAY"]},
            {"notify": 5},
            {"ret": "HALF"},
            {"envid": 5},
            {"body": "9BIT"},
        ):
            self.assertRaises(ValueError, envelope_of, json.dumps({**good, **change}).encode())
        for line in (b"", b"From: x\n", b"[]", b"5", b"{}", b"\xff", b"[" * 100_000):
            self.assertRaises(ValueError, envelope_of, line)


class HeaderTests(SynchronousTestCase):
    """addressed() and without_bcc()."""

    def test_addressed(self) -> None:
        """All of To, Cc and Bcc, each once; the sender is the first of several fields that names one."""
        header = b"From: A <a@x.test>, b@x.test\nTo: c@x.test,\n d@x.test\nCc: c@x.test\nBCC: e@x.test\n"
        self.assertEqual(addressed(header), Addressed("a@x.test", ["c@x.test", "d@x.test", "e@x.test"], []))
        self.assertEqual(addressed(b"Sender: s@x.test\n" + header).sender, "s@x.test")
        self.assertEqual(addressed(b"Return-Path: <r@x.test>\nSender: s@x.test\n" + header).sender, "r@x.test")
        self.assertEqual(addressed(b"Return-Path: <>\nFrom: a@x.test\n"), Addressed("a@x.test", [], []))
        self.assertEqual(addressed(b"Subject: x\n"), Addressed("", [], []))

    def test_strays(self) -> None:
        """What stands among the recipients and is no address is told, and keeps no other from being one."""
        header = b'To: joe, a@x.test, "b, c@x.test\nCc: undisclosed:;\nBcc: (d@x.test), <>, e@x.test (never ends\n'
        self.assertEqual(addressed(header), Addressed("", ["a@x.test"], ["joe", '"b, c@x.test', "<>", "e@x.test("]))

    def test_many(self) -> None:
        """All recipients of a long field are read, as far as a header may go."""
        named = [f"recipient{number:04}@department.example.org" for number in range(1000)]
        header = b"To: " + ",\n ".join(named).encode() + b"\n"
        self.assertEqual(addressed(header), Addressed("", named, []))

    def test_resent(self) -> None:
        """What is sent again goes to those to whom it is sent again, and comes from who does (RFC 5322 3.6.6)."""
        header = b"From: a@x.test\nTo: b@x.test\nResent-From: c@x.test\nResent-To: d@x.test\nResent-Bcc: e@x.test\n"
        self.assertEqual(addressed(header), Addressed("c@x.test", ["d@x.test", "e@x.test"], []))

    def test_bcc(self) -> None:
        """The field goes with its folded lines; nothing else does."""
        header = b"To: a@x.test\nBcc: b@x.test,\n\tc@x.test\nSubject: Bcc: no\nbcc : d@x.test\nResent-Bcc: e@x.test\nX-Bcc: f\n"
        self.assertEqual(without_bcc(header), b"To: a@x.test\nSubject: Bcc: no\nX-Bcc: f\n")

    @given(st.lists(TEXTS).map("\n".join))
    def test_anything(self, text: str) -> None:
        """Whatever stands there, nothing fails, and no Bcc is left."""
        header = text.encode() + b"\n"
        addressed(header)
        self.assertFalse(any(line.lower().startswith(b"bcc:") for line in without_bcc(header).split(b"\n")))


class LineEndTests(SynchronousTestCase):
    """LineEnds and body_of()."""

    def test_ends(self) -> None:
        """Every kind of line end becomes LF, wherever the pieces are cut; the last line gets one."""
        for text, expected in (
            (b"", b""),
            (b"a", b"a\n"),
            (b"a\r\nb\nc\rd\r\n", b"a\nb\nc\nd\n"),
            (b"a\r", b"a\n"),
            (b"\r\n\r\n", b"\n\n"),
        ):
            for step in range(1, len(text) + 1):
                ends = LineEnds()
                pieces = [text[start : start + step] for start in range(0, len(text), step)]
                self.assertEqual(b"".join(map(ends.feed, pieces)) + ends.finish(), expected, (text, step))
        self.assertEqual(LineEnds().finish(), b"")

    def test_body(self) -> None:
        """Octets above 127 have to be announced."""
        self.assertIs(body_of([b"a", b"b"]), BodyType.SEVEN_BIT)
        self.assertIs(body_of([b"a", b"\xc3"]), BodyType.EIGHT_BIT)
