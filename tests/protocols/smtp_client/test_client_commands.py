"""The commands a client sends: parameters, quoting, and that nothing can be injected by them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import BodyType, Envelope, Recipient
from hermes.protocols.smtp.capabilities import Capabilities
from hermes.protocols.smtp.client_commands import MAX_COMMAND_OCTETS, UnsafeError, etrn, hello, mail, path, rcpt, xtext

PLAIN = Capabilities()
RICH = Capabilities(size_octets=0, eight_bit=True, smtputf8=True, dsn=True)


def envelope(**changes: object) -> Envelope:
    """An envelope from anna@example.org."""
    return Envelope(**{"reverse_path": "anna@example.org", "recipients": (), **changes})  # type: ignore[arg-type]


class EtrnTests(SynchronousTestCase):
    """ETRN (RFC 1985 5)."""

    def test_node(self) -> None:
        """A domain is written as it is; what is none, or would be more than one line, is not written at all."""
        self.assertEqual(etrn("example.org"), b"ETRN example.org\r\n")
        for text in ("", "a b", "example.org\r\nQUIT", "b\u00fccher.example"):
            self.assertRaises(UnsafeError, etrn, text)


class HelloTests(SynchronousTestCase):
    """EHLO and HELO."""

    def test_names(self) -> None:
        """A host name or an address literal is written as it is."""
        self.assertEqual(hello(b"EHLO", "mail.example.org"), b"EHLO mail.example.org\r\n")
        self.assertEqual(hello(b"HELO", "[192.0.2.1]"), b"HELO [192.0.2.1]\r\n")

    def test_unsafe_names(self) -> None:
        """Nothing that could end the line or is not ASCII gets out."""
        for name in ("", "a b", "a\r\nQUIT", "a\n", "gr\u00fcn.example", "a\x00"):
            self.assertRaises(UnsafeError, hello, b"EHLO", name)


class MailTests(SynchronousTestCase):
    """MAIL."""

    def test_plain(self) -> None:
        """A server without extensions gets no parameters, whatever the message would like."""
        asked = envelope(body=BodyType.EIGHT_BIT, ret="FULL", envid="x")
        self.assertEqual(mail(asked, PLAIN, size_octets=5), b"MAIL FROM:<anna@example.org>\r\n")

    def test_null_sender(self) -> None:
        """The null reverse-path is an empty pair of brackets."""
        self.assertEqual(mail(envelope(reverse_path=""), PLAIN, size_octets=5), b"MAIL FROM:<>\r\n")

    def test_parameters(self) -> None:
        """Everything the server understands and the message needs (RFC 1870, 6152, 6531, 3461)."""
        asked = envelope(body=BodyType.EIGHT_BIT, ret="HDRS", envid="a+b=c d")
        self.assertEqual(
            mail(asked, RICH, size_octets=1234, smtputf8=True),
            b"MAIL FROM:<anna@example.org> SIZE=1234 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb+3Dc+20d\r\n",
        )

    def test_nothing_asked(self) -> None:
        """A seven-bit message gets SIZE alone: DSN parameters are never invented (RFC 3461 5.2.1)."""
        self.assertEqual(mail(envelope(), RICH, size_octets=1), b"MAIL FROM:<anna@example.org> SIZE=1\r\n")

    def test_binary(self) -> None:
        """Octets that go as they are are declared so (RFC 3030 3)."""
        self.assertIn(b" BODY=BINARYMIME", mail(envelope(body=BodyType.BINARY), RICH, size_octets=1, binary=True))

    def test_binary_that_was_made_text(self) -> None:
        """A message that came as binary but is sent as text is 8BITMIME at most."""
        self.assertIn(b" BODY=8BITMIME", mail(envelope(body=BodyType.BINARY), RICH, size_octets=1))

    def test_bad_ret(self) -> None:
        """A RET that could carry more than a word is not sent."""
        self.assertRaises(UnsafeError, mail, envelope(ret="FULL X=Y"), RICH, size_octets=1)

    def test_length(self) -> None:
        """A command as long as the limit is sent, a longer one not."""
        fixed = len(mail(envelope(envid="x"), RICH, size_octets=1)) - 1
        longest = "x" * (MAX_COMMAND_OCTETS - fixed)
        for envid in (longest[1:], longest):
            self.assertTrue(mail(envelope(envid=envid), RICH, size_octets=1))
        self.assertRaises(UnsafeError, mail, envelope(envid=longest + "x"), RICH, size_octets=1)


class RcptTests(SynchronousTestCase):
    """RCPT."""

    def test_plain(self) -> None:
        """Without DSN no DSN parameter is sent."""
        asked = Recipient("bob@example.com", frozenset({"NEVER"}), "rfc822;bob@example.com")
        self.assertEqual(rcpt(asked, PLAIN), b"RCPT TO:<bob@example.com>\r\n")

    def test_notify_and_orcpt(self) -> None:
        """NOTIFY and ORCPT go on as they came, the address in xtext (RFC 3461 4.1, 4.2)."""
        asked = Recipient("bob@example.com", frozenset({"DELAY", "SUCCESS"}), "rfc822;Bob+x=y@Example.com")
        self.assertEqual(
            rcpt(asked, RICH),
            b"RCPT TO:<bob@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx+3Dy@Example.com\r\n",
        )

    def test_utf8_orcpt(self) -> None:
        r"""The type utf-8 writes what is not ASCII, and + = \, as ``\x{...}`` (RFC 6533 3)."""
        asked = Recipient("bob@example.com", None, "utf-8;gr\u00fcn+a\\b@example.com")
        self.assertEqual(
            rcpt(asked, RICH), rb"RCPT TO:<bob@example.com> ORCPT=utf-8;gr\x{FC}n\x{2B}a\x{5C}b@example.com" + b"\r\n"
        )

    def test_postmaster_alone(self) -> None:
        """``<postmaster>`` has no domain (RFC 5321 4.1.1.3)."""
        self.assertEqual(rcpt(Recipient("postmaster"), PLAIN), b"RCPT TO:<postmaster>\r\n")


class PathTests(SynchronousTestCase):
    """Addresses on the wire."""

    def test_quoting(self) -> None:
        """A local part that needs quotes gets them; one that has them keeps them."""
        self.assertEqual(path("a b@example.org"), b'<"a b"@example.org>')
        self.assertEqual(path('"a b"@example.org'), b'<"a b"@example.org>')
        self.assertEqual(path('a"b\\c@example.org'), b'<"a\\"b\\\\c"@example.org>')
        self.assertEqual(path("a..b@example.org"), b'<"a..b"@example.org>')
        self.assertEqual(path("a@b@example.org"), b'<"a@b"@example.org>')

    def test_literal(self) -> None:
        """Address literals stay as they are."""
        self.assertEqual(path("a@[IPv6:2001:db8::1]"), b"<a@[IPv6:2001:db8::1]>")

    def test_international(self) -> None:
        """Characters outside ASCII are sent in UTF-8 (RFC 6531 3.3)."""
        self.assertEqual(path("gr\u00fcn@example.org"), "<gr\u00fcn@example.org>".encode())

    def test_unsafe(self) -> None:
        """What could end the command or the path is refused."""
        for address in (
            "a\r\nRSET@example.org",
            "a@example.org\r\nRSET",
            "a\x00@example.org",
            "a@exam ple.org",
            "a@example.org> SIZE=1",
            "a@b>c",
            "@example.org",
            "a\x85@example.org",
            "a\udc80@example.org",
        ):
            self.assertRaises(UnsafeError, path, address)

    @given(st.text())
    @settings(max_examples=300, deadline=None)
    def test_nothing_is_injected(self, address: str) -> None:
        """Whatever an address holds, the command is one line and the path has one pair of brackets outside quotes."""
        try:
            command = rcpt(Recipient(address, frozenset({"NEVER"}), "rfc822;" + address), RICH)
        except UnsafeError:
            return
        self.assertTrue(command.startswith(b"RCPT TO:<"))
        self.assertTrue(command.endswith(b"\r\n"))
        self.assertEqual(command.count(b"\r") + command.count(b"\n"), 2)
        self.assertNotIn(b"\0", command)


class XtextTests(SynchronousTestCase):
    """RFC 3461 4."""

    def test_characters(self) -> None:
        """Everything outside ! to ~, and + and =, becomes a plus sign and two capital digits."""
        self.assertEqual(xtext("!~aZ09+= \x7f"), b"!~aZ09+2B+3D+20+7F")
        self.assertEqual(xtext("\u00fc"), b"+C3+BC")
        self.assertEqual(xtext("\r\n"), b"+0D+0A")
