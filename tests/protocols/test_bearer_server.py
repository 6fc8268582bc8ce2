"""OAUTHBEARER and XOAUTH2 as a server hears them (RFC 7628, RFC 6750)."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.bearer_server import OAUTHBEARER, XOAUTH2, BearerServer
from hermes.protocols.sasl import Malformed, Prompt, Step, TokenHint, TokenRefused, TokenShown

#: RFC 7628 4.1.
EXAMPLE = (
    b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
    b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
)
TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


def shown(mechanism: str, response: bytes) -> TokenShown:
    """What a good message says."""
    step = BearerServer(mechanism).step(response)
    assert isinstance(step, TokenShown), step
    return step


def bearer(response: bytes) -> Step:
    """What OAUTHBEARER makes of a message."""
    return BearerServer(OAUTHBEARER).step(response)


class OAuthBearerTests(SynchronousTestCase):
    """RFC 7628."""

    def test_example(self) -> None:
        """The example of RFC 7628 4.1: name, token, host and port."""
        step = shown(OAUTHBEARER, EXAMPLE)
        self.assertEqual(
            (step.name, step.token, step.host, step.port), ("user@example.com", TOKEN, "server.example.com", 143)
        )

    def test_nothing_but_a_token(self) -> None:
        """The name is the token's to say, and host and port may be missing (RFC 7628 3.1)."""
        step = shown(OAUTHBEARER, b"n,,\x01auth=Bearer abc\x01\x01")
        self.assertEqual((step.name, step.token, step.host, step.port), ("", "abc", "", 0))

    def test_unknown_pairs(self) -> None:
        """Keys that are not known, and the reserved ones, are passed over (RFC 7628 3.1)."""
        step = shown(OAUTHBEARER, b"n,,\x01mthd=POST\x01x=\x01qs=a=b\r\n\t\x01auth=bearer  a.b-c_d~e+f/g==\x01\x01")
        self.assertEqual(step.token, "a.b-c_d~e+f/g==")

    def test_names(self) -> None:
        """A comma and an equals sign are written so (RFC 5801 4), and names are compared in one form (RFC 4013)."""
        self.assertEqual(shown(OAUTHBEARER, b"n,a=a=2Cb=3Dc=3D2C,\x01auth=Bearer t\x01\x01").name, "a,b=c=2C")
        self.assertEqual(shown(OAUTHBEARER, "y,a=jose\u0301,\x01auth=Bearer t\x01\x01".encode()).name, "jos\u00e9")
        for length, kind in ((254, TokenShown), (255, TokenShown), (256, Malformed)):
            self.assertIsInstance(bearer(b"n,a=" + b"a" * length + b",\x01auth=Bearer t\x01\x01"), kind)

    def test_empty_challenge_first(self) -> None:
        """The client begins, so without an initial response it is asked for one (RFC 4954 4)."""
        mechanism = BearerServer(OAUTHBEARER)
        self.assertEqual(mechanism.step(None), Prompt(b""))
        self.assertIsInstance(mechanism.step(EXAMPLE), TokenShown)

    def test_ports(self) -> None:
        """A port is a positive number without leading zeros (RFC 7628 3.1)."""
        for port, good in (
            (b"1", True),
            (b"65535", True),
            (b"0", False),
            (b"025", False),
            (b"a", False),
            (b"123456", False),
        ):
            step = bearer(b"n,,\x01port=" + port + b"\x01auth=Bearer t\x01\x01")
            self.assertIsInstance(step, TokenShown if good else Malformed)

    def test_refused(self) -> None:
        """A refusal is told in JSON, and whatever the client answers ends the exchange (RFC 7628 3.2.2, 3.2.3)."""
        for last in (b"\x01", b"", b"whatever"):
            mechanism = BearerServer(OAUTHBEARER)
            step = mechanism.step(EXAMPLE)
            assert isinstance(step, TokenShown)
            told = json.loads(step.refuse(TokenHint("invalid_token", "mail", "https://a.test/.well-known")).octets)
            configuration = "https://a.test/.well-known"
            self.assertEqual(told, {"status": "invalid_token", "scope": "mail", "openid-configuration": configuration})
            self.assertEqual(mechanism.step(last), TokenRefused())

    def test_refused_shortly(self) -> None:
        """Nothing is told that is not known."""
        told = json.loads(shown(OAUTHBEARER, EXAMPLE).refuse(TokenHint()).octets)
        self.assertEqual(told, {"status": "invalid_token"})

    def test_oddities(self) -> None:
        """What is no such message is malformed, and none of it is repeated."""
        for response in (
            b"",
            b"\x01",  # RFC 7628 3.1: only good after a refusal
            b"n,,",
            b"n,,\x01",
            b"n,,\x01\x01",  # auth is required
            b"n,,\x01auth=Bearer t\x01",  # the last kvsep is missing
            b"n,,\x01auth=Bearer t\x01\x01\x01",
            b"n,,\x01auth=Bearer \x01\x01",
            b"n,,\x01auth=Basic dDp0\x01\x01",
            b"n,,\x01auth=Bearer a b\x01\x01",
            b"n,,\x01auth=Bearer \xff\x01\x01",
            b"n,,\x01AUTH=Bearer t\x01\x01",
            b"n,,\x01=Bearer t\x01\x01",
            b"n,,\x01k1=v\x01auth=Bearer t\x01\x01",
            b"p=tls-exporter,,\x01auth=Bearer t\x01\x01",
            b"n,b=x,\x01auth=Bearer t\x01\x01",
            b"n,a=,\x01auth=Bearer t\x01\x01",
            b"n,a=x\x07,\x01auth=Bearer t\x01\x01",
            b"n,a=x\x00,\x01auth=Bearer t\x01\x01",
            b"n,a==2X,\x01auth=Bearer t\x01\x01",
            b"user=x\x01auth=Bearer t\x01\x01",
        ):
            step = bearer(response)
            assert isinstance(step, Malformed), response
            self.assertNotIn("t\x01", step.reason)

    def test_nothing_is_shown(self) -> None:
        """A token is not in what is printed of an event."""
        self.assertNotIn(TOKEN, repr(shown(OAUTHBEARER, EXAMPLE)))

    @given(st.binary())
    def test_anything(self, response: bytes) -> None:
        """No octets make it fail."""
        for mechanism in (OAUTHBEARER, XOAUTH2):
            self.assertIsInstance(BearerServer(mechanism).step(response), Malformed | TokenShown)

    @given(
        st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=40),
        st.from_regex(r"\A[A-Za-z0-9._~+/-]+={0,2}\Z"),
    )
    def test_what_was_written_is_read(self, name: str, token: str) -> None:
        """Whatever name and token a client writes, they are read."""
        escaped = name.replace("=", "=3D").replace(",", "=2C")
        step = shown(OAUTHBEARER, f"n,{f'a={escaped}' if name else ''},\x01auth=Bearer {token}\x01\x01".encode())
        self.assertEqual((step.name, step.token), (name, token))


