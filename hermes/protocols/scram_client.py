"""
The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), without input or output.

The password does not leave this machine, and the server has to prove that it knows the password's keys: whoever only plays the
server learns nothing and is not believed. With -PLUS the proof holds for this TLS connection alone (RFC 9266, RFC 5929).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from hermes.protocols.sasl_login import Channel, Derivation, Keys, Login
from hermes.protocols.saslprep import saslprep
from hermes.protocols.scram import SCRAM_PLUS
from hermes.protocols.scram_keys import MIN_ITERATIONS

#: The server says how often we compute. As much as is recommended to anybody today takes 0.2 s here, and once, since the keys are
#: remembered; a server that asks for more is not believed to mean well.
MAX_ITERATIONS = 600_000

#: RFC 5802 5.1 limits neither; servers send nonces of up to a hundred characters and salts of 16 octets.
MAX_NONCE_CHARACTERS = 512
MAX_SALT_OCTETS = 256

# server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]
# nonce = "r=" c-nonce [s-nonce],  salt = "s=" base64,  iteration-count = "i=" posit-number
# printable = %x21-2B / %x2D-7E   (RFC 5802 7)
_SERVER_FIRST = re.compile(
    r"r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+),s=(?P<salt>[A-Za-z0-9+/]+={0,2}),i=(?P<iterations>[1-9][0-9]{0,9})"
    r"(?:,[A-Za-z]=[^\x00,]+)*\Z"
)

# server-final-message = (server-error / verifier) ["," extensions]
# server-error = "e=" value,  verifier = "v=" base64   (RFC 5802 7)
_SERVER_FINAL = re.compile(
    r"(?:e=(?P<error>[\x21-\x2b\x2d-\x3c\x3e-\x7e]{1,64})|v=(?P<verifier>[A-Za-z0-9+/]+={0,2}))(?:,[A-Za-z]=[^\x00,]+)*\Z"
)

_NOT_SCRAM = "what it sent is not SCRAM"


class ScramClient:
    """
    One exchange; see :class:`hermes.protocols.sasl_login.Exchange`.

    ``plus_refused`` says that we could bind to the channel and the server has not offered to: it then can tell whether
    somebody has taken that out of its offer (RFC 5802 6).
    """

    def __init__(self, mechanism: str, login: Login, channel: Channel, *, plus_refused: bool) -> None:
        self.mechanism = mechanism
        self.remark = ""
        self.satisfied = False
        self._login = login
        flag, self._bound = ("y" if plus_refused else "n"), b""
        if mechanism == SCRAM_PLUS:
            flag, self._bound = f"p={channel.binding}", channel.bound
        # gs2-header = gs2-cbind-flag "," [ authzid ] ","   (RFC 5802 7)
        self._header = f"{flag},,"
        self._nonce = channel.nonce
        # client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
        self._first = f"n={saslname(prepared(login.username))},r={self._nonce}"
        self._signature: bytes | None = None

    def initial(self) -> bytes | None:
        """The client's first message."""
        return f"{self._header}{self._first}".encode()

    def respond(self, challenge: bytes) -> bytes | Derivation | None:
        """The proof to the server's first message, or the work that it takes, and the empty answer to its last."""
        try:
            text = challenge.decode("utf-8")
        except UnicodeDecodeError:
            return self._no(_NOT_SCRAM)
        return self._prove(text) if self._signature is None else self._check(text)

    def _prove(self, text: str) -> bytes | Derivation | None:
        found = _SERVER_FIRST.match(text)
        if found is None:
            return self._no(_NOT_SCRAM)
        nonce, iterations = found["nonce"], int(found["iterations"])
        if not nonce.startswith(self._nonce) or not len(self._nonce) < len(nonce) <= MAX_NONCE_CHARACTERS:
            # RFC 5802 5.1: the client verifies that the first part is its own; the second makes the exchange unique.
            return self._no("its nonce does not belong to this exchange")
        if iterations < MIN_ITERATIONS:
            # RFC 7677 4. With few iterations whoever plays the server could guess the password from the proof.
            return self._no(f"it wants {iterations} iterations, fewer than the {MIN_ITERATIONS} that are safe")
        if iterations > MAX_ITERATIONS:
            return self._no(f"it wants {iterations} iterations, more than the {MAX_ITERATIONS} that are done here")
        try:
            salt = base64.b64decode(found["salt"], validate=True)
        except binascii.Error:
            return self._no(_NOT_SCRAM)
        if len(salt) > MAX_SALT_OCTETS:
            return self._no("its salt is too long")
        keys = self._login.keys.get((salt, iterations))
        if keys is not None:
            return self._proof(keys, text, nonce)

        def proceed(keys: Keys) -> bytes:
            # Those of another salt are forgotten.
            self._login.keys.clear()
            self._login.keys[salt, iterations] = keys
            return self._proof(keys, text, nonce)

        return Derivation(prepared(self._login.password).encode(), salt, iterations, proceed)

    def _proof(self, keys: Keys, text: str, nonce: str) -> bytes:
        """The client's final message, to the server's first one."""
        client_key, server_key = keys
        # cbind-input = gs2-header [ cbind-data ];  channel-binding = "c=" base64
        channel = base64.b64encode(self._header.encode() + self._bound).decode("ascii")
        without_proof = f"c={channel},r={nonce}"
        # AuthMessage := client-first-message-bare + "," + server-first-message + "," + client-final-message-without-proof
        message = f"{self._first},{text},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(left ^ right for left, right in zip(client_key, signature, strict=True))
        self._signature = hmac.digest(server_key, message, "sha256")
        return f"{without_proof},p={base64.b64encode(proof).decode('ascii')}".encode()

    def _check(self, text: str) -> bytes | None:
        found = _SERVER_FINAL.match(text)
        if found is None or self.satisfied:
            return self._no(_NOT_SCRAM)
        if found["error"]:
            return self._no(f"it says {found['error']}")
        try:
            verifier = base64.b64decode(found["verifier"], validate=True)
        except binascii.Error:
            return self._no(_NOT_SCRAM)
        if not hmac.compare_digest(verifier, self._signature or b""):
            return self._no("it could not prove that it knows the password: somebody may be standing in between")
        self.satisfied = True
        return b""

    def _no(self, why: str) -> bytes | None:
        self.remark = why
        self.satisfied = False
        return None


def prepared(text: str) -> str:
    """A name or password in the form in which it is compared; as it is, where SASLprep forbids a part of it."""
    try:
        return saslprep(text)
    except ValueError:
        return text


def saslname(text: str) -> str:
    """A name as it stands in SCRAM and GS2 messages: ``saslname = 1*(value-safe-char / "=2C" / "=3D")`` (RFC 5801 4)."""
    return text.replace("=", "=3D").replace(",", "=2C")
