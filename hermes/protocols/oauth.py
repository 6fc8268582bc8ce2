"""
OAuth 2.0 from the client's side, without input or output: what is asked of an authorization server, and what its answers mean.

RFC 6749 (the framework), RFC 7636 (PKCE), RFC 8252 (native applications), RFC 8628 (devices). Requests are forms, answers JSON.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs

#: Microsoft's tokens have some three thousand characters. What is longer does not fit into a login (RFC 4954 4 asks servers to
#: take 12,288 octets of base64).
MAX_TOKEN_CHARACTERS = 8192

#: Words for people: more would only fill a terminal.
MAX_TEXT_CHARACTERS = 300

#: RFC 6749 5.1 leaves out when a token expires at will; an hour is what everybody gives.
DEFAULT_LIFE_SECONDS = 3600

#: RFC 6749 sets no limit; a token for longer than a month is looked after as often as one for a month.
MAX_LIFE_SECONDS = 30 * 86400

#: RFC 8628 3.2: "If no value is provided, clients MUST use 5 as the default"; 3.5: slow_down adds as much.
DEVICE_INTERVAL_SECONDS = 5
MAX_INTERVAL_SECONDS = 60

#: How long a device code is tried at the most; providers give 15 and 30 minutes.
MAX_DEVICE_SECONDS = 3600

# access-token = 1*VSCHAR,  refresh-token = 1*VSCHAR   (RFC 6749 A.12, A.17); in a login VSCHAR but no control character
_TOKEN = re.compile(r"[\x21-\x7e]+\Z")

# error = 1*NQSCHAR   (RFC 6749 A.7)
_ERROR = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,64}\Z")

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@attrs.frozen
class Client:
    """Who asks: the application's name, its secret or nothing, and what it wants."""

    client_id: str
    client_secret: str = attrs.field(repr=False)
    scopes: tuple[str, ...]


@attrs.frozen
class Tokens:
    """What was given; ``refresh_token`` and ``scope`` are empty where nothing was said of them. None is ever shown."""

    access_token: str = attrs.field(repr=False)
    life_seconds: int
    refresh_token: str = attrs.field(default="", repr=False)
    scope: str = ""


@attrs.frozen
class Denied:
    """The server's no: its word for the reason (RFC 6749 5.2), and a sentence of its own."""

    error: str
    description: str = ""

    def __str__(self) -> str:
        """Both, in one line."""
        return f"{self.error}: {self.description}" if self.description else self.error


@attrs.frozen
class DeviceCode:
    """What a person has to do (RFC 8628 3.2), and how often to ask whether it has been done."""

    device_code: str = attrs.field(repr=False)
    user_code: str
    verification_uri: str
    life_seconds: int
    interval_seconds: int


class NotOAuthError(ValueError):
    """The answer is none of an authorization server; the text says what is wrong with it."""


def challenge(verifier: str) -> str:
    """The code challenge of a verifier (RFC 7636 4.2: S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


def authorization_address(
    endpoint: str, client: Client, redirect: str, state: str, verifier: str, parameters: Mapping[str, str]
) -> str:
    """The page at which a person logs in (RFC 6749 4.1.1, RFC 7636 4.3)."""
    query = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": redirect,
        "scope": " ".join(client.scopes),
        "state": state,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        **parameters,
    }
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"


def code_from(address: str, redirect: str, state: str) -> str | Denied:
    """
    The code in the address to which the browser was sent at last (RFC 6749 4.1.2).

    Raises ValueError, with a text for the person who has pasted it, when it is another address.
    """
    parts, expected = urlsplit(address.strip()), urlsplit(redirect)
    if (parts.scheme, parts.netloc, parts.path.rstrip("/")) != (
        expected.scheme,
        expected.netloc,
        expected.path.rstrip("/"),
    ):
        raise ValueError(f"that is another address: copy the one that begins with {redirect}")
    query = dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=50))
    if not hmac.compare_digest(query.get("state", "").encode(), state.encode()):
        # RFC 6749 10.12: somebody else's code must not become ours.
        raise ValueError("that address belongs to another login: use the address that was printed last, and begin anew")
    if "error" in query:
        return Denied(_word(query["error"]), _sentence(query.get("error_description")))
    if not query.get("code"):
        raise ValueError("there is no code in that address: copy all of it")
    return query["code"]


def code_form(client: Client, code: str, redirect: str, verifier: str) -> dict[str, str]:
    """Ask for tokens with a code (RFC 6749 4.1.3, RFC 7636 4.5)."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
    return _with_client(client, form)


