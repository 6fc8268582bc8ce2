"""
What a login by token or by digest is worth to the portal: credentials of ``twisted.cred``.

Those of a digest provide Twisted's own ``IUsernameHashedPassword``, as ``CramMD5Credentials`` and ``APOPCredentials`` do, and
those of a token :class:`hermes.interfaces.IBearerToken`: any checker for these can be plugged into the portal.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable

import attrs
from twisted.cred.credentials import ICredentials, IUsernameHashedPassword, UsernamePassword
from zope.interface import implementer

from hermes.interfaces import IBearerToken, IPasswordShown
from hermes.protocols import cram_md5
from hermes.protocols.sasl import Digest, TokenShown
from hermes.protocols.sasl_mechanisms import NewChallenge

#: 144 bits: no challenge is ever made twice, nor a nonce (RFC 5802 5.1).
_UNIQUE_OCTETS = 18


@implementer(IBearerToken)
@attrs.frozen
class BearerToken:
    """An access token as a client has shown it; nothing about it has been checked."""

    token: str = attrs.field(repr=False)
    name: str
    host: str
    port: int
    service: str


@implementer(IPasswordShown)
class PasswordShown(UsernamePassword):
    """A name and a password as a client at ``peer`` has shown them to ``service``."""

    def __init__(self, username: bytes, password: bytes, service: str, peer: str) -> None:
        super().__init__(username, password)
        self.service = service
        self.peer = peer
        self.app_password = ""
        self.services: tuple[str, ...] = ()
        self.reason = ""


@implementer(IUsernameHashedPassword)
@attrs.frozen
class DigestCredentials:
    """A digest that says whether a secret is the right one, once it is given one."""

    username: bytes
    _digest: bytes = attrs.field(repr=False)
    _digest_of: Callable[[bytes], bytes] = attrs.field(repr=False)

    def checkPassword(self, password: bytes) -> bool:  # noqa: N802 - as IUsernameHashedPassword calls it
        """Whether the client has made its digest with this secret."""
        return hmac.compare_digest(self._digest_of(password), self._digest)


def credentials_of(attempt: TokenShown | Digest, service: str) -> ICredentials:
    """The credentials for the portal; ``service`` is the one that is logged in to."""
    if isinstance(attempt, TokenShown):
        return BearerToken(attempt.token, attempt.name, attempt.host, attempt.port, service)
    return DigestCredentials(attempt.name.encode("utf-8"), attempt.digest, attempt.digest_of)


def new_nonce() -> str:
    """A nonce of letters, digits, ``-`` and ``_``."""
    return secrets.token_urlsafe(_UNIQUE_OCTETS)


def challenges(hostname: str, seconds: Callable[[], float]) -> NewChallenge:
    """What makes challenges for CRAM-MD5 and APOP."""
    return lambda: cram_md5.challenge(new_nonce(), int(seconds()), hostname)
