"""
The server's side of SASL (RFC 4422), apart from any protocol: SMTP and POP3 feed it decoded responses.

A mechanism is given the client's responses one at a time and says for each what comes next: a challenge to send, the
credentials that it has gathered, what it must know of the account to go on, or what was wrong. It lets nobody in: that is the
owner's work. Base64 and the lines around it belong to the protocol (RFC 4954, RFC 5034); :func:`decoded` and :func:`encoded` are
here because both need them alike. The mechanisms that can be offered are listed in :mod:`hermes.protocols.sasl_mechanisms`.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Protocol

import attrs

from hermes.protocols.saslprep import saslprep
from hermes.protocols.scram_keys import ScramKeys

#: RFC 4616 2: authzid, authcid and passwd should each be taken up to 255 octets.
MAX_FIELD_OCTETS = 255


@attrs.define
class Credentials:
    """
    A SASL exchange has come to its end (RFC 4954): judge, then answer 235, 535 or 454.

    ``authorization`` is whom to act as, empty for oneself (RFC 4616).
    """

    mechanism: str
    name: str
    password: str
    authorization: str = ""

    def __repr__(self) -> str:
        return f"Credentials(mechanism={self.mechanism!r}, name={self.name!r})"


@attrs.frozen
class Prompt:
    """Send these octets to the client and wait for its response."""

    octets: bytes


@attrs.frozen
class Malformed:
    """The client's response is not what the mechanism wants; ``reason`` can be shown to it."""

    reason: str


@attrs.frozen
class ServerPart:
    """
    What a mechanism that proves passwords needs from the server's side, in the middle of its exchange.

    ``keys`` are those of the account, or made-up ones, which nothing proves; ``nonce`` is new for each exchange, of printable
    characters without a comma; ``binding`` are the octets of the channel binding that was asked for, empty for none.
    """

    keys: ScramKeys
    nonce: str
    binding: bytes = b""


@attrs.define
class KeysWanted:
    """
    The client has said who it is, and the exchange goes on with the keys of that account: find them, or refuse.

    ``binding`` names the channel binding (RFC 5056) that it wants, empty for none; ``proceed`` makes the next challenge.
    """

    mechanism: str
    name: str
    authorization: str
    binding: str
    proceed: Callable[[ServerPart], Prompt] = attrs.field(repr=False, eq=False)


@attrs.define
class Proof:
    """
    An exchange that proves a password without showing it has come to its end: let the client in, or refuse.

    It is about the keys that were given for ``name``; ``matches`` says whether the client has proved that it knows the password.
    ``reason`` says for the trace what else was wrong.
    """

    mechanism: str
    name: str
    matches: bool
    reason: str = ""


@attrs.frozen
class TokenHint:
    """
    What a client is told whose token was not accepted (RFC 7628 3.2.2), so that it can get a better one.

    ``status`` is an error of RFC 6750 3.1, ``scope`` what a token is to be asked for, ``configuration`` the address of a document
    about the authorization server; what is empty is not said.
    """

    status: str = "invalid_token"
    scope: str = ""
    configuration: str = ""


@attrs.define
class TokenShown:
    """
    The client has shown an access token: let it in, or go on with what ``refuse`` makes, or refuse at once.

    ``name`` is who it says it is, empty where it leaves that to the token; ``host`` and ``port`` are where it thinks it has
    connected to, empty and 0 where it does not say.
    """

    mechanism: str
    name: str
    token: str = attrs.field(repr=False)
    host: str = ""
    port: int = 0
    refuse: Callable[[TokenHint], Prompt] = attrs.field(kw_only=True, repr=False, eq=False)


@attrs.frozen
class TokenRefused:
    """The client has taken note that its token was refused, and the exchange is over."""


@attrs.define
class Digest:
    """
    An exchange in which the client answers a challenge by a digest of it and a secret has come to its end: judge it.

    ``digest_of`` makes the right one from a secret.
    """

    mechanism: str
    name: str
    digest: bytes = attrs.field(repr=False)
    digest_of: Callable[[bytes], bytes] = attrs.field(repr=False, eq=False)


Step = Prompt | Credentials | KeysWanted | Proof | TokenShown | TokenRefused | Digest | Malformed


class Mechanism(Protocol):
    """One exchange. It is made for each AUTH command and thrown away after Credentials, Proof or Malformed."""

    def step(self, response: bytes | None) -> Step:
        """Take a response, decoded; the first is None when the client gave no initial response."""


class Plain:
    """PLAIN (RFC 4616): everything in one response."""

    def step(self, response: bytes | None) -> Step:
        """Take apart ``[authzid] NUL authcid NUL passwd``."""
        if response is None:
            # RFC 4954 4: the mechanism begins with the client; an empty challenge asks for its response.
            return Prompt(b"")
        fields = response.split(b"\0")
        if len(fields) != 3:
            return Malformed("PLAIN wants three fields: authorization, name and password")
        authorization, name, password = (_text(field) for field in fields)
        if authorization is None or not name or not password:
            return Malformed("PLAIN wants a name and a password in UTF-8, each of 1 to 255 octets")
        return Credentials("PLAIN", name, password, authorization)


class Login:
    """LOGIN: never standardized, asked for by old mail programs; name and password in one response each."""

    def __init__(self) -> None:
        self._name: str | None = None

    def step(self, response: bytes | None) -> Step:
        """Ask for the name, then for the password. Some clients give the name as initial response."""
        if response is None:
            return Prompt(b"Username:")
        text = None if b"\0" in response else _text(response)
        if not text:
            return Malformed("LOGIN wants a name and a password in UTF-8, each of 1 to 255 octets")
        if self._name is None:
            self._name = text
            return Prompt(b"Password:")
        return Credentials("LOGIN", self._name, text)


def decoded(text: bytes) -> bytes | None:
    """Decode base64 strictly (RFC 4648 4, as RFC 4954 4 asks); None when it is not base64."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return None


def encoded(octets: bytes) -> str:
    """Write octets as base64 without line ends."""
    return binascii.b2a_base64(octets, newline=False).decode("ascii")


def _text(field: bytes) -> str | None:
    """A field as text in the form in which it is compared (RFC 4616 2); None when it cannot be a name or a password."""
    if len(field) > MAX_FIELD_OCTETS:
        return None
    try:
        return saslprep(field.decode("utf-8"))
    except ValueError:
        return None