def refresh_form(client: Client, refresh_token: str) -> dict[str, str]:
    """Ask for a new access token (RFC 6749 6); the scope stays what it was."""
    return _with_client(client, {"grant_type": "refresh_token", "refresh_token": refresh_token})


def credentials_form(client: Client) -> dict[str, str]:
    """Ask for a token for the application itself (RFC 6749 4.4.2)."""
    return _with_client(client, {"grant_type": "client_credentials", "scope": " ".join(client.scopes)})


def device_form(client: Client) -> dict[str, str]:
    """Ask for a device code (RFC 8628 3.1)."""
    return {"client_id": client.client_id, "scope": " ".join(client.scopes)}


def poll_form(client: Client, device: DeviceCode) -> dict[str, str]:
    """Ask whether the person has done it (RFC 8628 3.4)."""
    return _with_client(client, {"grant_type": DEVICE_GRANT, "device_code": device.device_code})


def _with_client(client: Client, form: dict[str, str]) -> dict[str, str]:
    # RFC 6749 2.3.1 allows the secret in the form, where every provider takes it; one without a secret only says its name.
    secret = {"client_secret": client.client_secret} if client.client_secret else {}
    return {**form, "client_id": client.client_id, **secret}


def tokens_from(status: int, body: bytes) -> Tokens | Denied:
    """What the token endpoint says (RFC 6749 5.1, 5.2); raises NotOAuthError."""
    said = _object(status, body)
    if denied := _denied(said):
        return denied
    access_token = _token(said, "access_token")
    if not access_token:
        raise NotOAuthError("there is no token in the answer")
    if str(said.get("token_type", "")).lower() != "bearer":
        # RFC 6749 7.1: a token of a kind that the client does not know must not be used.
        raise NotOAuthError("the token is not of the type bearer")
    life = min(_seconds(said.get("expires_in"), DEFAULT_LIFE_SECONDS), MAX_LIFE_SECONDS)
    return Tokens(access_token, life, _token(said, "refresh_token"), _sentence(said.get("scope")))


def device_from(status: int, body: bytes) -> DeviceCode | Denied:
    """What the device endpoint says (RFC 8628 3.2); raises NotOAuthError."""
    said = _object(status, body)
    if denied := _denied(said):
        return denied
    # Google called it verification_url before the standard.
    address = _sentence(said.get("verification_uri") or said.get("verification_url"))
    device_code, user_code = _token(said, "device_code"), _sentence(said.get("user_code"))
    if not device_code or not user_code or urlsplit(address).scheme != "https":
        raise NotOAuthError("there is no code in the answer, or no page to type it into")
    life = min(_seconds(said.get("expires_in"), DEFAULT_LIFE_SECONDS), MAX_DEVICE_SECONDS)
    interval = min(_seconds(said.get("interval"), DEVICE_INTERVAL_SECONDS), MAX_INTERVAL_SECONDS)
    return DeviceCode(device_code, user_code, address, life, interval)


def _object(status: int, body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise NotOAuthError(f"HTTP status {status}, and no JSON object")
    if status != 200 and "error" not in said:
        raise NotOAuthError(f"HTTP status {status}")
    return said


def _denied(said: Mapping[str, Any]) -> Denied | None:
    if "error" not in said:
        return None
    return Denied(_word(said["error"]), _sentence(said.get("error_description")))


def _word(value: object) -> str:
    return value if isinstance(value, str) and _ERROR.match(value) else "an error without a name"


def _sentence(value: object) -> str:
    """Somebody else's words as one short line."""
    if not isinstance(value, str):
        return ""
    text = " ".join(value.split())
    return "".join(character if character.isprintable() else "?" for character in text)[:MAX_TEXT_CHARACTERS]


def _token(said: Mapping[str, Any], key: str) -> str:
    value = said.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or not _TOKEN.match(value) or len(value) > MAX_TOKEN_CHARACTERS:
        raise NotOAuthError(f"its {key} is not one")
    return value


def _seconds(value: object, default: int) -> int:
    """Some servers write numbers as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default
