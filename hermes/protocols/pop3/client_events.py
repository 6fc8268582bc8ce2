"""What the POP3 client's engine tells its owner, one event after the other in the order of the commands."""

from __future__ import annotations

import enum

import attrs

from hermes.protocols.sasl_login import Derivation


class Verb(enum.Enum):
    """What can be asked."""

    CAPA = "CAPA"
    STLS = "STLS"
    USER = "USER"
    PASS = "PASS"  # noqa: S105
    APOP = "APOP"
    AUTH = "AUTH"
    LIST = "LIST"
    UIDL = "UIDL"
    TOP = "TOP"
    RETR = "RETR"
    DELE = "DELE"
    NOOP = "NOOP"
    QUIT = "QUIT"


@attrs.frozen
class Greeting:
    """The server has spoken first. ``timestamp`` is what APOP needs, or empty; ``refusal`` are its words if it refuses us."""

    timestamp: str = ""
    refusal: str = ""


@attrs.frozen
class Answer:
    """
    A command is done: ``text`` are the server's words, ``code`` a response code like ``AUTH`` or ``SYS/TEMP`` (RFC 2449 8,
    RFC 3206), or empty.
    """

    verb: Verb
    ok: bool
    text: str = ""
    code: str = ""


@attrs.frozen
class Listing:
    """LIST or UIDL: what it says of each message, by number; ``more`` counts those that were too many to be kept."""

    verb: Verb
    entries: dict[int, str] = attrs.field(repr=False)
    more: int = 0


@attrs.frozen
class Piece:
    """Octets of the message that RETR or TOP has asked for, in the stored form (:class:`hermes.core.message.Content`)."""

    octets: bytes = attrs.field(repr=False)


@attrs.frozen
class MessageEnd:
    """The message is whole; ``wire_octets`` is its size with CR LF."""

    verb: Verb
    wire_octets: int


@attrs.frozen
class Ended:
    """Nothing more comes; ``reason`` says why, unless QUIT was answered: then it is empty."""

    reason: str


#: A :class:`Derivation` wants work done, and then ``engine.derived(...)``.
Event = Greeting | Derivation | Answer | Listing | Piece | MessageEnd | Ended
