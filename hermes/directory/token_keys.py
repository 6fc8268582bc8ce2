"""
The keys of an authorization server (JWKS, RFC 7517), and what they say of a token that is a JWT (RFC 7515, RFC 7519).

RFC 8725 says what goes wrong with these: so the signatures that are believed are the administrator's choice and never the
token's, keys are held to their purpose, and a signature by a secret that this server would know as well is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jwt import PyJWK, PyJWS, PyJWTError

from hermes.directory.token_claims import Claims, read_claims
from hermes.interfaces import TokenDeniedError

#: Keys of one set that are looked at. Authorization servers have two or three, of which one is on its way out.
MAX_KEYS = 64

#: What a key must be for a signature: its type, and its curve where there are several (RFC 7518 3.1, RFC 8037 3.1).
_FITTING = {
    **{f"{family}{bits}": ("RSA", None) for family in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}

#: RFC 7519 5.1, RFC 9068 2.1, RFC 8725 3.11: a signed token of another kind (a logout, an event) is no access token.
_TYPES = {"", "jwt", "at+jwt", "application/at+jwt"}


class KeySet:
    """The keys of one JWKS for the signatures that are believed; ValueError when it is none, or has no such key."""

    def __init__(self, octets: bytes, algorithms: tuple[str, ...]) -> None:
        self._keys: dict[str, list[tuple[str | None, PyJWK]]] = {name: [] for name in algorithms}
        listed = read_claims(octets).get("keys")
        if not isinstance(listed, list):
            raise ValueError("it has no keys")
        for key in listed[:MAX_KEYS]:
            for name, made in _made(key, algorithms):
                self._keys[name].append((key.get("kid"), made))
        if not any(self._keys.values()):
            raise ValueError(f"it has no key for {', '.join(algorithms)}")

    def may_know(self, token: str) -> bool:
        """False for a token whose key is not among these: there may be newer ones."""
        header = _header(token)
        return any(self._candidates(header["alg"], header.get("kid")))

    def claims(self, token: str) -> Claims:
        """What a token says whose signature is good; TokenDeniedError else."""
        header = _header(token)
        for key in self._candidates(header["alg"], header.get("kid")):
            try:
                # What is told of times, issuer and audience is checked where that of other tokens is.
                found = PyJWS().decode_complete(token, key, [header["alg"]], {"enforce_minimum_key_length": True})
                return read_claims(found["payload"])
            except (PyJWTError, ValueError):
                continue
        raise TokenDeniedError("the token is not signed by a key that is known")

    def _candidates(self, algorithm: str, key_id: object) -> Iterator[PyJWK]:
        """RFC 7515 4.1.4: the key that a token names, or else all that could be meant."""
        for known_id, key in self._keys.get(algorithm, ()):
            if key_id is None or key_id == known_id:
                yield key


def _header(token: str) -> dict[str, Any]:
    """The header of a token, which nothing vouches for; TokenDeniedError when it is not one of ours to judge."""
    try:
        header = PyJWS().get_unverified_header(token)
    except (PyJWTError, ValueError, RecursionError):
        # An access token need not be a JWT; but then it is to be asked about.
        raise TokenDeniedError("the token is not a signed JWT") from None
    kind = header.get("typ", "")
    if not isinstance(kind, str) or kind.lower() not in _TYPES or not isinstance(header.get("alg"), str):
        raise TokenDeniedError("the token is a JWT of another kind")
    if "crit" in header:
        # RFC 7515 4.1.11: what must be understood, and is not.
        raise TokenDeniedError("the token has extensions that are not known here")
    return header


def _made(key: Any, algorithms: tuple[str, ...]) -> Iterator[tuple[str, PyJWK]]:
    """A key for each signature that it may be used for; nothing for a key that is meant for something else."""
    # RFC 7517 4.2, 4.3 and 4.4
    if not isinstance(key, dict) or key.get("use", "sig") != "sig":
        return
    operations = key.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return
    for name in algorithms:
        kind, curve = _FITTING[name]
        if key.get("alg", name) != name or key.get("kty") != kind or (curve and key.get("crv") != curve):
            continue
        try:
            yield name, PyJWK(key, name)
        except PyJWTError:
            # A key that cannot be read signs nothing; the others may.
            continue
