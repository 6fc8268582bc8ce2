"""
The mail side of an SMTP session: its transaction, and the message that is coming in. Nothing here touches the wire.

Every method answers with verdicts. A fault of ours while a message comes in is kept until the client has sent all of it, for
only then can it be told (RFC 5321 4.1.1.4).
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from hermes.core.envelope import Recipient
from hermes.core.outcome import PASS, Verdict
from hermes.core.reply import Reply
from hermes.core.transaction import Transaction
from hermes.interfaces import IIncomingMessage, IReception, SpoolFullError
from hermes.net.shielded import shielded
from hermes.services.incoming import SPOOL_FULL

#: Whatever goes wrong on our side is temporary: the client keeps the message and comes again.
FAULT = Verdict(Reply.of(451, "4.3.0", "Something went wrong here: try again later"), "fault")

# The engine lets no RCPT or DATA through without a transaction, so this says that we have lost ours.
_NO_TRANSACTION = Verdict(
    Reply.of(451, "4.3.0", "The transaction was lost: begin again with MAIL"), "fault.transaction"
)


class Intake:
    """
    One session's transaction after the other.

    ``receiving`` is true from the beginning of a message to its end, and ``queue_id`` then its id.
    """

    _log = Logger()

    def __init__(self) -> None:
        self.transaction: Transaction | None = None
        self.receiving = False
        self.queue_id = ""
        self._reception: IReception | None = None
        self._message: IIncomingMessage | None = None
        self._trouble: Verdict | None = None

    @property
    def addresses(self) -> list[str]:
        """The recipients accepted so far."""
        return [recipient.address for recipient in self.transaction.recipients] if self.transaction is not None else []

    @property
    def congested(self) -> bool:
        """True when :meth:`drained` should be awaited before more is read."""
        return self._message is not None and self._message.congested

    async def sender(self, reception: IReception, transaction: Transaction, command: str = "") -> Verdict:
        """MAIL: open a transaction if the reverse-path is acceptable."""
        self.drop()
        verdict = await reception.sender(transaction, command)
        if verdict.accepted:
            self._reception = reception
            self.transaction = transaction
        return verdict

    async def recipient(self, recipient: Recipient, command: str = "") -> Verdict:
        """RCPT: add a recipient if it is acceptable."""
        reception, transaction = self._reception, self.transaction
        if reception is None or transaction is None:
            return _NO_TRANSACTION
        verdict, destination = await reception.recipient(transaction, recipient, command)
        if verdict.accepted:
            transaction.recipients.append(recipient)
            transaction.destinations[recipient.address] = destination
        return verdict

    async def begin(self) -> Verdict:
        """DATA or the first BDAT: begin a message."""
        if self._reception is None or self.transaction is None:
            return _NO_TRANSACTION
        try:
            begun = await self._reception.begin(self.transaction)
        except SpoolFullError:
            return SPOOL_FULL
        if isinstance(begun, Verdict):
            return begun
        self._message = begun
        self.queue_id = begun.queue_id
        self.receiving = True
        return PASS

    def data(self, octets: bytes) -> None:
        """Take octets of the message."""
        if self._message is not None:
            try:
                self._message.write(octets)
            except Exception:
                self._give_up(self._fault())

    async def drained(self) -> None:
        """Wait until what was taken has been written."""
        if self._message is not None:
            try:
                await self._message.drained()
            except CancelledError:
                raise
            except SpoolFullError:
                self._give_up(SPOOL_FULL)
            except Exception:
                self._give_up(self._fault())

    def so_far(self) -> Verdict:
        """A BDAT chunk has come whole: how it stands with the message."""
        return self._trouble or PASS

    async def end(self, wire_octets: int) -> list[Verdict]:
        """The message is whole: keep it; a verdict for each recipient, in order. :meth:`drop` follows."""
        transaction, message, trouble = self.transaction, self._message, self._trouble
        # From here on the message is no longer the session's: losing the connection must not take it back.
        self._message = None
        self.receiving = False
        if transaction is None:
            return [_NO_TRANSACTION]
        if message is None or trouble is not None:
            return [trouble or FAULT] * len(transaction.recipients)
        try:
            # A client that goes away now may or may not have its message accepted (RFC 1047); half a commit there must not be.
            return await shielded(_finished(message, wire_octets), f"taking message {message.queue_id}")
        except CancelledError:
            raise
        except Exception:
            return [self._fault()] * len(transaction.recipients)

    def drop(self) -> None:
        """Forget transaction and message: RSET, EHLO, a message that failed, or the end of the session."""
        message, self._message = self._message, None
        self.transaction = self._reception = self._trouble = None
        self.receiving = False
        self.queue_id = ""
        if message is not None:
            message.abort()

    def _give_up(self, verdict: Verdict) -> None:
        """Keep nothing of the message, and remember what to say at its end."""
        message, self._message = self._message, None
        self._trouble = verdict
        if message is not None:
            message.abort()

    def _fault(self) -> Verdict:
        self._log.failure("A message could not be taken; queue id {queue_id}", queue_id=self.queue_id)
        return FAULT


async def _finished(message: IIncomingMessage, wire_octets: int) -> list[Verdict]:
    try:
        return await message.finish(wire_octets)
    except Exception:
        message.abort()
        raise
