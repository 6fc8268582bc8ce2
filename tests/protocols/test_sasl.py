"""Tests of :mod:`hermes.protocols.sasl`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.sasl import Credentials, Login, Malformed, Plain, Prompt, decoded, encoded
from hermes.protocols.sasl_mechanisms import WITH_PASSWORD, begin


class PlainTests(SynchronousTestCase):
    """PLAIN (RFC 4616)."""

    def refused(self, response: bytes) -> None:
        """The response is malformed."""
        self.assertIsInstance(Plain().step(response), Malformed, response)

    def test_everything_at_once(self) -> None:
        """Authorization, name and password come in one response."""
        self.assertEqual(Plain().step(b"\0tim\0tanstaaf"), Credentials("PLAIN", "tim", "tanstaaf"))
        self.assertEqual(Plain().step(b"ursel\0kurt\0xipj3plmq"), Credentials("PLAIN", "kurt", "xipj3plmq", "ursel"))

    def test_asks_when_there_is_no_initial_response(self) -> None:
        """Without an initial response an empty challenge asks for it."""
        plain = Plain()
        self.assertEqual(plain.step(None), Prompt(b""))
        self.assertEqual(plain.step(b"\0a\0b"), Credentials("PLAIN", "a", "b"))

    def test_number_of_fields(self) -> None:
        """There are exactly three fields."""
        for response in (b"", b"a", b"a\0b", b"a\0b\0c\0d", b"\0a\0b\0"):
            self.refused(response)

    def test_empty_fields(self) -> None:
        """Name and password may not be empty (RFC 4616 2: 1*SAFE)."""
        self.refused(b"\0\0b")
        self.refused(b"\0a\0")

    def test_length(self) -> None:
        """Each field may have 255 octets and no more."""
        for size, right in ((254, True), (255, True), (256, False)):
            field = b"x" * size
            for response in (field + b"\0a\0b", b"\0" + field + b"\0b", b"\0a\0" + field):
                self.assertEqual(isinstance(Plain().step(response), Credentials), right, size)

    def test_utf8(self) -> None:
        """Text outside ASCII is UTF-8, and comes in the form in which it is compared (RFC 4013)."""
        self.assertEqual(Plain().step("\0u\u0308\0pa\u00df".encode()), Credentials("PLAIN", "\u00fc", "pa\u00df"))
        self.refused(b"\0\xfc\0b")
        self.refused(b"\xfc\0a\0b")
        self.refused(b"\0a\0\x07")


class LoginTests(SynchronousTestCase):
    """LOGIN."""

    def test_dialogue(self) -> None:
        """It asks for the name, then for the password."""
        login = Login()
        self.assertEqual(login.step(None), Prompt(b"Username:"))
        self.assertEqual(login.step(b"tim"), Prompt(b"Password:"))
        self.assertEqual(login.step(b"secret"), Credentials("LOGIN", "tim", "secret"))

    def test_initial_response(self) -> None:
        """An initial response is the name."""
        login = Login()
        self.assertEqual(login.step(b"tim"), Prompt(b"Password:"))
        self.assertEqual(login.step(b"secret"), Credentials("LOGIN", "tim", "secret"))

    def test_malformed(self) -> None:
        """Empty, overlong and undecodable responses are refused, as name and as password."""
        for response in (b"", b"x" * 256, b"\xff", b"a\0b"):
            self.assertIsInstance(Login().step(response), Malformed)
            login = Login()
            login.step(b"tim")
            self.assertIsInstance(login.step(response), Malformed)


class CommonTests(SynchronousTestCase):
    """What all mechanisms share."""

    def test_table(self) -> None:
        """Each mechanism that shows the password gives credentials under its own name."""
        for name in WITH_PASSWORD:
            exchange = begin(name, WITH_PASSWORD)
            step = exchange.step(b"\0a\0b" if name == "PLAIN" else b"a")
            if isinstance(step, Prompt):
                step = exchange.step(b"b")
            self.assertEqual(step, Credentials(name, "a", "b"))

    def test_password_is_not_shown(self) -> None:
        """Credentials that end up in a log do not tell the password."""
        self.assertNotIn("hunter2", repr(Credentials("PLAIN", "a", "hunter2")))

    def test_base64_is_strict(self) -> None:
        """What is not base64 is not decoded halfway."""
        for text in (b"a", b"YQ=", b"Y Q==", b"YQ==YQ==", b"*", b"YQ==\n", b"=", b"\xff\xff\xff\xff"):
            self.assertIsNone(decoded(text), text)
        self.assertEqual(decoded(b""), b"")

    @given(st.binary(max_size=200))
    def test_base64(self, octets: bytes) -> None:
        """Octets come back as they were, in one line."""
        text = encoded(octets)
        self.assertNotIn("\n", text)
        self.assertEqual(decoded(text.encode("ascii")), octets)
