"""What logging in at another server takes: who logs in, over which channel, and what one run of a mechanism does."""

from __future__ import annotations

from typing import Protocol

import attrs


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
    keys: dict[tuple[bytes, int], tuple[bytes, bytes]] = attrs.field(factory=dict, repr=False, eq=False)


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

    def respond(self, challenge: bytes) -> bytes | None:
        """The answer to a challenge, or None when the mechanism knows none: then the exchange is called off."""
