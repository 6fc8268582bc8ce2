"""The mechanisms by which a client can log in here, by name (RFC 4422)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from hermes.protocols.bearer_server import OAUTHBEARER, XOAUTH2, BearerServer
from hermes.protocols.cram_md5 import CRAM_MD5, CramMD5Server
from hermes.protocols.sasl import Login, Mechanism, Plain
from hermes.protocols.scram import SCRAM, SCRAM_PLUS, ScramServer

#: What a client may use when the server also has keys for SCRAM, the best first: RFC 5802 6 asks a client to prefer -PLUS, and
#: many take the first one that they know.
WITH_KEYS = (SCRAM_PLUS, SCRAM)

#: What a client may use that shows its password.
WITH_PASSWORD = ("PLAIN", "LOGIN")

#: What a client may use where access tokens are taken; a client without one does not.
WITH_TOKEN = (OAUTHBEARER, XOAUTH2)

#: What a client may use where some accounts have a secret for it. It stands last: of all clients it is of use to few.
WITH_SECRET = (CRAM_MD5,)

#: Makes the challenge of an exchange in which the server speaks first.
NewChallenge = Callable[[], bytes]


def _scram(name: str, offered: Collection[str]) -> Mechanism:
    return ScramServer(name, plus_offered=SCRAM_PLUS in offered)


_MAKERS: Mapping[str, Callable[[Collection[str], NewChallenge], Mechanism]] = {
    SCRAM_PLUS: lambda offered, _: _scram(SCRAM_PLUS, offered),
    SCRAM: lambda offered, _: _scram(SCRAM, offered),
    OAUTHBEARER: lambda *_: BearerServer(OAUTHBEARER),
    XOAUTH2: lambda *_: BearerServer(XOAUTH2),
    "PLAIN": lambda *_: Plain(),
    "LOGIN": lambda *_: Login(),
    CRAM_MD5: lambda _, challenge: CramMD5Server(challenge()),
}


def mechanisms(*, keys: bool, tokens: bool, secrets: bool = False) -> tuple[str, ...]:
    """What is offered beside names and passwords, the best first."""
    return (
        *(WITH_KEYS if keys else ()),
        *WITH_PASSWORD,
        *(WITH_TOKEN if tokens else ()),
        *(WITH_SECRET if secrets else ()),
    )


def no_challenge() -> bytes:
    """For those who offer no mechanism that needs a challenge."""
    raise RuntimeError("there is nobody to make a challenge")


def begin(name: str, offered: Collection[str], challenge: NewChallenge = no_challenge) -> Mechanism:
    """Start an exchange by a mechanism out of those that are offered now."""
    return _MAKERS[name](offered, challenge)


def usable(names: Collection[str], *, tls: bool) -> list[str]:
    """Those of the mechanisms that exist and can be used; without TLS there is no channel to be bound to."""
    return [name for name in names if name in _MAKERS and (tls or name != SCRAM_PLUS)]
