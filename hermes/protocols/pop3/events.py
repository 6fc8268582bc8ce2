"""
What a POP3 client said, as values, and the one-line response that each is answered with.

The server engine yields these one at a time. Each is answered with exactly one call of ``engine.reply(...)``; a multi-line
answer follows the first line that this returns. :class:`Answered` wants no answer: the engine has given it. Nor does a piece of
a message that the client sends. Message numbers
are those of the wire and count from 1 (RFC 1939 4); whether there is such a message is the session's to say.

Those of logging in come from elsewhere: :class:`Credentials` (a name and a password, by USER and PASS or by AUTH; its mechanism
is ``USER`` for USER and PASS), :class:`Digest` (of APOP too), :class:`Proof` and :class:`TokenShown` begin the TRANSACTION state
when the reply is positive; :class:`KeysWanted` is answered with ``engine.challenge(...)``, or with a refusal, and a token that
is not accepted with ``engine.challenge(...)``.
"""

from __future__ import annotations

import attrs

from hermes.protocols.sasl import Credentials, Digest, KeysWanted, Proof, TokenShown
from hermes.protocols.smtp.events import MessageData, MessageEnded, MessageFailed

#: RFC 2449 4: the first line of a response, with its CRLF.
MAX_RESPONSE_OCTETS = 512

#: RFC 1939 3: ends a multi-line response.
TERMINATION = b".\r\n"


@attrs.frozen
class Response:
    """
    One response line.

    ``code`` is an extended response code (RFC 2449 8, RFC 3206, RFC 6856 5) without its brackets, or empty; ``text`` is for
    people, except after STAT, LIST n and UIDL n, and never begins with a bracket (RFC 2449 6.4).
    """

    positive: bool
    text: str = ""
    code: str = ""

    def encode(self) -> bytes:
        """The response as it goes over the wire, never longer than RFC 2449 4 allows."""
        line = "+OK" if self.positive else "-ERR"
        if self.code:
            line = f"{line} [{self.code}]"
        if self.text:
            line = f"{line} {self.text}"
        return line.encode("ascii", "replace")[: MAX_RESPONSE_OCTETS - 2] + b"\r\n"


def accepted(text: str = "") -> Response:
    """A positive response."""
    return Response(True, text)


def refused(text: str, code: str = "") -> Response:
    """A negative response."""
    return Response(False, text, code)


@attrs.define
class StartTLS:
    """STLS was asked for and may be done (RFC 2595 4). After a positive reply: start TLS, then ``engine.tls_started()``."""


@attrs.define
class Statistics:
    """STAT: reply with the number of messages and the sum of their sizes."""


@attrs.define
class ScanListing:
    """LIST: of one message in the reply itself, or of all in the lines after it."""

    number: int | None


@attrs.define
class UniqueIds:
    """UIDL: of one message in the reply itself, or of all in the lines after it."""

    number: int | None


@attrs.define
class Retrieve:
    """RETR: the message follows the reply."""

    number: int


@attrs.define
class Top:
    """TOP: the header, the blank line and so many lines of the body follow the reply."""

    number: int
    lines: int


@attrs.define
class Delete:
    """DELE: mark the message."""

    number: int


@attrs.define
class Reset:
    """RSET: take all marks back."""


@attrs.define
class Transmit:
    """
    XTND XMIT: the client has a message to send.

    After a positive reply it comes as in SMTP's DATA: as MessageData, which want no answer, and then MessageEnded or
    MessageFailed, which do.
    """


@attrs.define
class Quit:
    """
    QUIT: reply and close.

    ``update`` says that the session was in the TRANSACTION state: the marked messages go before the reply (RFC 1939 6).
    """

    update: bool


@attrs.define
class Answered:
    """The engine has answered by itself: send ``octets``."""

    octets: bytes


@attrs.define
class Refused:
    """
    The engine refuses a command by itself: unknown, malformed, out of sequence, too long. Reply with ``response``, or end the
    session when there have been too many.
    """

    rule: str
    response: Response


Event = (
    Credentials
    | Digest
    | KeysWanted
    | Proof
    | TokenShown
    | StartTLS
    | Statistics
    | ScanListing
    | UniqueIds
    | Retrieve
    | Top
    | Delete
    | Reset
    | Transmit
    | MessageData
    | MessageEnded
    | MessageFailed
    | Quit
    | Answered
    | Refused
)
