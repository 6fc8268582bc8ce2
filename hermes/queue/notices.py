"""
Who is told besides what RFC 3461 knows: confirmations of delivery, and transcripts, as Mercury has them.

Both go out only where the settings say so. A confirmation goes to the reverse-path and to nobody else; what RFC 3834 2 says
of automatic answers holds for it. A transcript goes where the sender, who has logged in, wanted to have it in its own domain.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from hermes.core import address as addresses
from hermes.core.answer import Asked, why_not
from hermes.core.attempts_text import attempts
from hermes.core.envelope import Envelope, Recipient
from hermes.core.event import Kind
from hermes.core.header import Header
from hermes.core.mailbox_list import addresses as addresses_in
from hermes.core.message import Finished, NewMessage, QueuedMessage, QueuedRecipient
from hermes.core.notice import Notice, compose
from hermes.core.outcome import Outcome, Result
from hermes.core.printable import one_line
from hermes.core.report import date_time
from hermes.core.report_text import header_of, subject_of
from hermes.core.report_wording import Text
from hermes.core.units import format_time
from hermes.interfaces import ISpool
from hermes.queue.judgement import Judgement
from hermes.queue.reporting import NEVER, Reporting, Told

if TYPE_CHECKING:
    from hermes.queue.reports import Reporter

#: Events of one message that are looked through: more than a hundred attempts for each of a dozen recipients.
MAX_EVENTS = 2000

# Destinations that are mailboxes of people.
_MAILBOXES = frozenset({"local", "mailbox"})


class Notices:
    """Writes confirmations and transcripts; ``reporter`` finds their ways, and says whether there may be more."""

    _log = Logger()

    def __init__(
        self,
        reporter: Reporter,
        spool: ISpool,
        now: Callable[[], float],
        *,
        hostname: str,
        postmaster: str,
        reporting: Reporting,
    ) -> None:
        self._reporter = reporter
        self._spool = spool
        self._now = now
        self._hostname = hostname
        self._postmaster = postmaster
        self._wording = reporting.wording
        self._confirms = reporting.settings.confirmations
        self._transcribes = reporting.settings.transcripts
        #: Whether there can be any.
        self.enabled = self._confirms or self._transcribes

    async def due(
        self,
        message: QueuedMessage,
        recipients: Sequence[QueuedRecipient],
        outcomes: Sequence[Outcome],
        judgement: Judgement,
    ) -> list[Told]:
        """What is to be sent after one attempt; a fault costs these letters, and nothing else."""
        written: list[Awaitable[Told | None]] = []
        if self._confirms:
            written.append(self._confirmation(message, recipients, outcomes, judgement))
        if self._transcribes and message.origin.account is not None:
            written.append(self._transcript(message, recipients, judgement))
        told = []
        for each in written:
            try:
                one = await each
            except CancelledError:
                raise
            except Exception:
                self._log.failure(
                    "What was asked for beside {queue_id} could not be written", queue_id=message.queue_id
                )
            else:
                told += [one] if one is not None else []
        return told

    async def _confirmation(
        self,
        message: QueuedMessage,
        recipients: Sequence[QueuedRecipient],
        outcomes: Sequence[Outcome],
        judgement: Judgement,
    ) -> Told | None:
        to = message.envelope.reverse_path
        # Who gives NOTIFY gets what that asks for, and nothing more (RFC 3461 5.2.3 b).
        delivered = [
            recipient
            for recipient, outcome in zip(recipients, outcomes, strict=True)
            if outcome.result is Result.DELIVERED
            and recipient.notify is None
            and recipient.destination.partition(":")[0] in _MAILBOXES
        ]
        if not to or not delivered:
            return None
        beginning = await self._reporter.beginning(message)
        asked_by = addresses_in(Header(header_of(beginning)).first("return-receipt-to") or "")
        # On a list the reverse-path is the list's, which has asked for nothing.
        if addresses.key(to) not in map(addresses.key, asked_by):
            return None
        names = list(dict.fromkeys(map(_named, delivered)))
        if why_not(Asked(to, names[0], beginning, self._hostname, "", self._now())):
            return None
        if not self._reporter.may_tell(message, to, "confirmed", len(delivered), judgement):
            return None
        listed = "\n".join(f"    {one_line(name, 320)}" for name in names)
        return await self._letter(Text.CONFIRMATION, message, to, beginning, {"r": listed}, "confirmed", len(delivered))

    async def _transcript(
        self, message: QueuedMessage, recipients: Sequence[QueuedRecipient], judgement: Judgement
    ) -> Told | None:
        done = {each.ordinal for each in judgement.settlements if isinstance(each, Finished)}
        finished = {recipient.address for recipient in recipients if recipient.ordinal in done}
        if not finished:
            return None
        events = [
            event
            for event in await self._spool.track(message.queue_id, MAX_EVENTS)
            if event.queue_id == message.queue_id
        ]
        wanted = (event.facts.get("transcript_to") for event in events if event.kind is Kind.RECEIVED)
        to = next((each for each in wanted if isinstance(each, str)), "")
        if not to:
            return None
        beginning = await self._reporter.beginning(message)
        now = self._now()
        values = {
            "r": attempts([*events, *judgement.events], finished, self._wording),
            "p1": subject_of(header_of(beginning), self._wording),
            "p2": one_line(Header(header_of(beginning)).first("date") or date_time(message.accepted_at), 100),
            "p3": date_time(now),
            "p4": message.queue_id,
            "p5": date_time(message.accepted_at),
            "p6": self._hostname,
        }
        return await self._letter(Text.TRANSCRIPT, message, to, beginning, values, "transcript", len(finished))

    async def _letter(
        self,
        kind: Text,
        message: QueuedMessage,
        to: str,
        beginning: bytes,
        values: dict[str, str],
        action: str,
        recipients: int,
    ) -> Told:
        now = self._now()
        notice_id = self._reporter.next_id(message.queue_id, now)
        subject = subject_of(header_of(beginning), self._wording)
        known = {
            "~": "~",
            "d": date_time(now),
            "t": one_line(to, 320),
            "n": self._hostname,
            "h": self._hostname,
            "s": subject,
            "p0": date_time(message.accepted_at),
            "p1": format_time(max(0, int(now - message.accepted_at)) // 60 * 60),
            "p2": subject,
            "p3": message.queue_id,
            "p4": one_line(message.envelope.reverse_path, 320) or self._wording.phrase("nobody"),
            "p6": one_line(self._postmaster or f"postmaster@{self._hostname}", 320),
            **values,
        }
        letter = compose(
            Notice(kind, to, known, message.message_id, notice_id, now, self._hostname, self._postmaster, self._wording)
        )
        envelope = Envelope("", (Recipient(to, notify=NEVER),), letter.body, letter.smtputf8)
        ways = {to: await self._reporter.destination(to)}
        return Told(NewMessage(envelope, letter.octets, ways, notice_id), action, recipients)


def _named(recipient: QueuedRecipient) -> str:
    """The address as the sender wrote it: who stands behind it is nobody's business (RFC 3461 5.2.7.4)."""
    return (recipient.original or "").partition(";")[2] or recipient.address
