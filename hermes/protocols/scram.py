"""
The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), without input or output.

The client proves that it knows the password and learns that the server knows the keys; the password never crosses the wire. With
-PLUS the proof holds for this TLS connection alone (RFC 5929, RFC 9266), so that nobody can stand in between.

    client-first -> KeysWanted -(keys, nonce, channel binding)-> server-first -> client-final -> server-final -> (empty) -> Proof

A wrong proof is a :class:`~hermes.protocols.sasl.Proof` at once, instead of server-final: what the server says to it is the
same for a wrong password and for a name that does not exist.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from collections.abc import Callable

import attrs

from hermes.protocols.sasl import MAX_FIELD_OCTETS, KeysWanted, Malformed, Prompt, Proof, ServerPart, Step
from hermes.protocols.saslprep import saslprep

#: The names of the two mechanisms (RFC 7677 3).
SCRAM = "SCRAM-SHA-256"
SCRAM_PLUS = "SCRAM-SHA-256-PLUS"

#: The channel bindings that clients may choose (RFC 9266, RFC 5929 4). tls-unique is not among them: it does not exist in TLS
#: 1.3, and in TLS 1.2 it is only safe with an extension that cannot be asked for here.
TLS_EXPORTER = "tls-exporter"
TLS_SERVER_END_POINT = "tls-server-end-point"
CHANNEL_BINDINGS = (TLS_EXPORTER, TLS_SERVER_END_POINT)

#: RFC 5802 5.1 does not limit a nonce. Clients send 18 to 64 characters; all of it comes back in the server's answer.
MAX_NONCE_CHARACTERS = 256

# gs2-cbind-flag = ("p=" cb-name) / "n" / "y"
# cb-name        = 1*(ALPHA / DIGIT / "." / "-")
# gs2-header     = gs2-cbind-flag "," [ authzid ] ","
# authzid        = "a=" saslname
# saslname       = 1*(value-safe-char / "=2C" / "=3D")
# value-safe-char = %x01-2B / %x2D-3C / %x3E-7F / UTF8-2 / UTF8-3 / UTF8-4   ; everything but NUL, "=" and ","
# value          = 1*(value-safe-char / "=")
# reserved-mext  = "m=" 1*(value-char)
# username       = "n=" saslname
# nonce          = "r=" 1*printable
# printable      = %x21-2B / %x2D-7E   ; everything but ","
# extensions     = attr-val *("," attr-val),  attr-val = ALPHA "=" value
# client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]   (RFC 5802 7)
_SASLNAME = r"(?:[^\x00,=]|=2C|=3D)+"
_EXTENSIONS = r"(?:,[A-Za-z]=[^\x00,]+)*"
_PRINTABLE = r"[\x21-\x2b\x2d-\x7e]+"
_FIRST = re.compile(
    rf"(?P<header>(?P<flag>p=(?P<binding>[A-Za-z0-9.-]+)|n|y),(?:a=(?P<authorization>{_SASLNAME}))?,)"
    rf"(?P<bare>(?P<mandatory>m=[^\x00,]+,)?n=(?P<name>{_SASLNAME}),r=(?P<nonce>{_PRINTABLE}){_EXTENSIONS})\Z"
)

# channel-binding = "c=" base64
# proof           = "p=" base64
# client-final-message-without-proof = channel-binding "," nonce ["," extensions]
# client-final-message = client-final-message-without-proof "," proof   (RFC 5802 7)
_BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)?"
_FINAL = re.compile(
    rf"(?P<bare>c=(?P<channel>{_BASE64}),r=(?P<nonce>{_PRINTABLE}){_EXTENSIONS}),p=(?P<proof>{_BASE64})\Z"
)

_PROOF_OCTETS = 32


@attrs.frozen
class _First:
    """The client's first message: its header and the rest as they came, and what they say."""

    header: str
    bare: str
    flag: str
    binding: str
    name: str
    authorization: str
    nonce: str


