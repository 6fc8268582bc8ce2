"""
What an access token says, and whether that is enough (RFC 7519 4, RFC 7662 2.2, RFC 9068 4).

The same rules hold for a token that was signed and for one that the authorization server has told about: who issued it, whom it
is for, for how long, what for, and whose it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from hermes.interfaces import TokenDeniedError

#: RFC 7519 4.1.4: some leeway, for clocks that do not agree.
LEEWAY_SECONDS = 60

#: RFC 6750 3.1: the token is good, but not for this.
INSUFFICIENT_SCOPE = "insufficient_scope"

#: An address has 254 octets at most (RFC 5321 4.5.3.1.3); a name of an account is shorter.
MAX_NAME_CHARACTERS = 254

Claims = Mapping[str, Any]


@attrs.frozen
class ClaimRules:
    """What a token must hold: what is empty is not asked for. ``claim`` is where the account's name or address stands."""

    claim: str
    issuer: str = ""
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


def read_claims(octets: bytes) -> Claims:
    """An object in JSON; ValueError when it is something else."""
    # Python would take NaN and Infinity for numbers, and run out of stack on deep nesting.
    try:
        claims = json.loads(octets, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(claims, dict):
        raise ValueError("it is not an object")
    return claims


def name_in(claims: Claims, rules: ClaimRules, now: float, *, must_expire: bool) -> str:
    """
    Whom the token is about; TokenDeniedError when it is not good.

    ``now`` is in seconds since the epoch; with ``must_expire`` a token that does not say until when it is good is not.
    """
    expires, begins = _time(claims, "exp"), _time(claims, "nbf")
    if expires is None and must_expire:
        raise TokenDeniedError("the token does not say when it expires")
    if expires is not None and now >= expires + LEEWAY_SECONDS:
        raise TokenDeniedError("the token has expired")
    if begins is not None and now < begins - LEEWAY_SECONDS:
        raise TokenDeniedError("the token is not good yet")
    if rules.issuer and claims.get("iss") != rules.issuer:
        raise TokenDeniedError("the token is of another issuer")
    if rules.audience and not _listed(claims.get("aud")) & set(rules.audience):
        raise TokenDeniedError("the token is for another audience")
    if not set(rules.scopes) <= _scopes(claims):
        raise TokenDeniedError("the token lacks a scope", INSUFFICIENT_SCOPE)
    return _name(claims, rules.claim)


def _name(claims: Claims, claim: str) -> str:
    name = claims.get(claim)
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise TokenDeniedError(f"the token names nobody: it has no {claim}")
    # Some write it as text.
    if claim == "email" and claims.get("email_verified", True) in (False, "false"):
        raise TokenDeniedError("the email of the token is not verified")
    return name


def _time(claims: Claims, claim: str) -> float | None:
    # NumericDate: seconds since the epoch, whole or not (RFC 7519 2).
    value = claims.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenDeniedError(f"the token's {claim} is not a time")
    return value


def _listed(value: object) -> set[str]:
    # RFC 7519 4.1.3: several, or a single one without a list.
    values = value if isinstance(value, list) else [value]
    return {each for each in values if isinstance(each, str)}


def _scopes(claims: Claims) -> set[str]:
    # RFC 8693 4.2 has them in one text with spaces between; Microsoft calls that scp, and others make a list of it.
    return {word for claim in ("scope", "scp") for text in _listed(claims.get(claim)) for word in text.split()}


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")
