"""What happens to an SMTP client: the events of its engine, and the words for where it stands."""

from __future__ import annotations

import enum

import attrs

from hermes.core.outcome import Outcome, Result
from hermes.core.reply import Reply
from hermes.protocols.sasl_login import Derivation
from hermes.protocols.smtp.capabilities import Capabilities

#: What is kept of a server's words: four lines of the length that RFC 5321 4.5.3.1.5 gives them. They stand in the trace for each
#: recipient and each attempt, and a server that always says much and never takes the mail would fill the disk with them.
MAX_WORDS_CHARACTERS = 2000


class Stage(enum.Enum):
    """What the client is waiting for; the value stands in sentences like "no answer to RCPT"."""

    GREETING = "the connection"
    HELLO = "EHLO"
    STARTTLS = "STARTTLS"
    LOGIN = "AUTH"
    IDLE = "nothing"
    RESET = "RSET"
    ETRN = "ETRN"
    MAIL = "MAIL"
    RECIPIENT = "RCPT"
    DATA = "DATA"
    CONTENT = "the reading of the message"
    FINAL = "the message"
    QUIT = "QUIT"


@attrs.frozen
class Peer:
    """
    Whom we speak to, for outcomes and their texts.

    ``host`` is the name, ``address`` like ``192.0.2.1:25``, ``tls`` like ``TLSv1.3 TLS_AES_256_GCM_SHA384`` or None;
    ``verified`` says how it was verified.
    """

    host: str
    address: str
    tls: str | None = None
    verified: str | None = None

    def outcome(self, result: Result, reason: str, status: str, reply: Reply | None = None) -> Outcome:
        """An outcome that names this peer."""
        if len(reason) > MAX_WORDS_CHARACTERS:
            reason = f"{reason[: MAX_WORDS_CHARACTERS - 3]}..."
        if reply is not None:
            reply = reply.cut(MAX_WORDS_CHARACTERS)
        return Outcome(result, reason, status, reply, self.host, self.address, self.tls, verified=self.verified)

    def deferred(self, reason: str, status: str, reply: Reply | None = None) -> Outcome:
        """To be tried again."""
        return self.outcome(Result.DEFERRED, reason, status, reply)

    def failed(self, reason: str, status: str, reply: Reply | None = None) -> Outcome:
        """It will not work."""
        return self.outcome(Result.FAILED, reason, status, reply)

    def refused(self, stage: Stage, reply: Reply) -> Outcome:
        """What a 4xx or 5xx means (RFC 5321 4.2.1)."""
        reason = f"{self.host} refused {stage.value}: {reply}"
        if reply.is_permanent:
            return self.failed(reason, reply.enhanced or "5.0.0", reply)
        return self.deferred(reason, reply.enhanced or "4.0.0", reply)


@attrs.define
class Ready:
    """EHLO or HELO was answered: the session can be used, or made safer first."""

    capabilities: Capabilities


@attrs.define
class TLSReady:
    """STARTTLS was accepted: start TLS now, then call ``engine.tls_started()``. What came behind the reply is forgotten."""


@attrs.define
class LoggedIn:
    """AUTH was accepted."""


@attrs.define
class Refused:
    """
    The server refused something outside a transaction; ``outcome`` is what that means for a message.

    The session still stands: it may go on after a refused STARTTLS or AUTH, and should otherwise be ended with QUIT.
    """

    stage: Stage
    outcome: Outcome


@attrs.define
class ContentWanted:
    """Send the message: ``engine.content(...)`` for each piece, then ``engine.end_content()``."""


@attrs.define
class TransactionDone:
    """
    The end of a transaction: one outcome for each recipient, in order.

    ``elsewhere`` says that the deferred ones were deferred by the state of this server, so that another server of the same
    domain may be tried at once (RFC 5321 5.1); ``again`` lists the recipients (by position) that the server only did not want
    in the same transaction (RFC 5321 4.5.3.1.10). With ``mail_refused`` it was the sender who was refused.
    """

    outcomes: list[Outcome]
    elsewhere: bool = False
    again: tuple[int, ...] = ()
    mail_refused: bool = False


@attrs.define
class Told:
    """ETRN was answered, in whatever way (RFC 1985 5.1)."""

    reply: Reply


@attrs.define
class Ended:
    """The session is over, outside a transaction; ``outcome`` is what that means for a message that was to be sent."""

    stage: Stage
    outcome: Outcome


#: A :class:`Derivation` wants work done, and then ``engine.derived(...)``.
Event = Ready | TLSReady | Derivation | LoggedIn | Refused | ContentWanted | TransactionDone | Told | Ended
