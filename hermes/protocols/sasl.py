"""
The server's side of SASL (RFC 4422), apart from any protocol: SMTP and POP3 feed it decoded responses.

A mechanism is given the client's responses one at a time and says for each what comes next: a challenge to send, the
credentials that it has gathered, or what was wrong. It judges nobody: that is the owner's work. Base64 and the lines around it
belong to the protocol (RFC 4954, RFC 5034); :func:`decoded` and :func:`encoded` are here because both need them alike.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

from hermes.protocols.saslprep import saslprep

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


Step = Prompt | Credentials | Malformed


class Mechanism(Protocol):
    """One exchange. It is made for each AUTH command and thrown away after Credentials or Malformed."""

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


#: What can be offered, by name.
MECHANISMS: Mapping[str, Callable[[], Mechanism]] = {"PLAIN": Plain, "LOGIN": Login}


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
