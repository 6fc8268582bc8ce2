"""Tests of what of a session may be written down."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.blanking import BLANK, shown_command, shown_reply, shown_response
from hermes.protocols.receive_buffer import Line

SECRET = "hunter2"


def smtp(text: str) -> str:
    """What is shown of a command of SMTP."""
    return shown_command("smtp", text.encode() + b"\r\n")


def pop3(text: str) -> str:
    """What is shown of a command of POP3."""
    return shown_command("pop3", text.encode() + b"\r\n")


class ShownTests(SynchronousTestCase):
    """What can be shown is shown as it is."""

    def test_smtp(self) -> None:
        """Commands of SMTP with the arguments that belong to them."""
        for text in (
            "EHLO client.example.com",
            "helo [192.0.2.1]",
            "MAIL FROM:<a@example.org> SIZE=10 BODY=8BITMIME",
            "mail from: <>",
            "RCPT TO:<b@example.org> NOTIFY=NEVER",
            "BDAT 100 LAST",
            "DATA",
            "RSET",
            "QUIT",
            "STARTTLS",
            "NOOP",
            "VRFY postmaster",
            "XCLIENT ADDR=192.0.2.1 LOGIN=anna",
            "AUTH",
            "AUTH LOGIN",
            "MAIL FROM:<gr\u00fc\u00dfe@example.org>",
        ):
            self.assertEqual(smtp(text), text)

    def test_pop3(self) -> None:
        """Commands of POP3 with the arguments that belong to them."""
        for text in (
            "USER anna",
            "LIST",
            "LIST 1",
            "TOP 1 10",
            "UIDL",
            "DELE 3",
            "CAPA",
            "UTF8",
            "LANG en",
            "XTND XMIT",
            "QUIT",
            "PASS",
        ):
            self.assertEqual(pop3(text), text)

    def test_line_ends(self) -> None:
        """A line that does not end in CRLF is told apart: some servers take it for two lines."""
        self.assertEqual(shown_command("smtp", b"NOOP\n"), "NOOP [ends without CR]")

    def test_too_long(self) -> None:
        """Of a line that nobody has kept it is said that it was there."""
        self.assertEqual(shown_command("smtp", Line.TOO_LONG), "[a line that is too long]")

    def test_replies(self) -> None:
        """Our own words, but for the challenges of SASL."""
        for service, reply in (("smtp", b"250 2.0.0 Ok"), ("smtp", b"+ x"), ("pop3", b"+OK"), ("pop3", b"334 x")):
            self.assertEqual(shown_reply(service, reply), reply.decode())
        self.assertEqual(shown_reply("smtp", b"334 cj1zYWx0"), f"334 {BLANK}")
        self.assertEqual(shown_reply("pop3", b"+ cj1zYWx0"), f"+ {BLANK}")

    def test_responses(self) -> None:
        """Of a client's words in an exchange nothing is shown."""
        self.assertEqual(shown_response(), BLANK)


class BlankedTests(SynchronousTestCase):
    """A secret is not shown, wherever it stands."""

    def test_smtp(self) -> None:
        """In the words of SMTP, of POP3 and of IMAP, at its place and at others."""
        for text, expected in {
            f"AUTH PLAIN {SECRET}": f"AUTH PLAIN {BLANK}",
            f"auth xoauth2 {SECRET}": f"auth xoauth2 {BLANK}",
            f"AUTH {SECRET}": f"AUTH {BLANK}",
            f"AUTH  PLAIN  {SECRET}": f"AUTH PLAIN {BLANK}",
            f"PASS {SECRET}": f"PASS {BLANK}",
            f"LOGIN anna {SECRET}": f"LOGIN {BLANK}",
            f"NOOP {SECRET}": f"NOOP {BLANK}",
            f"EHLO x {SECRET}": f"EHLO {BLANK}",
            f"MAIL {SECRET}": f"MAIL {BLANK}",
            f"RCPT {SECRET}": f"RCPT {BLANK}",
            f"BDAT {SECRET}": f"BDAT {BLANK}",
        }.items():
            self.assertEqual(smtp(text), expected)
        for text in (
            SECRET,
            f" PASS {SECRET}",
            f"AUTH\t{SECRET}",
            f"USER anna {SECRET}",
            f"EHLO x\rAUTH PLAIN {SECRET}",
        ):
            self.assertNotIn(SECRET, smtp(text))
            self.assertIn("octets", smtp(text))

    def test_pop3(self) -> None:
        """The same at POP3."""
        for text, expected in {
            f"PASS {SECRET}": f"PASS {BLANK}",
            f"pass  {SECRET} x": f"pass {BLANK}",
            f"APOP anna {SECRET}": f"APOP {BLANK}",
            f"USER anna {SECRET}": f"USER anna {BLANK}",
            f"AUTH PLAIN {SECRET}": f"AUTH PLAIN {BLANK}",
            f"RETR {SECRET}": f"RETR {BLANK}",
            f"LANG {SECRET}!": f"LANG {BLANK}",
            f"PASS {SECRET}\r{SECRET}": f"PASS {BLANK}",
        }.items():
            self.assertEqual(pop3(text), expected)
        self.assertEqual(pop3(SECRET), "[not a command, 9 octets]")

    @given(st.sampled_from(["smtp", "pop3"]), st.text(max_size=20), st.sampled_from(["", " ", "\t", "\r", "\0"]))
    def test_whatever_stands_before(self, service: str, before: str, between: str) -> None:
        """A word that is nobody's verb is never shown at the beginning of a line, or behind a verb of logins."""
        secret = "\u2021S3cr\u00e9t\u2021"
        for verb in ("", "PASS ", "AUTH ", "AUTH PLAIN ", "AUTH LOGIN ", "APOP x "):
            line = f"{verb}{between}{secret}{before}\r\n".encode()
            self.assertNotIn(secret, shown_command(service, line))
