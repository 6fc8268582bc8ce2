"""What a client answers to a challenge by a digest, and a checker that knows one secret."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode

import attrs
from twisted.cred.credentials import IUsernameHashedPassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, succeed

SECRET = "made for this"


def cram(challenge: bytes, name: str = "alice", secret: str = SECRET) -> str:
    """The answer of CRAM-MD5 (RFC 2195 2), in base64."""
    digest = hmac.new(secret.encode(), challenge, "md5").hexdigest()
    return b64encode(f"{name} {digest}".encode()).decode()


def apop(timestamp: bytes, name: str = "alice", secret: str = SECRET) -> str:
    """The command APOP (RFC 1939 7)."""
    return f"APOP {name} {hashlib.md5(timestamp + secret.encode()).hexdigest()}"


@attrs.define
class Secrets:
    """Alice's secret is SECRET; others have none. Names are answered as ``names`` has them: text or octets."""

    credentialInterfaces = (IUsernameHashedPassword,)

    answer: str | bytes = "alice"
    asked: list[bytes] = attrs.field(factory=list)

    def requestAvatarId(self, credentials: IUsernameHashedPassword) -> Deferred[str | bytes]:
        """Judge a digest, as Twisted's own checkers do."""
        self.asked.append(credentials.username)
        if credentials.username == b"alice" and credentials.checkPassword(SECRET.encode()):
            return succeed(self.answer)
        return fail(UnauthorizedLogin("wrong"))
