"""OAuth from the client's side: forms that go out, answers that come in."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols import oauth
from hermes.protocols.oauth import Client, Denied, DeviceCode, NotOAuthError, Tokens

CLIENT = Client("app", "s3cret", ("mail", "offline"))
PUBLIC = Client("app", "", ("mail",))
REDIRECT = "http://127.0.0.1:8765"

GOOD = {"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r", "scope": "mail"}
DEVICE = {
    "device_code": "d",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://example.com/device",
    "expires_in": 1800,
}


def body(**said: Any) -> bytes:
    """JSON."""
    return json.dumps(said).encode()


class FormTests(SynchronousTestCase):
    """What is asked."""

    def test_challenge(self) -> None:
        """The example of RFC 7636, appendix B."""
        verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        self.assertEqual(oauth.challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")

    def test_address(self) -> None:
        """The page has all that RFC 6749 4.1.1 and RFC 7636 4.3 want, and what the provider wants beside; a query stays."""
        for endpoint in ("https://login.example.net/auth", "https://login.example.net/auth?p=x"):
            address = oauth.authorization_address(endpoint, CLIENT, REDIRECT, "st", "v" * 43, {"prompt": "consent"})
            query = dict(parse_qsl(urlsplit(address).query))
            query.pop("p", None)
            self.assertEqual(
                query,
                {
                    "response_type": "code",
                    "client_id": "app",
                    "redirect_uri": REDIRECT,
                    "scope": "mail offline",
                    "state": "st",
                    "code_challenge": oauth.challenge("v" * 43),
                    "code_challenge_method": "S256",
                    "prompt": "consent",
                },
            )
            self.assertTrue(address.startswith(endpoint))

    def test_forms(self) -> None:
        """Each grant has its own form; the secret goes along where there is one."""
        who = {"client_id": "app", "client_secret": "s3cret"}
        device = DeviceCode("d", "u", "https://example.com", 1, 1)
        self.assertEqual(
            oauth.code_form(CLIENT, "c", REDIRECT, "v"),
            {"grant_type": "authorization_code", "code": "c", "redirect_uri": REDIRECT, "code_verifier": "v", **who},
        )
        self.assertEqual(oauth.refresh_form(CLIENT, "r"), {"grant_type": "refresh_token", "refresh_token": "r", **who})
        self.assertEqual(
            oauth.credentials_form(CLIENT), {"grant_type": "client_credentials", "scope": "mail offline", **who}
        )
        self.assertEqual(oauth.device_form(CLIENT), {"client_id": "app", "scope": "mail offline"})
        self.assertEqual(
            oauth.poll_form(PUBLIC, device),
            {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "d", "client_id": "app"},
        )

    def test_nothing_is_shown(self) -> None:
        """Secrets stay out of logs and tracebacks."""
        shown = repr([CLIENT, Tokens("t0ken", 1, "t0ken"), DeviceCode("d3vice", "u", "x", 1, 1)])
        for secret in ("s3cret", "t0ken", "d3vice"):
            self.assertNotIn(secret, shown)


class RedirectTests(SynchronousTestCase):
    """The address that is pasted."""

    def test_code(self) -> None:
        """The code is taken from the right address, with a slash at its end or without, and with spaces around."""
        for address in (f"{REDIRECT}/?code=4/x&state=st&scope=mail", f"  {REDIRECT}?state=st&code=4/x\n"):
            self.assertEqual(oauth.code_from(address, REDIRECT, "st"), "4/x")

    def test_denied(self) -> None:
        """A provider's no comes the same way (RFC 6749 4.1.2.1)."""
        address = f"{REDIRECT}/?error=access_denied&error_description=you+said%0Ano&state=st"
        self.assertEqual(oauth.code_from(address, REDIRECT, "st"), Denied("access_denied", "you said no"))

    def test_wrong(self) -> None:
        """Another address, another login, and an address without a code are told apart."""
        for address, words in (
            ("", "another address"),
            ("https://accounts.example.com/?code=c&state=st", "another address"),
            ("http://127.0.0.1:8766/?code=c&state=st", "another address"),
            ("https://127.0.0.1:8765/?code=c&state=st", "another address"),
            (f"{REDIRECT}/x?code=c&state=st", "another address"),
            (f"{REDIRECT}/?code=c&state=other", "another login"),
            (f"{REDIRECT}/?code=c", "another login"),
            (f"{REDIRECT}/?state=st", "no code"),
            (f"{REDIRECT}/?state=st&code=", "no code"),
        ):
            error = self.assertRaises(ValueError, oauth.code_from, address, REDIRECT, "st")
            self.assertIn(words, str(error))

    @given(st.text(max_size=80))
    def test_anything(self, text: str) -> None:
        """Whatever is pasted is a code, a no, or a ValueError."""
        for address in (text, f"{REDIRECT}/?{text}", f"{REDIRECT}/?state=st&{text}"):
            try:
                oauth.code_from(address, REDIRECT, "st")
            except ValueError:
                continue


