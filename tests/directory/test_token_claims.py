"""What a token must hold (RFC 7519 4, RFC 7662 2.2)."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.directory.token_claims import LEEWAY_SECONDS, MAX_NAME_CHARACTERS, ClaimRules, name_in, read_claims
from hermes.interfaces import TokenDeniedError

NOW = 1_768_478_400.0


def name(rules: ClaimRules | None = None, *, must_expire: bool = False, **claims: object) -> str:
    """Whom these claims are about, at NOW."""
    return name_in({"email": "a@example.org", **claims}, rules or ClaimRules("email"), NOW, must_expire=must_expire)


class ClaimTests(SynchronousTestCase):
    """One claim after the other."""

    def denied(self, part: str, rules: ClaimRules | None = None, **claims: object) -> TokenDeniedError:
        """The token is not good, and the reason says why."""
        error = self.assertRaises(TokenDeniedError, name, rules, **claims)
        self.assertIn(part, error.reason)
        return error

    def test_expiry(self) -> None:
        """RFC 7519 4.1.4: not on or after exp, but for some leeway; where it must be there, it must."""
        for seconds, good in ((1, True), (-LEEWAY_SECONDS + 0.5, True), (-LEEWAY_SECONDS, False), (-86400, False)):
            if good:
                self.assertEqual(name(exp=NOW + seconds), "a@example.org")
            else:
                self.denied("expired", exp=NOW + seconds)
        self.assertEqual(name(), "a@example.org")
        error = self.assertRaises(TokenDeniedError, name, must_expire=True)
        self.assertEqual(error.status, "invalid_token")

    def test_not_before(self) -> None:
        """RFC 7519 4.1.5, with the same leeway."""
        for seconds, good in ((0, True), (LEEWAY_SECONDS, True), (LEEWAY_SECONDS + 1, False)):
            if good:
                self.assertEqual(name(nbf=NOW + seconds), "a@example.org")
            else:
                self.denied("not good yet", nbf=NOW + seconds)

    def test_times_that_are_none(self) -> None:
        """RFC 7519 2: a NumericDate is a number."""
        for value in ("4000000000", True, [], {}):
            self.denied("exp is not a time", exp=value)
            self.denied("nbf is not a time", nbf=value)

    def test_issuer(self) -> None:
        """RFC 7519 4.1.1, compared letter by letter, when one is asked for."""
        rules = ClaimRules("email", issuer="https://login.example.org")
        self.assertEqual(name(rules, iss="https://login.example.org"), "a@example.org")
        for issuer in (None, "https://login.example.org/", "https://login.example.net", ["https://login.example.org"]):
            self.denied("another issuer", rules, iss=issuer)
        self.assertEqual(name(iss="anybody"), "a@example.org")

    def test_audience(self) -> None:
        """RFC 7519 4.1.3: one of several, or a single one."""
        rules = ClaimRules("email", audience=("mail", "hermes"))
        for audience in ("mail", "hermes", ["other", "hermes"]):
            self.assertEqual(name(rules, aud=audience), "a@example.org")
        for audience in (None, "other", [], ["mai", 7], "mail hermes", {"mail": 1}):
            self.denied("another audience", rules, aud=audience)

    def test_scopes(self) -> None:
        """All that are asked for, as RFC 8693 4.2 writes them, or as a list, or as scp; else RFC 6750 3.1 has a word for it."""
        rules = ClaimRules("email", scopes=("mail", "send"))
        both = {"scp": "mail", "scope": "send"}
        for claims in ({"scope": "send openid mail"}, {"scope": ["mail", "send"]}, {"scp": "mail send"}, both):
            self.assertEqual(name(rules, **claims), "a@example.org")
        for claims in ({}, {"scope": "mail"}, {"scope": "mail,send"}, {"scope": 7}):
            self.assertEqual(self.denied("lacks a scope", rules, **claims).status, "insufficient_scope")

    def test_name(self) -> None:
        """The claim that the settings name must be there, as text of some length."""
        self.assertEqual(name(ClaimRules("preferred_username"), preferred_username="joe"), "joe")
        for value in (None, "", 7, ["a@example.org"], "a" * (MAX_NAME_CHARACTERS + 1)):
            self.denied("names nobody", email=value)
        self.assertEqual(len(name(email="a" * MAX_NAME_CHARACTERS)), MAX_NAME_CHARACTERS)

    def test_verified_email(self) -> None:
        """An email that is known not to be verified may be anybody's; of other claims that says nothing."""
        for value in (False, "false"):
            self.denied("not verified", email_verified=value)
        self.assertEqual(name(email_verified=True), "a@example.org")
        self.assertEqual(name(ClaimRules("username"), username="joe", email_verified=False), "joe")


class ReadingTests(SynchronousTestCase):
    """JSON, read strictly."""

    def test_objects_only(self) -> None:
        """Anything else is refused, also what Python would read and JSON does not have."""
        self.assertEqual(read_claims(b'{"a": 1}'), {"a": 1})
        for octets in (
            b"",
            b"[]",
            b"null",
            b'"x"',
            b"{",
            b'{"exp": NaN}',
            b'{"exp": Infinity}',
            b"\xff",
            b"[" * 200_000,
        ):
            self.assertRaises(ValueError, read_claims, octets)

    @given(st.binary())
    def test_anything(self, octets: bytes) -> None:
        """No octets do more than be refused."""
        with contextlib.suppress(ValueError):
            read_claims(octets)
