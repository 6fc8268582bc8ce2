"""Answers of addresses that stand for a text."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.answer import MAX_REPEATED_OCTETS, REPEATED_LINES, Asked, compose, fields, filled, why_not
from hermes.core.envelope import BodyType

MESSAGE = b"From: joe@example.net\r\nSubject: Opening\r\n hours\r\nMessage-ID: <1@example.net>\r\n\r\nWhen?\r\n"


def asked(beginning: bytes = MESSAGE, sender: str = "joe@example.net", address: str = "info@example.org") -> Asked:
    """A message that is answered."""
    return Asked(sender, address, beginning, "mail.example.org", "<2@mail.example.org>", 0.0)


def with_field(field: str) -> Asked:
    """A message with one more field."""
    return asked(field.encode() + b"\r\n" + MESSAGE)


class WhetherTests(SynchronousTestCase):
    """RFC 3834 2."""

    def test_people_are_answered(self) -> None:
        """Ordinary mail is answered, also with Auto-Submitted: no."""
        for one in (asked(), asked(b""), with_field("Auto-Submitted: no"), with_field("Precedence: first-class")):
            self.assertEqual(why_not(one), "")

    def test_programs_are_not(self) -> None:
        """Nothing that a program sent, or that went to many, is answered; nor the address itself."""
        for one in (
            asked(sender=""),
            asked(sender="Info@example.org"),
            asked(sender="MAILER-DAEMON@example.net"),
            asked(sender="owner-list@example.net"),
            asked(sender="list-request@example.net"),
            with_field("Auto-Submitted: auto-generated; x=y"),
            with_field("auto-submitted : auto-replied"),
            with_field("Precedence: Bulk"),
            with_field("List-Id: <x.example.net>"),
            with_field("X-Autoreply-From: <x@example.net>"),
        ):
            self.assertNotEqual(why_not(one), "", one)


class HowTests(SynchronousTestCase):
    """What the answer is."""

    def test_plain(self) -> None:
        """A text is sent as it is, whatever is in it that a template would replace."""
        letter = compose(asked(), "Hours: 9 ~T 5\r\n", template=False)
        message = message_from_bytes(letter.octets, policy=default)
        self.assertEqual(message["To"], "joe@example.net")
        self.assertEqual(message["From"], "info@example.org")
        self.assertEqual(message["Subject"], "Re: Opening  hours")
        self.assertEqual(message["In-Reply-To"], "<1@example.net>")
        self.assertEqual(message["Auto-Submitted"], "auto-replied")
        self.assertEqual(message["X-Autoreply-From"], "<info@example.org>")
        self.assertEqual(message.get_content(), "Hours: 9 ~T 5\n")
        self.assertEqual((letter.body, letter.smtputf8), (BodyType.SEVEN_BIT, False))

    def test_not_ascii(self) -> None:
        """Other letters, and lines that are too long, are encoded; an address with them needs RFC 6531."""
        for text in ("Grüße\n", "x" * 999 + "\n", "a\0b\n"):
            message = message_from_bytes(compose(asked(), text, template=False).octets, policy=default)
            self.assertEqual(message.get_content(), text)
            self.assertEqual(message["Content-Transfer-Encoding"], "base64")
        message = message_from_bytes(compose(asked(), "x" * 998, template=False).octets, policy=default)
        self.assertEqual(message["Content-Transfer-Encoding"], "7bit")
        letter = compose(asked(sender="jörg@example.net"), "x", template=False)
        self.assertEqual((letter.body, letter.smtputf8), (BodyType.EIGHT_BIT, True))
        umlaut = compose(asked("Subject: Grüße\n\n".encode()), "x", template=False)
        self.assertTrue(umlaut.octets.isascii())
        self.assertEqual(message_from_bytes(umlaut.octets, policy=default)["Subject"], "Re: Grüße")

    def test_header_is_ours(self) -> None:
        """Nothing in the message that is answered begins another line of the header."""
        evil = b"Subject: a\rBcc: x@example.net\r\nMessage-ID: <a@b>\x0bX: y\r\n\r\n"
        header = compose(asked(evil, sender="a\nb@example.net"), "x", template=True).octets.partition(b"\n\n")[0]
        names = [line.partition(b":")[0] for line in header.split(b"\n")]
        self.assertEqual(len(names), len(set(names)))
        self.assertNotIn(b"Bcc", names)
        self.assertNotIn(b"In-Reply-To", names)

    def test_substitutions(self) -> None:
        """Mercury's letters, small or capital; what is none stays; a template may end in the middle of one."""
        text = "~T ~s ~N ~h ~~ ~P0 ~p9 ~q ~"
        expected = "joe@example.net Opening  hours mail.example.org mail.example.org ~ info@example.org ~p9 ~q ~"
        self.assertEqual(filled(asked(), text), expected)
        self.assertEqual(filled(asked(), "~B|~G"), "When?\n|When?\n")
        self.assertIn("1970", filled(asked(), "~D"))
        self.assertTrue(filled(asked(), "~M").startswith("From: joe"))

    def test_repeated(self) -> None:
        """No more of the message is repeated than so much, nor more lines than so many."""
        long = asked(b"\n" + b"line\n" * MAX_REPEATED_OCTETS)
        self.assertLessEqual(len(filled(long, "~M")), MAX_REPEATED_OCTETS)
        self.assertEqual(filled(asked(b"A: b\n\n" + b"line\n" * 100), "~G").count("line"), REPEATED_LINES)

    def test_own_fields(self) -> None:
        """A template may bring subject, sender and Reply-To, and no other field; one without a header is all text."""
        template = "Subject: About ~S\nFrom: Desk <d@example.org>\nReply-To: r@example.org\nBcc: x@example.org\n\nHi"
        message = message_from_bytes(compose(asked(), template, template=True).octets, policy=default)
        self.assertEqual(message["Subject"], "About Opening  hours")
        self.assertEqual(message["From"], "Desk <d@example.org>")
        self.assertEqual(message["Reply-To"], "r@example.org")
        self.assertIsNone(message["Bcc"])
        self.assertEqual(message.get_content(), "Hi\n")
        for text in ("Hi\n\nSubject: x\n", "Subject: x", "Fröm: x\n\ny"):
            message = message_from_bytes(compose(asked(), text, template=True).octets, policy=default)
            self.assertEqual(message.get_content().rstrip("\n"), text.rstrip("\n"))
        odd = compose(asked(), "From: Jörg\nSubject:\n\nx", template=True)
        self.assertEqual(message_from_bytes(odd.octets, policy=default)["From"], "info@example.org")

    def test_repeated_message_is_text(self) -> None:
        """What a template repeats of a message is text: it brings no field of the answer, wherever it stands."""
        evil = b"From: President <p@example.org>\nReply-To: x@example.net\nSubject: s\n\nFrom: y@example.net\n\nbody\n"
        for template in ("~M", "~B", "~G", "~M\n\nHi", "Subject: ~B\n\nHi", "From: ~M\n\nHi"):
            message = message_from_bytes(compose(asked(evil), template, template=True).octets, policy=default)
            self.assertIsNone(message["Reply-To"], template)
            self.assertNotEqual(message["From"], "y@example.net", template)
            if not template.startswith("From"):
                self.assertEqual(message["From"], "info@example.org", template)
        echo = message_from_bytes(compose(asked(evil), "~M", template=True).octets, policy=default)
        self.assertEqual(echo.get_content(), evil.decode())

    @given(st.text(), st.binary(max_size=300), st.booleans())
    def test_anything(self, text: str, beginning: bytes, template: bool) -> None:
        """No text and no message can keep an answer from being a message with the fields that it must have."""
        letter = compose(asked(beginning), text, template=template)
        message = message_from_bytes(letter.octets)
        for name in ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"):
            self.assertEqual(len(message.get_all(name, [])), 1, name)
        self.assertTrue(letter.octets.isascii())
        why_not(asked(beginning))
        self.assertIsInstance(fields(beginning), list)
