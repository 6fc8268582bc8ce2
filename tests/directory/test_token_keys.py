"""Signatures of tokens, and what RFC 8725 warns of."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.oauth_rules import ALGORITHMS
from hermes.directory.token_keys import MAX_KEYS, KeySet
from hermes.interfaces import TokenDeniedError
from tests.support.oauth import ED25519, P256, P384, RSA, jwk, jwks, signed

ALL = ALGORITHMS


def part(value: object) -> str:
    """A part of a token as it is written (RFC 7515 2)."""
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class SignatureTests(SynchronousTestCase):
    """Tokens and the keys of their issuer."""

    def denied(self, keys: KeySet, token: str, reason: str = "not signed by a key") -> None:
        """The token is not good."""
        error = self.assertRaises(TokenDeniedError, keys.claims, token)
        self.assertIn(reason, error.reason)

    def test_each_kind(self) -> None:
        """RSA in both forms, the curves, and Ed25519."""
        pairs = {"RS256": RSA, "PS256": RSA, "RS512": RSA, "ES256": P256, "ES384": P384, "EdDSA": ED25519}
        for algorithm, key in pairs.items():
            keys = KeySet(jwks(jwk(key, algorithm)), ALL)
            self.assertEqual(keys.claims(signed(key, algorithm))["email"], "alice@example.org")

    def test_named_key(self) -> None:
        """RFC 7515 4.1.4: the token names its key; without a name all that could be meant are tried."""
        other = rsa.generate_private_key(65537, 2048)
        keys = KeySet(jwks(jwk(other, "RS256", kid="old"), jwk(RSA, "RS256", kid="new")), ALL)
        self.assertTrue(keys.claims(signed(RSA, "RS256", {"kid": "new"})))
        self.assertTrue(keys.claims(signed(RSA, "RS256")))
        self.denied(keys, signed(RSA, "RS256", {"kid": "old"}))
        self.assertTrue(keys.may_know(signed(RSA, "RS256", {"kid": "old"})))
        self.assertFalse(keys.may_know(signed(RSA, "RS256", {"kid": "newer"})))

    def test_foreign_signature(self) -> None:
        """A signature by somebody else's key, or of other octets, is none."""
        keys = KeySet(jwks(jwk(RSA, "RS256")), ALL)
        self.denied(keys, signed(rsa.generate_private_key(65537, 2048), "RS256"))
        head, _, signature = signed(RSA, "RS256").split(".")
        self.denied(keys, f"{head}.{part({'email': 'bob@example.org', 'exp': 4_000_000_000})}.{signature}")

    def test_none(self) -> None:
        """RFC 8725 3.1: "none" is no signature, however it is written."""
        keys = KeySet(jwks(jwk(RSA, "RS256")), ALL)
        for algorithm in ("none", "None", "NONE", ""):
            self.denied(keys, f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part({'email': 'a'})}.")

    def test_public_key_as_secret(self) -> None:
        """RFC 8725 2.1: a MAC with the public key as its secret is no signature, whatever the settings list."""
        pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        said = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'email': 'a'})}"
        mac = urlsafe_b64encode(hmac.digest(pem, said.encode(), "sha256")).rstrip(b"=").decode()
        self.denied(KeySet(jwks(jwk(RSA, "RS256")), ALL), f"{said}.{mac}")

    def test_what_the_settings_believe(self) -> None:
        """The algorithms are the administrator's choice, not the token's, and a key's own word narrows them."""
        only = KeySet(jwks(jwk(RSA, "RS256")), ("RS256",))
        self.denied(only, signed(RSA, "RS512"))
        bound = KeySet(jwks(jwk(RSA, "RS256", alg="RS256")), ALL)
        self.denied(bound, signed(RSA, "PS256"))
        self.assertTrue(bound.claims(signed(RSA, "RS256")))

    def test_keys_for_something_else(self) -> None:
        """Keys for encryption, shared secrets, and what is no key are passed over (RFC 7517 4.2, 4.3)."""
        good = jwk(RSA, "RS256")
        others: list[Any] = [
            {**good, "use": "enc"},
            {**good, "key_ops": ["encrypt"]},
            {**good, "key_ops": 7},
            {"kty": "oct", "k": "c2VjcmV0"},
            {"kty": "RSA", "n": "!", "e": "AQAB"},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
            {},
            "key",
            None,
        ]
        for other in others:
            self.assertRaises(ValueError, KeySet, jwks(other), ALL)
        self.assertTrue(KeySet(jwks(*others, good), ALL).claims(signed(RSA, "RS256")))

    def test_curve(self) -> None:
        """A curve goes with its algorithm only (RFC 7518 3.4)."""
        keys = KeySet(jwks(jwk(P384, "ES384")), ALL)
        token = jwt.encode({"email": "a"}, P256, "ES256")
        self.denied(keys, token)

    def test_short_keys(self) -> None:
        """RFC 7518 3.3: RSA has 2048 bits at least."""
        short = rsa.generate_private_key(65537, 1024)
        keys = KeySet(jwks(jwk(short, "RS256")), ALL)
        token = signed(short, "RS256")
        # It is PyJWT's own warning to whoever signs with it.
        self.assertEqual(len(self.flushWarnings()), 1)
        self.denied(keys, token)

    def test_number_of_keys(self) -> None:
        """Of very many keys the first are looked at."""
        filling = [jwk(P256, "ES256", kid=str(number)) for number in range(MAX_KEYS - 1)]
        last = jwk(RSA, "RS256")
        self.assertTrue(KeySet(jwks(*filling, last), ALL).claims(signed(RSA, "RS256")))
        self.denied(KeySet(jwks(*filling, filling[0], last), ALL), signed(RSA, "RS256"))

    def test_sets_that_are_none(self) -> None:
        """What is no JWKS is refused when it is read."""
        for octets in (b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"<html>"):
            self.assertRaises(ValueError, KeySet, octets, ALL)

    def test_kinds_of_tokens(self) -> None:
        """RFC 8725 3.11: a token for another purpose opens nothing; extensions that must be understood are not."""
        keys = KeySet(jwks(jwk(RSA, "RS256")), ALL)
        for kind in ("JWT", "at+jwt", "application/at+jwt", "AT+JWT"):
            self.assertTrue(keys.claims(signed(RSA, "RS256", {"typ": kind})))
        for kind in ("logout+jwt", "dpop+jwt", "secevent+jwt"):
            self.denied(keys, signed(RSA, "RS256", {"typ": kind}), "another kind")
        head = part({"alg": "RS256", "crit": ["b64"], "b64": True})
        self.denied(keys, f"{head}.{part({})}.AAAA", "extensions")

    def test_oddities(self) -> None:
        """What is no token is refused, and nothing worse."""
        keys = KeySet(jwks(jwk(RSA, "RS256")), ALL)
        deep = urlsafe_b64encode(b'{"alg":' + b"[" * 6000).rstrip(b"=").decode()
        headers = ([], {}, {"alg": 7}, {"alg": "RS256", "typ": 7})
        for token in (
            *("", "opaque", "a.b", "a.b.c", "...", "a.b.c.d.e", f"{deep}..AAAA"),
            *(f"{part(header)}.{part({})}.AAAA" for header in headers),
        ):
            self.assertRaises(TokenDeniedError, keys.claims, token)

    def test_payload_that_is_no_object(self) -> None:
        """A good signature does not make claims of something else."""
        keys = KeySet(jwks(jwk(RSA, "RS256")), ALL)
        self.denied(keys, jwt.PyJWS().encode(b"[]", RSA, "RS256"))

    @given(st.text(st.characters(codec="ascii"), max_size=200))
    def test_anything(self, token: str) -> None:
        """No text makes it fail."""
        self.assertRaises(TokenDeniedError, KeySet(jwks(jwk(P256, "ES256")), ALL).claims, token)
