"""
Logging in at another server: the client's side of SASL PLAIN (RFC 4616), LOGIN and CRAM-MD5 (RFC 2195).

Octets here are those of the mechanisms; their base64 on the wire is the business of the protocol that carries them.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import Protocol

import attrs


@attrs.frozen
class Login:
    """A name and its password; the password is never shown."""

    username: str
    password: str = attrs.field(repr=False)


class Exchange(Protocol):
    """One run of a mechanism."""

    @property
    def mechanism(self) -> str:
        """Its name, as in AUTH."""

    def initial(self) -> bytes | None:
        """What is sent with the command, or None when the server has to speak first."""

    def respond(self, challenge: bytes) -> bytes | None:
        """The answer to a challenge, or None when the mechanism knows none: then the exchange is called off."""


class _CRAMMD5:
    """The password itself stays here; a digest of the challenge proves that we know it."""

    mechanism = "CRAM-MD5"

    def __init__(self, login: Login) -> None:
        self._login: Login | None = login

    def initial(self) -> bytes | None:
        return None

    def respond(self, challenge: bytes) -> bytes | None:
        login, self._login = self._login, None
        if login is None:
            return None
        # RFC 2195 2: the user name, a space, and the digest in lower-case hexadecimal digits.
        digest = hmac.new(login.password.encode(), challenge, "md5").hexdigest()
        return f"{login.username} {digest}".encode()


class _Plain:
    mechanism = "PLAIN"

    def __init__(self, login: Login) -> None:
        self._message = f"\0{login.username}\0{login.password}".encode()

    def initial(self) -> bytes | None:
        # message = [authzid] UTF8NUL authcid UTF8NUL passwd   (RFC 4616 2)
        return self._message

    def respond(self, challenge: bytes) -> bytes | None:
        return None


class _LoginMechanism:
    """Not a standard, but what many servers offer alone: it asks for the name, then for the password."""

    mechanism = "LOGIN"

    def __init__(self, login: Login) -> None:
        self._answers = [login.password.encode(), login.username.encode()]

    def initial(self) -> bytes | None:
        return None

    def respond(self, challenge: bytes) -> bytes | None:
        return self._answers.pop() if self._answers else None


_MECHANISMS: dict[str, type[_CRAMMD5] | type[_Plain] | type[_LoginMechanism]] = {
    "CRAM-MD5": _CRAMMD5,
    "PLAIN": _Plain,
    "LOGIN": _LoginMechanism,
}

#: The safest first: CRAM-MD5 does not show the password even to the server; PLAIN is a standard, LOGIN is not.
PREFERENCE = tuple(_MECHANISMS)

#: What may be used where others can listen.
SAFE_IN_CLEAR = frozenset({"CRAM-MD5"})


def choose(offered: Collection[str], *, private: bool) -> list[str]:
    """
    The mechanisms to try, best first.

    ``private`` says that nobody can listen: TLS, or a connection inside this machine. Without it a password is never sent.
    """
    return [name for name in PREFERENCE if name in offered and (private or name in SAFE_IN_CLEAR)]


def begin(mechanism: str, login: Login) -> Exchange:
    """Start a mechanism that :func:`choose` has named."""
    return _MECHANISMS[mechanism](login)
