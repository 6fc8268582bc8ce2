"""The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), for tests: written apart from the server's."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

from hermes.protocols.scram_keys import MIN_ITERATIONS, ScramKeys, derive

#: The salt of all keys here.
SALT = b"salt of 16 octet"


def quick_keys(password: str) -> ScramKeys:
    """Keys with as little work as is allowed."""
    return derive(password.encode("utf-8"), SALT, MIN_ITERATIONS)


class ScramClient:
    """
    One exchange.

    ``flag`` is the beginning of the GS2 header (``n``, ``y``, ``p=tls-exporter``), ``binding`` the channel binding's octets.
    """

    def __init__(
        self,
        name: str = "alice",
        password: str = "correct horse",
        *,
        nonce: str = "rOprNGfwEbeRWgbNEkqO",
        flag: str = "n",
        authorization: str = "",
        binding: bytes = b"",
    ) -> None:
        self._password = password.encode("utf-8")
        self._header = f"{flag},{f'a={authorization}' if authorization else ''},"
        self._bare = f"n={name},r={nonce}"
        self._binding = binding
        self._signature = b""

    def first(self) -> bytes:
        """The first message."""
        return (self._header + self._bare).encode("utf-8")

    def final(self, server_first: bytes) -> bytes:
        """The answer to the server's first message."""
        nonce, salt, iterations = (part[2:] for part in server_first.decode("ascii").split(","))
        channel = b64encode(self._header.encode("utf-8") + self._binding).decode("ascii")
        without_proof = f"c={channel},r={nonce}"
        message = f"{self._bare},{server_first.decode('ascii')},{without_proof}".encode()
        salted = hashlib.pbkdf2_hmac("sha256", self._password, b64decode(salt), int(iterations))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return f"{without_proof},p={b64encode(proof).decode('ascii')}".encode("ascii")

    def trusts(self, server_final: bytes) -> bool:
        """Whether the server has shown that it knows the keys too."""
        return server_final == b"v=" + b64encode(self._signature)


class MemoryKeys:
    """Keys of accounts; ``fault`` is raised instead. Others have those of a password that nobody knows."""

    def __init__(self, **passwords: str) -> None:
        self.keys = {name: quick_keys(password) for name, password in passwords.items()}
        self.nobody = quick_keys("\x00")
        self.fault: Exception | None = None
        self.asked: list[str] = []

    async def scram_keys(self, name: str) -> tuple[ScramKeys, str]:
        """The keys of that name, and the account's name."""
        self.asked.append(name)
        if self.fault is not None:
            raise self.fault
        known = name.lower() in self.keys
        return self.keys[name.lower()] if known else self.nobody, name.lower() if known else ""
