"""Tests of :mod:`hermes.protocols.smtp.esmtp`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import BodyType, Recipient
from hermes.protocols.smtp.esmtp import apply_mail, apply_recipient, decode_xtext
from hermes.protocols.smtp.events import MailFrom
from hermes.protocols.smtp.grammar import MalformedError

PRINTABLE = "".join(map(chr, range(32, 127)))


def mail(text: str) -> MailFrom:
    """The event with these parameters."""
    event = MailFrom("a@example.org")
    apply_mail(f" {text}", event)
    return event


def recipient(text: str) -> Recipient:
    """The recipient with these parameters."""
    return apply_recipient(f" {text}", Recipient("b@example.org"))


class MailTests(SynchronousTestCase):
    """Parameters of MAIL."""

    def refused(self, text: str, code: int = 501) -> None:
        """The parameters are refused."""
        error = self.assertRaises(MalformedError, mail, text)
        self.assertEqual((error.code, error.enhanced), (code, "5.5.4"), text)

    def test_all_together(self) -> None:
        """Keywords and their values may be in any case, with any number of spaces between."""
        self.assertEqual(
            mail("size=1000  Body=8bitmime SMTPutf8 ret=hdrs ENVID=QQ314159 AUTH=a+3Db@example.org"),
            MailFrom("a@example.org", 1000, BodyType.EIGHT_BIT, True, "HDRS", "QQ314159"),
        )

    def test_none(self) -> None:
        """White space is no parameter."""
        self.assertEqual(mail("   "), MailFrom("a@example.org"))

    def test_unknown(self) -> None:
        """An unknown parameter is answered 555 (RFC 5321 4.1.1.11)."""
        self.refused("XFOO=1", 555)
        self.refused("NOTIFY=NEVER", 555)

    def test_malformed(self) -> None:
        """What is no parameter at all is a fault of syntax."""
        for text in ("=", "=1", "SIZE=", "-A=1", "A_B=1", "SIZE=1\x0b", "\u00fc=1"):
            self.refused(text)

    def test_twice(self) -> None:
        """A parameter that is given twice is refused: nobody knows which one counts."""
        self.refused("SIZE=1 SIZE=1")
        self.refused("SMTPUTF8 BODY=7BIT smtputf8")

    def test_size(self) -> None:
        """SIZE is a number of at most 20 digits (RFC 1870 6)."""
        self.assertEqual(mail("SIZE=0").size_octets, 0)
        self.assertEqual(mail("SIZE=99999999999999999999").size_octets, 99999999999999999999)
        for text in ("SIZE", "SIZE=x", "SIZE=-1", "SIZE=100000000000000000000", "SIZE=\u0661"):
            self.refused(text)

    def test_body(self) -> None:
        """BODY is one of three."""
        self.assertEqual(mail("BODY=7BIT").body, BodyType.SEVEN_BIT)
        self.assertEqual(mail("BODY=BINARYMIME").body, BodyType.BINARY)
        for text in ("BODY", "BODY=9BIT"):
            self.refused(text)

    def test_smtputf8(self) -> None:
        """SMTPUTF8 has no value (RFC 6531 3.4)."""
        self.assertTrue(mail("SMTPUTF8").smtputf8)
        self.refused("SMTPUTF8=yes")

    def test_auth(self) -> None:
        """AUTH has a mailbox or <> as xtext (RFC 4954 5)."""
        mail("AUTH=<>")
        mail("AUTH=e+3Dmc2@example.org")
        for text in ("AUTH", "AUTH=a+b", "AUTH=+00"):
            self.refused(text)

    def test_ret(self) -> None:
        """RET is FULL or HDRS (RFC 3461 4.3)."""
        self.assertEqual(mail("RET=FULL").ret, "FULL")
        self.assertEqual(mail("RET=hdrs").ret, "HDRS")
        for text in ("RET", "RET=ALL"):
            self.refused(text)

    def test_envid(self) -> None:
        """ENVID is decoded, and has at most 100 octets on the wire (RFC 3461 4.4)."""
        self.assertEqual(mail("ENVID=a+2Bb+20c").envid, "a+b c")
        for size in (99, 100):
            self.assertEqual(mail(f"ENVID={'x' * size}").envid, "x" * size)
        for text in (f"ENVID={'x' * 101}", "ENVID", "ENVID=a+0D+0Ab", "ENVID=a+", "ENVID=+FF", "ENVID=\u00fc"):
            self.refused(text)


class RecipientTests(SynchronousTestCase):
    """Parameters of RCPT."""

    def refused(self, text: str, code: int = 501) -> None:
        """The parameters are refused."""
        error = self.assertRaises(MalformedError, recipient, text)
        self.assertEqual((error.code, error.enhanced), (code, "5.5.4"), text)

    def test_notify(self) -> None:
        """NOTIFY is NEVER alone, or a list of the others (RFC 3461 4.1)."""
        self.assertEqual(recipient("NOTIFY=never").notify, {"NEVER"})
        self.assertEqual(recipient("NOTIFY=SUCCESS,failure,DELAY").notify, {"SUCCESS", "FAILURE", "DELAY"})
        for text in ("NOTIFY", "NOTIFY=,", "NOTIFY=NEVER,DELAY", "NOTIFY=ALWAYS", "NOTIFY=DELAY,"):
            self.refused(text)

    def test_orcpt(self) -> None:
        """ORCPT is an address type and an address, which is decoded (RFC 3461 4.2)."""
        self.assertEqual(recipient("ORCPT=rfc822;a+2Bb@example.org").original, "rfc822;a+b@example.org")
        self.assertEqual(recipient("ORCPT=X400;/c+3Dde/s+3Dx/").original, "X400;/c=de/s=x/")
        for text in ("ORCPT", "ORCPT=a@example.org", "ORCPT=rfc822;", "ORCPT=;a@example.org", "ORCPT=rfc822;a+0Db"):
            self.refused(text)
        self.refused("ORCPT=rfc822;\u00fc@example.org")

    def test_orcpt_limit(self) -> None:
        """ORCPT has at most 500 octets on the wire."""
        for size in (499, 500):
            recipient(f"ORCPT=rfc822;{'x' * (size - 7)}")
        self.refused(f"ORCPT=rfc822;{'x' * 494}")
        self.refused(f"ORCPT=utf-8;{'x' * 493}\u00fc")

    def test_orcpt_utf8(self) -> None:
        """An address of type utf-8 may be in UTF-8, or in ASCII with escapes (RFC 6533 3)."""
        self.assertEqual(recipient("ORCPT=utf-8;\u00fc@example.org").original, "utf-8;\u00fc@example.org")
        self.assertEqual(
            recipient("ORCPT=UTF-8;\\x{FC}+@example.org".replace("+", "\\x{2B}")).original, "UTF-8;\u00fc+@example.org"
        )
        for address in ("\\x{D800}", "\\x{110000}", "\\x{0D}", "\\x{", "\\y", "a+b", "\u0085"):
            self.refused(f"ORCPT=utf-8;{address}")

    def test_unknown(self) -> None:
        """An unknown parameter is answered 555."""
        self.refused("SIZE=1", 555)

    def test_all_together(self) -> None:
        """Both parameters at once."""
        self.assertEqual(
            recipient("ORCPT=rfc822;c@example.org NOTIFY=DELAY"),
            Recipient("b@example.org", frozenset({"DELAY"}), "rfc822;c@example.org"),
        )


class XtextTests(SynchronousTestCase):
    """xtext (RFC 3461 4)."""

    @given(st.text(PRINTABLE, max_size=40))
    def test_round_trip(self, text: str) -> None:
        """Printable ASCII comes back, whether only what must be is encoded or everything is."""
        needed = "".join(f"+{ord(each):02X}" if each in " +=" else each for each in text)
        everything = "".join(f"+{ord(each):02X}" for each in text)
        self.assertEqual(decode_xtext(needed), text)
        self.assertEqual(decode_xtext(everything), text)

    def test_forgotten_encoding(self) -> None:
        """An equals sign that should have been encoded is understood."""
        self.assertEqual(decode_xtext("prvs=1+2Ba@example.org"), "prvs=1+a@example.org")

    def test_malformed(self) -> None:
        """What is not xtext, or hides what could break a header, is not decoded."""
        for text in ("+", "+4", "+4G", "a b", "+0A", "+7F", "+80", "\u00fc"):
            self.assertIsNone(decode_xtext(text), text)