class ScramServer:
    """
    One exchange.

    ``plus_offered`` says that the client could have chosen -PLUS: one that claims it could not has been lied to (RFC 5802 6).
    """

    def __init__(self, mechanism: str, *, plus_offered: bool) -> None:
        self._mechanism = mechanism
        self._plus_offered = plus_offered
        self._name = ""
        self._next: Callable[[bytes], Step] = self._take_first

    def step(self, response: bytes | None) -> Step:
        """Take a response, decoded; the first is None when the client gave no initial response."""
        # RFC 5802 5: the client begins.
        return Prompt(b"") if response is None else self._next(response)

    def _take_first(self, response: bytes) -> Step:
        first = _parse_first(response)
        if isinstance(first, Malformed):
            return first
        refusal = self._check_binding(first)
        if refusal is not None:
            return refusal
        self._name = first.name

        def proceed(part: ServerPart) -> Prompt:
            return self._challenge(first, part)

        return KeysWanted(self._mechanism, first.name, first.authorization, first.binding, proceed)

    def _check_binding(self, first: _First) -> Malformed | None:
        if self._mechanism == SCRAM_PLUS:
            if not first.binding:
                # RFC 5802 6: -PLUS without channel binding is no -PLUS.
                return Malformed(f"{SCRAM_PLUS} wants a channel binding")
            if first.binding not in CHANNEL_BINDINGS:
                return Malformed(f"the channel bindings here are {' and '.join(CHANNEL_BINDINGS)}")
        elif first.binding:
            return Malformed(f"a channel binding wants {SCRAM_PLUS}")
        elif first.flag == "y" and self._plus_offered:
            # RFC 5802 6: somebody between us has taken -PLUS out of what was offered.
            return Malformed(f"{SCRAM_PLUS} was offered: somebody may be changing what you hear")
        return None

    def _challenge(self, first: _First, part: ServerPart) -> Prompt:
        # server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]
        nonce = first.nonce + part.nonce
        salt = binascii.b2a_base64(part.keys.salt, newline=False).decode("ascii")
        server_first = f"r={nonce},s={salt},i={part.keys.iterations}"
        # cbind-input = gs2-header [ cbind-data ]
        channel = first.header.encode("utf-8") + part.binding

        def take_final(response: bytes) -> Step:
            return self._judge(response, part, nonce, channel, f"{first.bare},{server_first},")

        self._next = take_final
        return Prompt(server_first.encode("ascii"))

    def _judge(self, response: bytes, part: ServerPart, nonce: str, channel: bytes, said: str) -> Step:
        final = _FINAL.match(_text(response))
        if final is None:
            return Malformed("that is not the final message of SCRAM")
        proof = binascii.a2b_base64(final["proof"])
        if final["nonce"] != nonce or len(proof) != _PROOF_OCTETS:
            return Malformed("the final message does not belong to this exchange")
        if not hmac.compare_digest(binascii.a2b_base64(final["channel"]), channel):
            # Somebody stands in between, or the client has not seen our certificate but a filter's.
            return Proof(self._mechanism, self._name, matches=False, reason="the channel binding does not fit")
        # AuthMessage := client-first-message-bare + "," + server-first-message + "," + client-final-message-without-proof
        message = (said + final["bare"]).encode("utf-8")
        if not _proves(proof, part.keys.stored_key, message):
            return Proof(self._mechanism, self._name, matches=False)
        signature = hmac.digest(part.keys.server_key, message, "sha256")
        self._next = self._take_end
        # verifier = "v=" base64 (ServerSignature)
        return Prompt(b"v=" + binascii.b2a_base64(signature, newline=False))

    def _take_end(self, response: bytes) -> Step:
        # RFC 4954 4 and RFC 5034 4 have no place for data beside success: it is a challenge, and its answer is empty.
        if response:
            return Malformed("nothing comes behind the final message")
        return Proof(self._mechanism, self._name, matches=True)


def _proves(proof: bytes, stored_key: bytes, message: bytes) -> bool:
    """Whether a proof was made by somebody who knows the ClientKey (RFC 5802 3)."""
    # ClientSignature := HMAC(StoredKey, AuthMessage);  ClientKey := ClientProof XOR ClientSignature
    signature = hmac.digest(stored_key, message, "sha256")
    client_key = bytes(left ^ right for left, right in zip(proof, signature, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), stored_key)


def _parse_first(response: bytes) -> _First | Malformed:
    found = _FIRST.match(_text(response))
    if found is None:
        return Malformed("that is not the first message of SCRAM")
    if found["mandatory"]:
        # RFC 5802 5.1: m= announces what must be understood, and nothing of the kind exists.
        return Malformed("SCRAM has no extensions here")
    if len(found["nonce"]) > MAX_NONCE_CHARACTERS:
        return Malformed(f"the nonce has more than {MAX_NONCE_CHARACTERS} characters")
    name, authorization = _name(found["name"]), _name(found["authorization"] or "")
    if not name or authorization is None:
        return Malformed("SCRAM wants a name in UTF-8 of 1 to 255 octets")
    return _First(
        found["header"], found["bare"], found["flag"], found["binding"] or "", name, authorization, found["nonce"]
    )


def _name(text: str) -> str | None:
    """A saslname in the form in which names are compared; None when it cannot be a name."""
    if len(text.encode("utf-8")) > 3 * MAX_FIELD_OCTETS:
        return None
    # RFC 5802 5.1: a comma and an equals sign are written so, and "=" stands nowhere else.
    try:
        name = saslprep(text.replace("=2C", ",").replace("=3D", "="))
    except ValueError:
        return None
    return name if len(name.encode("utf-8")) <= MAX_FIELD_OCTETS else None


def _text(response: bytes) -> str:
    """The message as text; NUL, which no message may have in it, for what is not UTF-8."""
    try:
        return response.decode("utf-8")
    except UnicodeDecodeError:
        return "\0"
