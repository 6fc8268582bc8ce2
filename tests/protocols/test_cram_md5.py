"""CRAM-MD5 and APOP as a server hears them (RFC 2195, RFC 1939 7)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols import sasl_mechanisms
from hermes.protocols.cram_md5 import APOP, CRAM_MD5, CramMD5Server, answered, challenge
from hermes.protocols.sasl import Digest, Malformed, Prompt

#: RFC 2195 2.
CHALLENGE = b"<1896.697170952@postoffice.reston.mci.net>"
RESPONSE = b"tim b913a602c7eda7a495b4e6e7334d3890"
SECRET = b"tanstaaftanstaaf"


def digest(mechanism: str, response: bytes) -> Digest:
    """What a good answer says."""
    step = answered(mechanism, CHALLENGE, response)
    assert isinstance(step, Digest), step
    return step


class ChallengeTests(SynchronousTestCase):
    """The timestamp."""

    def test_form(self) -> None:
        """It has the form of a msg-id, with what is unique, the time, and the host's name."""
        self.assertEqual(challenge("x-Y_1", 697170952, "mail.example.org"), b"<x-Y_1.697170952@mail.example.org>")

    def test_nobody_makes_one(self) -> None:
        """Where no mechanism wants a challenge there is nobody to make one."""
        self.assertRaises(RuntimeError, sasl_mechanisms.begin, CRAM_MD5, [CRAM_MD5])


class CramTests(SynchronousTestCase):
    """RFC 2195."""

    def test_example(self) -> None:
        """The example of RFC 2195 2: the digest is that of the secret, and of no other."""
        mechanism = sasl_mechanisms.begin(CRAM_MD5, [CRAM_MD5], lambda: CHALLENGE)
        self.assertEqual(mechanism.step(None), Prompt(CHALLENGE))
        step = mechanism.step(RESPONSE)
        assert isinstance(step, Digest)
        self.assertEqual((step.mechanism, step.name), ("CRAM-MD5", "tim"))
        self.assertEqual(step.digest_of(SECRET), step.digest)
        self.assertNotEqual(step.digest_of(b"tanstaaf"), step.digest)

    def test_no_initial_response(self) -> None:
        """The server begins, so an initial response cannot be one (RFC 4954 4)."""
        self.assertIsInstance(CramMD5Server(CHALLENGE).step(RESPONSE), Malformed)

    def test_names(self) -> None:
        """A name may have spaces in it, and is compared in one form; it has 255 octets at most."""
        hexadecimal = RESPONSE[-32:]
        self.assertEqual(digest(CRAM_MD5, b"tim the man " + hexadecimal).name, "tim the man")
        self.assertEqual(digest(CRAM_MD5, "jose\u0301 ".encode() + hexadecimal).name, "jos\u00e9")
        self.assertEqual(len(digest(CRAM_MD5, b"a" * 255 + b" " + hexadecimal).name), 255)
        self.assertIsInstance(answered(CRAM_MD5, CHALLENGE, b"a" * 256 + b" " + hexadecimal), Malformed)

    def test_capital_digits(self) -> None:
        """RFC 2195 2 has small ones; capitals mean the same."""
        self.assertEqual(digest(CRAM_MD5, RESPONSE[:4] + RESPONSE[4:].upper()).digest, RESPONSE[4:])

    def test_oddities(self) -> None:
        """What is no answer is malformed."""
        for response in (
            b"",
            b" ",
            RESPONSE[4:],
            b" " + RESPONSE[4:],
            RESPONSE[:-1],
            RESPONSE + b"0",
            RESPONSE + b" ",
            RESPONSE[:-1] + b"g",
            RESPONSE + b"\r\n",
            b"tim\x00" + RESPONSE[3:],
            b"tim\x07" + RESPONSE[3:],
            b"\xff" + RESPONSE[3:],
            "\u00ad".encode() + RESPONSE[3:],
        ):
            self.assertIsInstance(answered(CRAM_MD5, CHALLENGE, response), Malformed, response)

    def test_nothing_is_shown(self) -> None:
        """Neither digest nor challenge is in what is printed of an event."""
        self.assertNotIn("b913", repr(digest(CRAM_MD5, RESPONSE)))

    @given(st.binary())
    def test_anything(self, response: bytes) -> None:
        """No octets make it fail."""
        mechanism = CramMD5Server(CHALLENGE)
        mechanism.step(None)
        self.assertIsInstance(mechanism.step(response), Digest | Malformed)


class ApopTests(SynchronousTestCase):
    """RFC 1939 7."""

    def test_example(self) -> None:
        """The example of RFC 1939 7."""
        response = b"mrose c4c9334bac560ecc979e58001b3e22fb"
        step = answered(APOP, b"<1896.697170952@dbc.mtview.ca.us>", response)
        assert isinstance(step, Digest)
        self.assertEqual((step.mechanism, step.name), ("APOP", "mrose"))
        self.assertEqual(step.digest_of(b"tanstaaf"), step.digest)
