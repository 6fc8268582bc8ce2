"""
Logging in with an OAuth access token: OAUTHBEARER (RFC 7628), and XOAUTH2, which Google and Microsoft had before it.

Both send all there is to say at once. A refusal comes as a challenge that holds JSON, is acknowledged, and is followed by the
refusal proper.
"""

from __future__ import annotations

import json

from hermes.protocols.sasl_login import Channel, Login
from hermes.protocols.scram_client import saslname

OAUTHBEARER, XOAUTH2 = "OAUTHBEARER", "XOAUTH2"

#: A status is a word like "invalid_token", or a number; more of it would only fill the log.
MAX_STATUS_CHARACTERS = 64


class Bearer:
    """One exchange of either; see :class:`hermes.protocols.sasl_login.Exchange`."""

    def __init__(self, mechanism: str, message: str, acknowledgment: bytes) -> None:
        self.mechanism = mechanism
        self.satisfied = True
        self.remark = ""
        self._message = message.encode()
        self._acknowledgment = acknowledgment

    def initial(self) -> bytes | None:
        """All at once."""
        return self._message

    def respond(self, challenge: bytes) -> bytes | None:
        """Acknowledge the JSON of a refusal, once."""
        if self.remark:
            return None
        self.remark = _status(challenge)
        # RFC 7628 3.2.3: after this the server fails the exchange. One that does not has lost its way.
        self.satisfied = False
        return self._acknowledgment


def oauthbearer(login: Login, channel: Channel) -> Bearer:
    """RFC 7628, which says for whom the token is meant."""
    # kvsep = %x01,  kvpair = key "=" value kvsep
    # client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep   (RFC 7628 3.1)
    message = f"n,a={saslname(login.username)},\x01host={channel.host}\x01port={channel.port}\x01"
    # RFC 7628 3.2.3: a client that has been refused answers with a single kvsep.
    return Bearer(OAUTHBEARER, f"{message}auth=Bearer {login.token}\x01\x01", b"\x01")


def xoauth2(login: Login, channel: Channel) -> Bearer:
    """What Google and Microsoft describe on their own pages: ``user=NAME ^A auth=Bearer TOKEN ^A ^A``."""
    return Bearer(XOAUTH2, f"user={login.username}\x01auth=Bearer {login.token}\x01\x01", b"")


def _status(challenge: bytes) -> str:
    """The word for what is wrong (RFC 7628 3.2.2: ``status``), fit for a line; never empty."""
    try:
        said = json.loads(challenge)
        status = said.get("status") if isinstance(said, dict) else None
    except (ValueError, RecursionError):
        status = None
    if not isinstance(status, str | int):
        return "the token was refused, without a status"
    text = "".join(character if character.isprintable() else "?" for character in str(status))
    return f"the token was refused with status {text[:MAX_STATUS_CHARACTERS] or 'empty'}"
