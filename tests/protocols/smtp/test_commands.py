"""Tests of :mod:`hermes.protocols.smtp.commands`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import Recipient
from hermes.protocols.smtp import events
from hermes.protocols.smtp.commands import PARSERS, Auth, Chunk, Command, Data, parse, split


def read(line: bytes, *, first: bool = False) -> Command | events.Refused:
    """Split and parse a line, which is given without its end."""
    found = split(line + b"\r\n", first=first)
    return found if isinstance(found, events.Refused) else parse(*found)


class LineTests(SynchronousTestCase):
    """Lines as such."""

    def refused(self, line: bytes, rule: str, code: int) -> events.Refused:
        """The line is refused by that rule."""
        event = read(line)
        assert isinstance(event, events.Refused), event
        self.assertEqual((event.rule, event.reply.code), (rule, code))
        return event

    def test_case(self) -> None:
        """Verbs may be in any case (RFC 5321 2.4)."""
        for line in (b"QUIT", b"quit", b"qUiT"):
            self.assertEqual(read(line), events.Quit())

    def test_white_space(self) -> None:
        """White space at the end, and more than one space between, are let through."""
        for line in (b"NOOP ", b"NOOP \t ", b"NOOP   "):
            self.assertEqual(read(line), events.Noop())
        self.assertEqual(read(b"QUIT\t"), events.Quit())
        self.assertEqual(read(b"AUTH  PLAIN  AGEAYg== "), Auth("PLAIN", "AGEAYg=="))

    def test_unknown(self) -> None:
        """An unknown verb, or none, is answered 500."""
        for line in (b"FOO", b"", b" ", b" NOOP", b"NOOPS", b"MAILFROM:<a@example.org>", b"X" * 500):
            self.refused(line, "protocol.unknown_command", 500)

    def test_octets_that_are_no_verb(self) -> None:
        """Octets outside ASCII and control characters in front are no verb."""
        for line in (b"\xff\xfe", b"\x00", b"NO\x00OP", b"N\xc3\x96OP", b"\x1b[A"):
            self.refused(line, "protocol.unknown_command", 500)

    def test_control_characters(self) -> None:
        """No control character may be in an argument, a bare CR among them."""
        for line in (b"NOOP a\x00b", b"MAIL FROM:<a\x01@example.org>", b"NOOP a\rb", b"NOOP a\tb", b"VRFY \x7f"):
            self.refused(line, "protocol.control_character", 500)

    def test_bare_newline(self) -> None:
        """A line that ends in LF alone is refused, and told why."""
        event = split(b"NOOP\n", first=False)
        assert isinstance(event, events.Refused)
        self.assertEqual(event.rule, "protocol.bare_newline")
        self.assertEqual((event.reply.code, event.reply.enhanced), (500, "5.5.2"))
        self.assertIn("bare LF", event.reply.text)

    def test_not_utf8(self) -> None:
        """An argument is ASCII or UTF-8."""
        self.refused(b"MAIL FROM:<\xfc@example.org>", "protocol.syntax", 501)

    def test_unsupported(self) -> None:
        """Commands that exist but are not offered are answered 502 (RFC 5321 4.2.4)."""
        for verb in (b"TURN", b"ATRN", b"SEND", b"SOML", b"SAML"):
            self.refused(verb + b" x", "protocol.unsupported", 502)

    def test_http(self) -> None:
        """A web client is sent away, but only at the beginning: later its words are unknown like others."""
        for line in (b"GET / HTTP/1.1", b"POST /x HTTP/1.0", b"CONNECT example.org:25", b"get"):
            event = read(line, first=True)
            assert isinstance(event, events.Refused)
            self.assertEqual((event.rule, event.reply.code), ("protocol.http", 421))
            self.refused(line, "protocol.unknown_command", 500)
        event = split(b"GET /\n", first=True)
        assert isinstance(event, events.Refused)
        self.assertEqual(event.rule, "protocol.http")

    @given(st.binary(max_size=80), st.sampled_from(sorted(PARSERS)), st.booleans())
    def test_anything(self, octets: bytes, verb: str, with_verb: bool) -> None:
        """Whatever comes is a command or a refusal of 4xx or 5xx."""
        line = verb.encode("ascii") + b" " + octets if with_verb else octets
        event = read(line.replace(b"\n", b""))
        if isinstance(event, events.Refused):
            self.assertGreaterEqual(event.reply.code, 400)


class ArgumentTests(SynchronousTestCase):
    """What each verb wants."""

    def refused(self, line: bytes, code: int = 501, enhanced: str | None = "5.5.4") -> events.Refused:
        """The line is refused for its argument."""
        event = read(line)
        assert isinstance(event, events.Refused), event
        self.assertEqual((event.reply.code, event.reply.enhanced), (code, enhanced), line)
        return event

    def test_hello(self) -> None:
        """A name, or an address literal."""
        self.assertEqual(read(b"EHLO client.example.com"), events.Hello("EHLO", "client.example.com"))
        self.assertEqual(read(b"helo [192.0.2.1]"), events.Hello("HELO", "[192.0.2.1]"))
        self.assertEqual(read(b"LHLO [IPv6:2001:db8::1]"), events.Hello("LHLO", "[IPv6:2001:db8::1]"))

    def test_hello_names_of_this_world(self) -> None:
        """Nobody is refused for a strange name (RFC 5321 4.1.4), and nothing of it can do harm where it is shown."""
        self.assertEqual(read(b"EHLO my_pc"), events.Hello("EHLO", "my_pc"))
        self.assertEqual(read(b"EHLO M\xdcLLER-PC"), events.Hello("EHLO", "M?LLER-PC"))
        self.assertEqual(read(b'EHLO a(b)<c>;"d"'), events.Hello("EHLO", "a?b??c???d?"))

    def test_hello_without_name(self) -> None:
        """A missing, divided or overlong name is refused, without an enhanced code (RFC 2034 4)."""
        for verb in (b"EHLO", b"HELO", b"LHLO"):
            event = self.refused(verb, enhanced=None)
            self.assertIn(verb.decode(), event.reply.text)
        self.refused(b"EHLO my pc", enhanced=None)
        self.assertEqual(read(b"EHLO " + b"x" * 255), events.Hello("EHLO", "x" * 255))
        self.refused(b"EHLO " + b"x" * 256, enhanced=None)

    def test_no_argument(self) -> None:
        """Commands without parameters are refused when they have some (RFC 5321 4.1.1)."""
        for line, event in (
            (b"DATA", Data()),
            (b"RSET", events.Reset()),
            (b"QUIT", events.Quit()),
            (b"STARTTLS", events.StartTLS()),
        ):
            self.assertEqual(read(line), event)
            self.refused(line + b" now")

    def test_noop_and_help(self) -> None:
        """NOOP and HELP take anything."""
        self.assertEqual(read(b"NOOP whatever you like"), events.Noop())
        self.assertEqual(read(b"HELP"), events.Help(""))
        self.assertEqual(read(b"HELP MAIL"), events.Help("MAIL"))

    def test_verify_and_expand(self) -> None:
        """VRFY and EXPN want text; SMTPUTF8 behind it is a parameter (RFC 6531 3.7.4.2)."""
        self.assertEqual(read(b"VRFY postmaster"), events.Verify("postmaster"))
        self.assertEqual(read(b"EXPN Some List"), events.Expand("Some List"))
        self.assertEqual(read("VRFY jürgen  SMTPutf8".encode()), events.Verify("j\u00fcrgen"))
        self.assertEqual(read(b"VRFY SMTPUTF8"), events.Verify("SMTPUTF8"))
        self.refused(b"VRFY")
        self.refused(b"EXPN")

    def test_mail(self) -> None:
        """MAIL, with the liberties that clients take."""
        for line in (
            b"MAIL FROM:<a@example.org>",
            b"mail from:<a@example.org>",
            b"MAIL FROM: <a@example.org>",
            b"MAIL  From:   <a@example.org>  ",
        ):
            self.assertEqual(read(line), events.MailFrom("a@example.org"))
        self.assertEqual(read(b"MAIL FROM:<>"), events.MailFrom(""))
        self.assertEqual(read(b"MAIL FROM:<> SIZE=5"), events.MailFrom("", 5))

    def test_bad_mail(self) -> None:
        """What is wrong with MAIL is said."""
        for line in (b"MAIL", b"MAIL <a@example.org>", b"MAIL TO:<a@example.org>", b"MAIL FROM<a@example.org>"):
            self.assertIn("MAIL FROM:<address>", self.refused(line).reply.text)
        self.assertIn("angle brackets", self.refused(b"MAIL FROM:a@example.org", enhanced="5.1.7").reply.text)
        self.refused(b"MAIL FROM:", enhanced="5.1.7")
        self.refused(b"MAIL FROM:<postmaster>", enhanced="5.1.7")
        self.assertIn("space", self.refused(b"MAIL FROM:<a@example.org>SIZE=1").reply.text)
        self.refused(b"MAIL FROM:<>SIZE=1")
        self.assertEqual(self.refused(b"MAIL FROM:<> FOO", 555).rule, "protocol.parameter")

    def test_mail_outside_ascii(self) -> None:
        """An address outside ASCII wants SMTPUTF8 (RFC 6531 3.5: 550 at MAIL)."""
        line = "MAIL FROM:<jürgen@example.org>".encode()
        self.refused(line, 550, "5.6.7")
        self.assertEqual(read(line + b" SMTPUTF8"), events.MailFrom("j\u00fcrgen@example.org", smtputf8=True))

    def test_rcpt(self) -> None:
        """RCPT, with the liberties that clients take."""
        for line in (b"RCPT TO:<b@example.org>", b"rcpt to: <b@example.org>", b"RCPT To:<@x.example:b@example.org>"):
            self.assertEqual(read(line), events.RecipientTo(Recipient("b@example.org")))
        self.assertEqual(
            read(b"RCPT TO:<b@example.org> NOTIFY=NEVER"),
            events.RecipientTo(Recipient("b@example.org", frozenset({"NEVER"}))),
        )

    def test_postmaster(self) -> None:
        """The postmaster needs no domain (RFC 5321 4.1.1.3), and is the only one."""
        self.assertEqual(read(b"RCPT TO:<Postmaster>"), events.RecipientTo(Recipient("Postmaster")))
        self.assertEqual(
            read(b"RCPT TO:<postmaster> NOTIFY=NEVER"),
            events.RecipientTo(Recipient("postmaster", frozenset({"NEVER"}))),
        )
        self.refused(b"RCPT TO:<webmaster>", enhanced="5.1.3")

    def test_bad_rcpt(self) -> None:
        """What is wrong with RCPT is said."""
        for line in (b"RCPT", b"RCPT <b@example.org>", b"RCPT FROM:<b@example.org>"):
            self.assertIn("RCPT TO:<address>", self.refused(line).reply.text)
        self.refused(b"RCPT TO:<>", enhanced="5.1.3")
        self.refused(b"RCPT TO:b@example.org", enhanced="5.1.3")
        self.refused(b"RCPT TO:<postmaster>x")
        self.refused(b"RCPT TO:<b@example.org> SIZE=1", 555)

    def test_auth(self) -> None:
        """AUTH wants a mechanism, and perhaps an initial response (RFC 4954 4)."""
        self.assertEqual(read(b"AUTH login"), Auth("LOGIN", None))
        self.assertEqual(read(b"AUTH PLAIN ="), Auth("PLAIN", "="))
        self.assertEqual(read(b"AUTH X-TEST_1 YQ=="), Auth("X-TEST_1", "YQ=="))
        for line in (b"AUTH", b"AUTH PLAIN a b", b"AUTH PLAIN *", b"AUTH P!", b"AUTH " + b"X" * 21):
            self.refused(line)

    def test_chunk(self) -> None:
        """BDAT wants a number, and perhaps LAST (RFC 3030 2)."""
        self.assertEqual(read(b"BDAT 0"), Chunk(0, last=False))
        self.assertEqual(read(b"bdat 86 last"), Chunk(86, last=True))

    def test_bad_chunk(self) -> None:
        """Nobody knows what follows a BDAT that cannot be read: the session ends."""
        for line in (b"BDAT", b"BDAT x", b"BDAT -1", b"BDAT 1 FIRST", b"BDAT 1LAST", b"BDAT " + b"9" * 21):
            self.refused(line, 421, "4.5.4")

    def test_chunk_on_a_bad_line(self) -> None:
        """So it is with a BDAT whose whole line is refused, whatever for."""
        for line in (b"BDAT 6\x00", b"BDAT 6\rLAST", b"BDAT\t6", b"BDAT \xff6", b" BDAT 6", b"bdat\x016", b"BDAT\x856"):
            self.refused(line, 421, "4.5.4")
        event = split(b"BDAT 6\n", first=False)
        assert isinstance(event, events.Refused)
        self.assertEqual((event.rule, event.reply.code), ("protocol.bare_newline", 421))
        self.refused(b"BDATA 6", 500, "5.5.2")
