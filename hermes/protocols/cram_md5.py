"""
The server's side of CRAM-MD5 (RFC 2195), and of APOP (RFC 1939 7), which is the same idea with another digest.

The client proves that it knows a secret by a digest of it and of a challenge that is new for each exchange. The server must know
the secret itself to check that: it is never the password of an account, but one that was made for this (``docs/decisions.md``).
"""

from __future__ import annotations

import hashlib
import hmac
import re

from hermes.protocols.sasl import MAX_FIELD_OCTETS, Digest, Malformed, Prompt, Step
from hermes.protocols.saslprep import saslprep

#: The name of the mechanism, and the name under which the trace has the POP3 command.
CRAM_MD5 = "CRAM-MD5"
APOP = "APOP"

# RFC 2195 2: the user name, a space, and the digest in hexadecimal digits, 16 octets of it; a name may have spaces in it.
_RESPONSE = re.compile(rb"(?P<name>[^\x00\r\n]+) (?P<digest>[0-9A-Fa-f]{32})\Z")


def challenge(unique: str, seconds: int, hostname: str) -> bytes:
    """A timestamp in the form of a msg-id (RFC 2195 2, RFC 1939 7); ``unique`` is never used twice."""
    return f"<{unique}.{seconds}@{hostname}>".encode("ascii", "replace")


class CramMD5Server:
    """One exchange about one challenge."""

    def __init__(self, challenge: bytes) -> None:
        self._challenge = challenge
        self._begun = False

    def step(self, response: bytes | None) -> Step:
        """Show the challenge, then take the digest."""
        if response is None and not self._begun:
            self._begun = True
            return Prompt(self._challenge)
        if not self._begun:
            # RFC 4954 4, RFC 5034 4: a mechanism in which the server begins takes no initial response.
            return Malformed(f"{CRAM_MD5} takes no initial response")
        return answered(CRAM_MD5, self._challenge, response or b"")


def answered(mechanism: str, challenge: bytes, response: bytes) -> Digest | Malformed:
    """What a client has answered to a challenge, as CRAM-MD5 and APOP write it alike."""
    found = _RESPONSE.match(response)
    if found is None or len(found["name"]) > MAX_FIELD_OCTETS:
        return Malformed(f"{mechanism} wants a name and a digest of 32 hexadecimal digits")
    try:
        name = saslprep(found["name"].decode("utf-8"))
    except ValueError:
        name = ""
    if not name:
        return Malformed(f"{mechanism} wants a name in UTF-8")

    def digest_of(secret: bytes) -> bytes:
        if mechanism == APOP:
            # RFC 1939 7: MD5 over the timestamp, and the secret behind it.
            return hashlib.md5(challenge + secret, usedforsecurity=False).hexdigest().encode("ascii")
        return hmac.new(secret, challenge, "md5").hexdigest().encode("ascii")

    return Digest(mechanism, name, found["digest"].lower(), digest_of)
