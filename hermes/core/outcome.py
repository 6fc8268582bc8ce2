"""What became of one recipient at one attempt, and what a policy said: values, never exceptions."""

from __future__ import annotations

import enum

import attrs

from hermes.core.reply import Reply


class Result(enum.Enum):
    """The four ends of an attempt (RFC 3464 2.3.3 names them for the sender's report)."""

    DELIVERED = "delivered"  #: in a mailbox of ours
    RELAYED = "relayed"  #: another server has taken responsibility
    DEFERRED = "deferred"  #: to be tried again
    FAILED = "failed"  #: it will not work
    DISCARDED = "discarded"  #: a rule of ours lets nobody have it
    HELD = "held"  #: a rule of ours keeps it in the queue
    PAUSED = "paused"  #: it waits until its way is resumed


@attrs.frozen
class Outcome:
    """
    What an agent reports for one recipient.

    ``reason`` is for people and complete without the rest; ``reply`` holds the other server's words where there were any;
    ``status`` is the enhanced status code for the report; ``host`` and ``address`` say who was spoken to (name, and
    ``address:port``); ``tls`` says under which protocol and cipher; ``dsn_passed`` that the other server accepted the DSN
    parameters and so owes the sender a report of success (RFC 3461 5.2.2). ``smarthost`` names the smart host that was used;
    ``wait_seconds`` says when a deferred recipient may be tried again, where that is known: it was no attempt then. ``signed``
    names the DKIM signatures that went with the message. ``verified`` says how the server was verified (dane, sts, pkix, pin,
    none); ``octets`` and ``seconds`` what was sent and how long it took; ``remote_id`` is the other server's name for it.
    """

    result: Result
    reason: str
    status: str
    reply: Reply | None = None
    host: str | None = None
    address: str | None = None
    tls: str | None = None
    dsn_passed: bool = False
    smarthost: str | None = None
    wait_seconds: float | None = None
    signed: str | None = None
    verified: str | None = None
    octets: int | None = None
    seconds: float | None = None
    remote_id: str | None = None

    @classmethod
    def deferred(cls, reason: str, status: str = "4.0.0", **more: str | Reply | None) -> Outcome:
        """To be tried again."""
        return cls(Result.DEFERRED, reason, status, **more)  # type: ignore[arg-type]

    @classmethod
    def failed(cls, reason: str, status: str = "5.0.0", **more: str | Reply | None) -> Outcome:
        """It will not work."""
        return cls(Result.FAILED, reason, status, **more)  # type: ignore[arg-type]


#: What a fault of ours is to the outside: temporary, and nothing about our inside (RFC 3463 3.4: 4.3.0).
FAULT = Outcome.deferred("this server had a fault while it tried to deliver the message", "4.3.0")

#: For whoever had not had his turn when the server was stopped, while others of the message had: no attempt, and due again when
#: the server is back (RFC 3463 3.4: 4.3.2).
STOPPED = attrs.evolve(
    Outcome.deferred("this server was stopped before it was this recipient's turn", "4.3.2"), wait_seconds=60.0
)


class Then(enum.Enum):
    """What becomes of the session after a refusal."""

    GO_ON = "go on"  #: the client may try something else
    ONLY_QUIT = "only quit"  #: everything else is refused in the same words
    CLOSE = "close"  #: the refusal is the last word
    VANISH = "vanish"  #: the connection ends without a word


@attrs.frozen
class Verdict:
    """
    What a policy decided at one stage.

    ``reply`` is None when the stage is passed, else the refusal; ``rule`` names what decided (``relay.denied``); ``reason``
    is for the log and the trace and never goes over the wire. ``then`` says what becomes of the session, and ``delay_seconds``
    how long the client waits for the refusal. ``place`` is the file and line of the rule, where that is not ``config.ini``.
    """

    reply: Reply | None
    rule: str
    reason: str = ""
    then: Then = Then.GO_ON
    delay_seconds: float = 0.0
    place: str = ""

    @property
    def accepted(self) -> bool:
        """True when the stage is passed."""
        return self.reply is None


#: Passed, and no rule had to say so.
PASS = Verdict(None, "default")

#: Passed by a mailbox that has a quota, for the size that was told: what is larger in the end is to be judged again.
FITS = Verdict(None, "mailbox.quota")