class AnswerTests(SynchronousTestCase):
    """What comes back."""

    def test_tokens(self) -> None:
        """All fields, and what holds where they are left out (RFC 6749 5.1)."""
        self.assertEqual(oauth.tokens_from(200, body(**GOOD)), Tokens("a", 3600, "r", "mail"))
        self.assertEqual(
            oauth.tokens_from(200, body(access_token="a", token_type="bearer")), Tokens("a", oauth.DEFAULT_LIFE_SECONDS)
        )

    def test_life(self) -> None:
        """A life that is no number, or none at all, or longer than a month, is set right."""
        for written, seconds in (
            ("3599", 3599),
            (0, 3600),
            (-5, 3600),
            (True, 3600),
            (None, 3600),
            ("soon", 3600),
            (1.5, 3600),
            (10**12, oauth.MAX_LIFE_SECONDS),
            ("9" * 20, 3600),
        ):
            said = oauth.tokens_from(200, body(**{**GOOD, "expires_in": written}))
            assert isinstance(said, Tokens)
            self.assertEqual(said.life_seconds, seconds, written)

    def test_denied(self) -> None:
        """A no has its word and its sentence, both fit for a line (RFC 6749 5.2); with any status."""
        for status in (200, 400, 401):
            said = oauth.tokens_from(status, body(error="invalid_grant", error_description="Token\r\nrevoked\x1b[0m"))
            self.assertEqual(str(said), "invalid_grant: Token revoked?[0m")
        self.assertEqual(str(oauth.tokens_from(400, body(error="x"))), "x")
        for odd in (None, 5, "", "a\nb", "x" * 65, {"code": 401}):
            self.assertEqual(oauth.tokens_from(400, body(error=odd)), Denied("an error without a name"))
        long = oauth.tokens_from(400, body(error="x", error_description="y" * 1000))
        assert isinstance(long, Denied)
        self.assertEqual(len(long.description), oauth.MAX_TEXT_CHARACTERS)

    def test_no_answers(self) -> None:
        """What is no answer of an authorization server says so, and repeats nothing of it."""
        for status, octets, words in (
            (200, b"", "no JSON object"), (502, b"<html>", "HTTP status 502"), (200, b"[]", "no JSON object"),
            (200, b"\xff", "no JSON object"), (200, b"[" * 5000, "no JSON object"), (500, b"{}", "HTTP status 500"),
            (200, b"{}", "no token"), (200, body(access_token="a"), "bearer"),
            (200, body(access_token="a", token_type="mac"), "bearer"),
            (200, body(**{**GOOD, "access_token": "a b"}), "access_token"),
            (200, body(**{**GOOD, "access_token": ["a"]}), "access_token"),
            (200, body(**{**GOOD, "access_token": "a\x01auth=x"}), "access_token"),
            (200, body(**{**GOOD, "refresh_token": ""}), "refresh_token"),
            (200, body(**{**GOOD, "access_token": "a" * (oauth.MAX_TOKEN_CHARACTERS + 1)}), "access_token"),
        ):  # fmt: skip
            error = self.assertRaises(NotOAuthError, oauth.tokens_from, status, octets)
            self.assertIn(words, str(error))
        longest = oauth.tokens_from(200, body(**{**GOOD, "access_token": "a" * oauth.MAX_TOKEN_CHARACTERS}))
        self.assertIsInstance(longest, Tokens)

    def test_device(self) -> None:
        """A device code, with five seconds where no pause is named (RFC 8628 3.2), and Google's older name of the page."""
        said = oauth.device_from(200, body(**DEVICE))
        self.assertEqual(said, DeviceCode("d", "WDJB-MJHT", "https://example.com/device", 1800, 5))
        older = {**DEVICE, "verification_url": DEVICE["verification_uri"], "interval": 10**6, "expires_in": 10**6}
        older.pop("verification_uri")
        said = oauth.device_from(200, body(**older))
        assert isinstance(said, DeviceCode)
        self.assertEqual((said.interval_seconds, said.life_seconds), (60, 3600))
        self.assertEqual(oauth.device_from(400, body(error="invalid_scope")), Denied("invalid_scope"))
        for odd in (
            {"user_code": ""},
            {"device_code": None},
            {"verification_uri": "javascript:x"},
            {"verification_uri": 5},
        ):
            self.assertRaises(NotOAuthError, oauth.device_from, 200, body(**{**DEVICE, **odd}))

    @given(st.integers(100, 599), st.one_of(st.binary(max_size=50), st.dictionaries(st.text(max_size=5), st.text()).map(
        lambda said: json.dumps(said).encode())))  # fmt: skip
    def test_anything(self, status: int, octets: bytes) -> None:
        """Any answer is tokens, a no, or NotOAuthError."""
        for read in (oauth.tokens_from, oauth.device_from):
            try:
                read(status, octets)
            except NotOAuthError:
                continue
