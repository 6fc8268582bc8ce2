"""
What an SMTP client said, as values.

The server engine yields these one at a time. Each is answered with exactly one call of ``engine.reply(...)`` (or
``engine.replies(...)`` after an LMTP message, or ``engine.challenge(...)`` for :class:`KeysWanted` and for a
:class:`TokenShown` that is not accepted), except :class:`MessageData`, which wants no answer. The engine changes its state by the
answer: a positive one to :class:`MailFrom` opens the transaction, and so on.
"""

from __future__ import annotations

import enum

import attrs

from hermes.core.envelope import BodyType, Recipient, TLSNeed
from hermes.core.reply import Reply
from hermes.protocols.sasl import Credentials as Credentials  # noqa: PLC0414 (these are exported from here too)
from hermes.protocols.sasl import Digest as Digest  # noqa: PLC0414
from hermes.protocols.sasl import KeysWanted as KeysWanted  # noqa: PLC0414
from hermes.protocols.sasl import Proof as Proof  # noqa: PLC0414
from hermes.protocols.sasl import TokenShown as TokenShown  # noqa: PLC0414


class Flavor(enum.Enum):
    """The three dialects one engine speaks."""

    SMTP = "SMTP"  #: RFC 5321: between servers, and from local programs
    SUBMISSION = "submission"  #: RFC 6409: from people, who must log in
    LMTP = "LMTP"  #: RFC 2033: a reply for each recipient after the data


@attrs.define
class Hello:
    """HELO, EHLO or LHLO. Answer with ``engine.accept_hello(text)``, or refuse with ``engine.reply``."""

    verb: str
    name: str


@attrs.define
class StartTLS:
    """STARTTLS was asked for and may be done. After a 220 has been written: start TLS, then ``engine.tls_started()``."""


@attrs.define
class XClient:
    """
    XCLIENT: a front end says who its client is. Accept with ``engine.accept_client``, or refuse with ``engine.reply``.

    None is what was not said, and an empty text what the front end does not know. ``address`` is an IP address, ``hello`` the
    client's name in HELO and ``protocol`` SMTP or ESMTP.
    """

    address: str | None = None
    hello: str | None = None
    protocol: str | None = None


@attrs.define
class Challenge:
    """A SASL exchange goes on (RFC 4954 4): answer with ``reply``, a 334. It is no error and needs no thought."""

    reply: Reply


@attrs.define
class MailFrom:
    """MAIL: ``size_octets`` is 0 when not declared (RFC 1870)."""

    reverse_path: str
    size_octets: int = 0
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    tls: TLSNeed = TLSNeed.USUAL


@attrs.define
class RecipientTo:
    """RCPT. An empty domain means ``<postmaster>`` (RFC 5321 4.1.1.3)."""

    recipient: Recipient


@attrs.define
class MessageStarted:
    """
    DATA (answer 354, or refuse) or the first BDAT (answer any 2xx, which is not sent, or refuse).

    A refused BDAT ends the transaction. RFC 3030 2 wants its octets read and thrown away before the refusal is sent: so
    ``engine.reply`` gives nothing to send, and a :class:`Refused` with that refusal follows behind the last octet.
    """

    chunking: bool


@attrs.define
class MessageData:
    """Octets of the message in stored form: dot-stuffing removed, CRLF made LF (unless BINARYMIME). Wants no answer."""

    data: bytes


@attrs.define
class ChunkEnded:
    """A BDAT chunk that is not the last has come whole (RFC 3030): answer 250. A refusal ends the transaction."""

    octets: int


@attrs.define
class MessageEnded:
    """The message is whole; ``wire_octets`` is its size by RFC 1870: with CRLF, without dot-stuffing."""

    wire_octets: int


@attrs.define
class MessageFailed:
    """
    The message has ended but cannot be accepted: too big, bare newlines... Answer with ``reply``, or worse.

    No more MessageData came after the fault was found. The transaction is over, as after :class:`MessageEnded`.
    """

    rule: str
    reply: Reply


@attrs.define
class Reset:
    """RSET: forget the transaction (RFC 5321 4.1.1.5)."""


@attrs.define
class Noop:
    """NOOP."""


@attrs.define
class Verify:
    """VRFY (RFC 5321 3.5)."""

    text: str


@attrs.define
class Expand:
    """EXPN (RFC 5321 3.5)."""

    text: str


@attrs.define
class TurnAround:
    """ETRN (RFC 1985): the client asks for the mail that waits for a node."""

    node: str


@attrs.define
class Help:
    """HELP; ``commands`` are those that this client may say in this session, as things stand now."""

    topic: str
    commands: tuple[str, ...] = ()


@attrs.define
class Quit:
    """QUIT: answer 221 and close."""


@attrs.define
class Refused:
    """
    The engine refuses a command by itself: unknown, malformed, out of sequence, over a limit. Answer with ``reply``, or with
    421 when there have been too many.
    """

    rule: str
    reply: Reply


Event = (
    Hello
    | StartTLS
    | Challenge
    | KeysWanted
    | TokenShown
    | Credentials
    | Digest
    | Proof
    | MailFrom
    | RecipientTo
    | MessageStarted
    | MessageData
    | ChunkEnded
    | MessageEnded
    | MessageFailed
    | Reset
    | Noop
    | Verify
    | Expand
    | TurnAround
    | Help
    | Quit
    | XClient
    | Refused
)
