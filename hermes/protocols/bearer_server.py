"""
The server's side of OAUTHBEARER (RFC 7628) and of XOAUTH2, without input or output: a client shows an access token.

XOAUTH2 is older and of no RFC; Google and Microsoft have described it, and mail programs know it better.

    response -> TokenShown -(accepted)-> the end
                           -(refused)--> a challenge in JSON -> an answer that says nothing -> TokenRefused

The detour after a refusal is there because SASL knows no words beside a failure (RFC 7628 3.2.3). Whether a token is good is for
others to say; here it is only taken out of the message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from hermes.protocols.sasl import MAX_FIELD_OCTETS, Malformed, Prompt, Step, TokenHint, TokenRefused, TokenShown
from hermes.protocols.saslprep import saslprep

#: The names of the two mechanisms.
OAUTHBEARER = "OAUTHBEARER"
XOAUTH2 = "XOAUTH2"

# gs2-header  = "n," [ "a=" saslname ] ","                      (RFC 5801 4; no channel binding goes with a token)
# client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep        (RFC 7628 3.1)
# kvsep       = %x01
# kvpair      = key "=" value kvsep
# key         = 1*(ALPHA)
# value       = *(VCHAR / SP / HTAB / CR / LF )
_SASLNAME = r"(?:[^\x00\x01,=]|=2C|=3D)+"
_PAIR = r"[A-Za-z]+=[\x20-\x7e\t\r\n]*\x01"
_OAUTHBEARER = re.compile(rf"(?P<flag>n|y),(?:a=(?P<name>{_SASLNAME}))?,\x01(?P<pairs>(?:{_PAIR})*)\x01\Z")

# "user=" NAME kvsep "auth=Bearer " TOKEN kvsep kvsep, and like the other in what may stand between.
_XOAUTH2 = re.compile(rf"user=(?P<name>[^\x00\x01]*)\x01(?P<pairs>(?:{_PAIR})*)\x01\Z")

# credentials = "Bearer" 1*SP b64token
# b64token    = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="   (RFC 6750 2.1)
_BEARER = re.compile(r"bearer +(?P<token>[A-Za-z0-9._~+/-]+=*)\Z", re.IGNORECASE)

# RFC 7628 3.1: a positive number without leading zeros.
_PORT = re.compile(r"[1-9][0-9]{0,4}\Z")


class BearerServer:
    """One exchange by either mechanism."""

    def __init__(self, mechanism: str) -> None:
        self._mechanism = mechanism
        self._next: Callable[[bytes], Step] = self._take_token

    def step(self, response: bytes | None) -> Step:
        """Take a response, decoded; the first is None when the client gave no initial response."""
        # RFC 7628 3: the client begins.
        return Prompt(b"") if response is None else self._next(response)

    def _take_token(self, response: bytes) -> Step:
        form = _OAUTHBEARER if self._mechanism == OAUTHBEARER else _XOAUTH2
        found = form.match(_text(response))
        if found is None:
            return Malformed(f"that is not a message of {self._mechanism}")
        pairs = dict(pair.split("=", 1) for pair in found["pairs"].split("\x01")[:-1])
        bearer = _BEARER.match(pairs.get("auth", ""))
        if bearer is None:
            return Malformed(f"{self._mechanism} wants auth=Bearer and a token")
        name = _name(found["name"] or "", escaped=form is _OAUTHBEARER)
        if name is None:
            return Malformed(f"{self._mechanism} wants a name in UTF-8 of up to {MAX_FIELD_OCTETS} octets")
        port = pairs.get("port", "")
        if port and not _PORT.match(port):
            return Malformed("that is not a port")
        host = pairs.get("host", "")
        return TokenShown(self._mechanism, name, bearer["token"], host, int(port or 0), refuse=self._refuse)

    def _refuse(self, hint: TokenHint) -> Prompt:
        self._next = _take_note
        if self._mechanism == XOAUTH2:
            # Not the words of an RFC but a number of HTTP, and the scheme of the token.
            told = {
                "status": "401" if hint.status == "invalid_token" else "403",
                "schemes": "bearer",
                "scope": hint.scope,
            }
        else:
            told = {"status": hint.status, "scope": hint.scope, "openid-configuration": hint.configuration}
        return Prompt(json.dumps({key: value for key, value in told.items() if value}).encode("ascii"))


def _take_note(response: bytes) -> Step:
    # RFC 7628 3.2.3 has %x01 here, XOAUTH2 has nothing, and there are clients that mix them up: it means nothing anyway.
    return TokenRefused()


def _name(text: str, *, escaped: bool) -> str | None:
    """A name in the form in which names are compared; None when it cannot be one."""
    if escaped:
        # RFC 5801 4: a comma and an equals sign are written so, and "=" stands nowhere else.
        text = text.replace("=2C", ",").replace("=3D", "=")
    if len(text.encode("utf-8")) > MAX_FIELD_OCTETS:
        return None
    try:
        return saslprep(text)
    except ValueError:
        return None


def _text(response: bytes) -> str:
    """The message as text; NUL, which no message may have in it, for what is not UTF-8."""
    try:
        return response.decode("utf-8")
    except UnicodeDecodeError:
        return "\0"