class XOAuth2Tests(SynchronousTestCase):
    """The format that Google and Microsoft describe."""

    def test_token(self) -> None:
        """User and token."""
        step = shown(
            XOAUTH2, b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01"
        )
        self.assertEqual(
            (step.name, step.token), ("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg")
        )
        self.assertEqual(step.mechanism, XOAUTH2)

    def test_names_are_not_escaped(self) -> None:
        """There is no GS2 header here: the name stands as it is."""
        self.assertEqual(shown(XOAUTH2, b"user=a=2Cb\x01auth=Bearer t\x01\x01").name, "a=2Cb")

    def test_refused(self) -> None:
        """A refusal has a number of HTTP and the scheme; the client answers with nothing."""
        for status, number in (("invalid_token", "401"), ("insufficient_scope", "403")):
            mechanism = BearerServer(XOAUTH2)
            step = mechanism.step(b"user=x\x01auth=Bearer t\x01\x01")
            assert isinstance(step, TokenShown)
            told = json.loads(step.refuse(TokenHint(status, "mail", "https://a.test")).octets)
            self.assertEqual(told, {"status": number, "schemes": "bearer", "scope": "mail"})
            self.assertEqual(mechanism.step(b""), TokenRefused())

    def test_oddities(self) -> None:
        """What is no such message is malformed."""
        unfinished = b"user=x\x01auth=Bearer t\x01"
        unprintable = b"user=\x07" + unfinished[6:] + b"\x01"
        for response in (b"", b"user=x", b"user=x\x01\x01", unfinished, unprintable, EXAMPLE):
            self.assertIsInstance(BearerServer(XOAUTH2).step(response), Malformed)
