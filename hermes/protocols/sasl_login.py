"""What logging in at another server takes: who logs in, over which channel, and what one run of a mechanism does."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs

#: ClientKey and ServerKey (RFC 5802 3).
Keys = tuple[bytes, bytes]


@attrs.frozen
class Login:
    """
    A name, and what proves it: a password, or an OAuth access token where there is one. Neither is ever shown.

    ``mechanisms`` are those that may be used, in capital letters; empty: all. ``keys`` remembers what SCRAM has computed of the
    password for one salt, because that takes its time (RFC 5802 5.1 allows it).
    """

    username: str
    password: str = attrs.field(default="", repr=False)
    token: str = attrs.field(default="", repr=False)
    mechanisms: tuple[str, ...] = ()
    keys: dict[tuple[bytes, int], Keys] = attrs.field(factory=dict, repr=False, eq=False)


@attrs.frozen
class Derivation:
    """
    What SCRAM computes of a password before it can go on (RFC 5802 3).

    The server says how much work that is, so it is done beside the sessions and not in one of them. With the keys ``proceed``
    gives the answer to the server.
    """

    password: bytes = attrs.field(repr=False)
    salt: bytes
    iterations: int
    proceed: Callable[[Keys], bytes] = attrs.field(repr=False, eq=False)

    def keys(self) -> Keys:
        """Do the work, in the caller's thread."""
        salted = hashlib.pbkdf2_hmac("sha256", self.password, self.salt, self.iterations)
        return hmac.digest(salted, b"Client Key", "sha256"), hmac.digest(salted, b"Server Key", "sha256")


#: Who has it done.
Derive = Callable[[Derivation], Awaitable[Keys]]


@attrs.frozen
class Channel:
    """
    The connection over which a login goes.

    ``private`` says that nobody can listen: TLS, or a connection inside this machine. ``binding`` is the name of a channel
    binding and ``bound`` its octets, both empty where there is none. ``host`` and ``port`` are whom we wanted to speak to;
    ``nonce`` is printable ASCII without commas that nobody can foresee.
    """

    private: bool = False
    binding: str = ""
    bound: bytes = attrs.field(default=b"", repr=False)
    host: str = ""
    port: int = 0
    nonce: str = attrs.field(default="", repr=False)


class Exchange(Protocol):
    """One run of a mechanism."""

    @property
    def mechanism(self) -> str:
        """Its name, as in AUTH."""

    @property
    def satisfied(self) -> bool:
        """True when a success may be believed: the server has proved what the mechanism wants it to prove."""

    @property
    def remark(self) -> str:
        """What there is to say about a failure beyond the server's reply; mostly empty."""

    def initial(self) -> bytes | None:
        """What is sent with the command, or None when the server has to speak first."""

    def respond(self, challenge: bytes) -> bytes | Derivation | None:
        """The answer to a challenge, or what it takes; None when the mechanism knows none: then the exchange is called off."""
