"""
One mail transaction from the client's side: which commands it takes, and what the replies mean for each recipient.

RFC 5321 3.3 and 4.3.2; RFC 1870, 6152, 6531, 3461 and 3030 for the parameters.
"""

from __future__ import annotations

import attrs

from hermes.core.envelope import Envelope, Recipient, TLSNeed
from hermes.core.outcome import Outcome, Result
from hermes.core.reply import Reply
from hermes.protocols.smtp import client_commands
from hermes.protocols.smtp.capabilities import Capabilities
from hermes.protocols.smtp.client_events import Peer, Stage, TransactionDone

#: Enhanced codes under which 452 means "not so many at once" rather than "the mailbox is full" (RFC 3463 3.6, 3.4).
_TOO_MANY = frozenset({None, "4.5.3", "5.5.3"})


@attrs.frozen
class Parcel:
    """
    What one transaction is to carry.

    ``recipients`` are those of this transaction (``envelope.recipients`` is not looked at); ``octets`` is the size as RFC 1870
    counts it. With ``binary`` the octets go as they are, and exactly ``octets`` of them will be given. A ``question`` ends
    before the message: it only asks whether the recipients would be accepted.
    """

    envelope: Envelope
    recipients: tuple[Recipient, ...]
    octets: int
    binary: bool = False
    question: bool = False


