"""
Logging in at another server: which mechanism is tried first, and the client's side of the simple ones.

PLAIN (RFC 4616), LOGIN and CRAM-MD5 (RFC 2195) stand here, SCRAM-SHA-256 in :mod:`hermes.protocols.scram_client`, what
carries an OAuth token in :mod:`hermes.protocols.bearer`. Octets here are those of the mechanisms; their base64 on the wire is
the business of the protocol that carries them.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Collection
from typing import ClassVar

from hermes.protocols.bearer import OAUTHBEARER, XOAUTH2, oauthbearer, xoauth2
from hermes.protocols.sasl_login import Channel, Exchange, Login
from hermes.protocols.scram import SCRAM, SCRAM_PLUS
from hermes.protocols.scram_client import ScramClient

__all__ = ["MECHANISMS", "PREFERENCE", "SAFE_IN_CLEAR", "WITH_TOKEN", "Channel", "Exchange", "Login", "begin", "choose"]


class _Simple:
    """What has nothing to prove to us and nothing to add to a refusal."""

    mechanism: ClassVar[str]
    satisfied = True
    remark = ""


class _CRAMMD5(_Simple):
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


class _Plain(_Simple):
    mechanism = "PLAIN"

    def __init__(self, login: Login) -> None:
        self._message = f"\0{login.username}\0{login.password}".encode()

    def initial(self) -> bytes | None:
        # message = [authzid] UTF8NUL authcid UTF8NUL passwd   (RFC 4616 2)
        return self._message

    def respond(self, challenge: bytes) -> bytes | None:
        return None


class _LoginMechanism(_Simple):
    """Not a standard, but what many servers offer alone: it asks for the name, then for the password."""

    mechanism = "LOGIN"

    def __init__(self, login: Login) -> None:
        self._answers = [login.password.encode(), login.username.encode()]

    def initial(self) -> bytes | None:
        return None

    def respond(self, challenge: bytes) -> bytes | None:
        return self._answers.pop() if self._answers else None


_SIMPLE: dict[str, type[_CRAMMD5] | type[_Plain] | type[_LoginMechanism]] = {
    "CRAM-MD5": _CRAMMD5,
    "PLAIN": _Plain,
    "LOGIN": _LoginMechanism,
}

#: The safest first. SCRAM shows the password to nobody and has the server prove itself, with -PLUS for this connection alone;
#: CRAM-MD5 does not show the password either; PLAIN is a standard, LOGIN is not.
PREFERENCE = (SCRAM_PLUS, SCRAM, *_SIMPLE)

#: The same for those that carry a token: RFC 7628 says to the server for whom the token is meant.
WITH_TOKEN = (OAUTHBEARER, XOAUTH2)

#: All that there are.
MECHANISMS = (*PREFERENCE, *WITH_TOKEN)

#: What may be used where others can listen.
SAFE_IN_CLEAR = frozenset({SCRAM, "CRAM-MD5"})


def choose(offered: Collection[str], login: Login, channel: Channel) -> list[str]:
    """
    The mechanisms to try, best first.

    Where others can listen a password is never sent, and neither is a token, which is as good as one (RFC 7628 5).
    """
    return [
        name
        for name in (WITH_TOKEN if login.token else PREFERENCE)
        if name in offered
        and (not login.mechanisms or name in login.mechanisms)
        and (channel.private or name in SAFE_IN_CLEAR)
        and (name != SCRAM_PLUS or channel.binding)
    ]


def begin(mechanism: str, login: Login, channel: Channel, offered: Collection[str] = ()) -> Exchange:
    """Start a mechanism that :func:`choose` has named; ``offered`` is what the server has."""
    if mechanism in (SCRAM, SCRAM_PLUS):
        # RFC 5802 6: "y" says that we could bind and that the server has not offered to. Where -PLUS was offered and only
        # our own settings forbid it, that would be a lie, and taken for an attack.
        return ScramClient(mechanism, login, channel, plus_refused=bool(channel.binding) and SCRAM_PLUS not in offered)
    if mechanism == OAUTHBEARER:
        return oauthbearer(login, channel)
    if mechanism == XOAUTH2:
        return xoauth2(login, channel)
    return _SIMPLE[mechanism](login)


def challenge_in(text: str) -> bytes | None:
    """The octets of a challenge, which travels as base64; None when it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