class Transaction:
    """
    The state of one transaction.

    Until all is said ``outcomes`` holds None for recipients of whom nothing final is known.
    """

    def __init__(self, parcel: Parcel, capabilities: Capabilities, peer: Peer) -> None:
        self._peer = peer
        self._capabilities = capabilities
        self._parcel = parcel
        self._outcomes: list[Outcome | None] = [None] * len(parcel.recipients)
        #: How many RCPT have had their reply.
        self.answered = 0
        self._asked: list[int] = []
        self._not_so_many: list[int] = []
        self._mail_deferred = False
        self._mail_refused = False
        self.binary = parcel.binary
        self.octets = parcel.octets
        self.question = parcel.question
        self.mail_command = b""
        self.rcpt_commands: list[bytes] = []
        self._prepare()

    def _prepare(self) -> None:
        """Write the commands; what can be known to fail fails here, before anything is sent."""
        envelope = self._parcel.envelope
        addresses = [recipient.address for recipient in self._parcel.recipients]
        international = envelope.smtputf8 or not all(map(str.isascii, [envelope.reverse_path, *addresses]))
        refusal = self._incapable(international)
        if refusal is not None:
            self._fail_rest(refusal)
            return
        try:
            self.mail_command = client_commands.mail(
                envelope,
                self._capabilities,
                size_octets=self.octets,
                binary=self.binary,
                smtputf8=international,
                require_tls=self._requires_tls,
            )
        except client_commands.UnsafeError as error:
            self._fail_rest(self._peer.failed(f"the sender's address cannot be used: {error}", "5.1.7"))
            return
        self._write_recipients()

    @property
    def _requires_tls(self) -> bool:
        """Whether MAIL has REQUIRETLS: what the server offers in the clear does not count (RFC 8689 2)."""
        offered = self._capabilities.require_tls and self._peer.tls is not None
        return offered and self._parcel.envelope.tls is TLSNeed.REQUIRED

    def _incapable(self, international: bool) -> Outcome | None:
        """What the server has said that it cannot do, and this message needs."""
        capabilities, peer = self._capabilities, self._peer
        if international and not capabilities.smtputf8:
            # RFC 6531 3.2 forbids sending it; 3.5 names the code.
            return peer.failed(
                f"{peer.host} does not support internationalized addresses (SMTPUTF8), which this message needs",
                "5.6.7",
            )
        envelope = self._parcel.envelope
        if envelope.tls is TLSNeed.REQUIRED and envelope.reverse_path:
            # RFC 8689 4.2.1; 5: a report goes all the same.
            if peer.tls is None or peer.verified == "none":
                reason = f"the message requires TLS with a server that is known for certain, which {peer.host} is not"
                return peer.failed(reason, "5.7.10")
            if not capabilities.require_tls:
                return peer.failed(f"{peer.host} does not promise to send on over TLS only (REQUIRETLS)", "5.7.30")
        if self.binary and not capabilities.binary:
            # RFC 3030 3: not without conversion, which would break what was signed.
            return peer.failed(f"{peer.host} does not take binary messages (BINARYMIME)", "5.6.3")
        if capabilities.size_octets and self.octets > capabilities.size_octets:
            # RFC 1870 6.1 and 6.3: a server's fixed limit is a permanent refusal, so asking is a waste.
            limit = capabilities.size_octets
            return peer.failed(
                f"{peer.host} takes messages of up to {limit} octets, and this one has {self.octets}", "5.3.4"
            )
        return None

    def _write_recipients(self) -> None:
        """One bad address fails alone: it is taken out of those that are asked for."""
        for position, recipient in enumerate(self._parcel.recipients):
            try:
                self.rcpt_commands.append(client_commands.rcpt(recipient, self._capabilities))
            except client_commands.UnsafeError as error:
                self._outcomes[position] = self._peer.failed(f"the address cannot be used: {error}", "5.1.3")
            else:
                self._asked.append(position)

    def _fail_rest(self, outcome: Outcome) -> None:
        self._outcomes = [known or outcome for known in self._outcomes]

    @property
    def decided(self) -> bool:
        """True when every recipient has its outcome; false as long as the server has accepted one."""
        return None not in self._outcomes

    @property
    def undecided(self) -> int:
        """How many recipients have no outcome yet."""
        return self._outcomes.count(None)

    @property
    def all_answered(self) -> bool:
        """True when every RCPT has had its reply."""
        return self.answered == len(self.rcpt_commands)

    def mail_reply(self, reply: Reply) -> None:
        """Take the answer to MAIL: a refusal is one for every recipient."""
        if not reply.is_positive:
            self._mail_deferred = reply.is_temporary
            self._mail_refused = True
            self._fail_rest(self._peer.refused(Stage.MAIL, reply))

    def recipient_reply(self, reply: Reply) -> None:
        """Take the answer to the next RCPT."""
        position = self._asked[self.answered]
        self.answered += 1
        if self._outcomes[position] is not None:
            return  # MAIL was refused already: this is only what follows from it (RFC 2920 3.1)
        if reply.is_positive:
            return  # the answer to the message will decide
        if reply.code in (452, 552) and reply.enhanced in _TOO_MANY:
            self._not_so_many.append(position)
        if reply.code == 552:
            # RFC 5321 4.5.3.1.10: 552 here is how old servers say 452.
            status = "4" + reply.enhanced[1:] if reply.enhanced else "4.5.3"
            reason = f"{self._peer.host} refused RCPT, for now: {reply}"
            self._outcomes[position] = self._peer.deferred(reason, status, reply)
        else:
            self._outcomes[position] = self._peer.refused(Stage.RECIPIENT, reply)

    def data_refused(self, reply: Reply) -> None:
        """Take a refusal of DATA; it concerns the recipients that had been accepted."""
        self._fail_rest(self._peer.refused(Stage.DATA, reply))

    def final_reply(self, reply: Reply) -> None:
        """Take the answer to the message: it holds for all recipients that had been accepted (RFC 5321 4.2.5)."""
        self._fail_rest(self._last_word(reply))

    def next_final_reply(self, reply: Reply) -> None:
        """Take the answer to the message for the next of them: by LMTP each has his own, in their order (RFC 2033 4.2)."""
        self._outcomes[self._outcomes.index(None)] = self._last_word(reply)

    def _last_word(self, reply: Reply) -> Outcome:
        peer = self._peer
        if not reply.is_positive:
            return peer.refused(Stage.FINAL, reply)
        # RFC 3461 5.2.1: a server that offers DSN has taken over the duty to report.
        reason = f"{peer.host} accepted it: {reply}"
        relayed = peer.outcome(Result.RELAYED, reason, reply.enhanced or "2.0.0", reply)
        return attrs.evolve(relayed, dsn_passed=self._capabilities.dsn)

    def interrupted(self, outcome: Outcome) -> None:
        """The session has ended: ``outcome`` is for everybody of whom nothing final was said."""
        self._fail_rest(outcome)

    def done(self, *, elsewhere: bool = False) -> TransactionDone:
        """The end: every recipient is decided."""
        outcomes = [outcome for outcome in self._outcomes if outcome is not None]
        relayed = any(outcome.result is Result.RELAYED for outcome in outcomes)
        return TransactionDone(
            outcomes,
            elsewhere or self._mail_deferred,
            # Only after a success: so every further transaction carries at least one recipient less.
            tuple(self._not_so_many) if relayed else (),
            self._mail_refused,
        )
