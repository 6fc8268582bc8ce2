"""
A message on its way into the spool.

In front of the client's octets go ``Return-Path:`` and ``Received:`` (RFC 5321 4.4) and, for a submission, what it lacks
(RFC 6409 8). Its header is held until it is whole, 64 KiB at most; everything else streams through.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.logger import Logger
from zope.interface import implementer

from hermes.core import received
from hermes.core.envelope import BodyType, Envelope
from hermes.core.header_facts import MAX_HEADER_OCTETS, HeaderFacts, header_end, look
from hermes.core.message import QueuedMessage
from hermes.core.outcome import PASS, Verdict
from hermes.core.reply import Reply
from hermes.core.transaction import Transaction
from hermes.interfaces import IIncomingMessage, IRelayManager, IRelayPolicy, ISpoolWriter, SpoolFullError
from hermes.services.room import judge_room

#: RFC 5321 4.2.3: 452, insufficient system storage.
SPOOL_FULL = Verdict(Reply.of(452, "4.3.1", "There is no room for mail here now: try again later"), "spool.full")

_LOOP = Reply.of(554, "5.4.6", "The message has been through too many servers: it goes round in a loop")


@attrs.frozen
class Writing:
    """What every incoming message needs: ``now`` gives seconds since the epoch."""

    hostname: str
    max_hops: int
    now: Callable[[], float]
    relay_manager: IRelayManager


@implementer(IIncomingMessage)
class SpooledMessage:
    """A message that goes into Hermes's own spool."""

    _log = Logger()

    def __init__(
        self,
        transaction: Transaction,
        envelope: Envelope,
        writer: ISpoolWriter,
        writing: Writing,
        policy: IRelayPolicy,
    ) -> None:
        self.queue_id: str = writer.queue_id
        self._transaction = transaction
        self._envelope = envelope
        self._writer = writer
        self._writing = writing
        self._policy = policy
        self._held: bytearray | None = bytearray()
        self._message_id = ""
        self._prefix_octets = 0
        self._added_wire_octets = 0
        self._refusal: Verdict | None = None

    @property
    def congested(self) -> bool:
        """True while more waits to be written than should."""
        congested: bool = self._writer.congested
        return congested and self._refusal is None

    def write(self, chunk: bytes) -> None:
        """Append octets of the message as the client sent it."""
        if self._refusal is not None:
            return
        if self._held is None:
            self._writer.write(chunk)
            return
        searched = len(self._held)
        if searched:
            self._held += chunk
        # Nearly always the whole header is in the first chunk, which then is not copied.
        held = self._held if searched else chunk
        end = header_end(held, searched)
        if end >= 0 or len(held) >= MAX_HEADER_OCTETS:
            self._begin(held, held[:end] if end >= 0 else held, whole=end >= 0)
        elif not searched:
            self._held += chunk

    def _begin(self, held: bytes | bytearray, header: bytes | bytearray, *, whole: bool) -> None:
        """Write our own lines and what has been held; unless ``whole``, there is more header than we look at."""
        facts = look(header)
        if facts.received > self._writing.max_hops:
            # RFC 5321 6.3. The client can be told only when it has sent everything.
            self._refuse(Verdict(_LOOP, "message.loop", f"{facts.received} Received lines"))
            return
        self._held = None
        self._message_id = facts.message_id
        newline = b"\r\n" if self._transaction.body is BodyType.BINARY else b"\n"
        prefix = _octets([received.return_path(self._transaction.reverse_path)], newline)
        added = _octets(self._added_lines(facts, whole), newline)
        self._prefix_octets = len(prefix)
        # On the wire an LF is a CRLF; the octets of a binary message are the same there and here.
        self._added_wire_octets = len(added) + (added.count(b"\n") if newline == b"\n" else 0)
        self._writer.write(prefix + added + held)

    def _added_lines(self, facts: HeaderFacts, whole: bool) -> list[str]:
        transaction, hostname, now = self._transaction, self._writing.hostname, self._writing.now()
        # RFC 5321 7.2: with several recipients, none of them may learn of the others.
        sole = transaction.recipients[0].address if len(transaction.recipients) == 1 else None
        lines = received.received(transaction.origin, hostname, self.queue_id, sole, now)
        if transaction.submission and whole:
            if not facts.has_date:
                lines.append(f"Date: {received.date(now)}")
            if not facts.has_message_id:
                self._message_id = received.message_id(self.queue_id, hostname)
                lines.append(f"Message-ID: {self._message_id}")
        if facts.begins_with_text:
            lines.append("")
        return lines

    def _refuse(self, refusal: Verdict) -> None:
        self._refusal = refusal
        self._held = None
        self._writer.abort()

    async def drained(self) -> None:
        """Return when writing has caught up; raise SpoolFullError when the disk is full."""
        await self._writer.drained()

    async def finish(self, wire_octets: int) -> list[Verdict]:
        """Make the message durable for those recipients who have room for it."""
        if self._held is not None:
            # No empty line has come: it is all header.
            self._begin(self._held, self._held, whole=True)
        verdicts = [PASS] * len(self._transaction.recipients)
        if self._refusal is None and self._transaction.limited:
            verdicts = await self._judge_room()
            if not any(verdict.accepted for verdict in verdicts):
                self._writer.abort()
                return verdicts
        if self._refusal is None:
            try:
                message = await self._commit(wire_octets)
            except SpoolFullError:
                self._refuse(SPOOL_FULL)
            else:
                self._hand_over(message)
        return verdicts if self._refusal is None else [self._refusal] * len(verdicts)

    async def _judge_room(self) -> list[Verdict]:
        """Judge the quotas by the size as it is; those who are refused are taken out of the envelope."""
        transaction, envelope = self._transaction, self._envelope
        judged = await judge_room(transaction, envelope, self._writer.size_octets, self._policy)
        verdicts = [judged.get(recipient.address, PASS) for recipient in transaction.recipients]
        if transaction.replies_for_each:
            # RFC 2033 4.2: the client keeps the message for those who were refused, so it must not be stored for them.
            kept = (one for one in envelope.recipients if judged.get(one.address, PASS).accepted)
            self._envelope = attrs.evolve(envelope, recipients=tuple(kept))
        elif any(verdict.accepted for verdict in verdicts):
            # RFC 5321 4.1.1.4: one reply for all. A refusal would have the client send to those who have room once more, or
            # keep the message from them for days; so it is taken, and for the others the delivery tries, waits and reports.
            return [PASS] * len(verdicts)
        return verdicts

    async def _commit(self, wire_octets: int) -> QueuedMessage:
        transaction, origin = self._transaction, self._transaction.origin
        return await self._writer.commit(
            self._envelope,
            origin,
            transaction.destinations,
            self._message_id,
            wire_octets + self._added_wire_octets,
            self._prefix_octets,
            {
                "peer": origin.peer,
                **({"via": transaction.via} if transaction.via else {}),
                "hello": origin.hello,
                "protocol": origin.protocol,
                "tls": origin.tls,
                "account": origin.account,
                "listener": transaction.listener,
                "size_octets": wire_octets,
                "recipients": len(self._envelope.recipients),
            },
        )

    def _hand_over(self, message: QueuedMessage) -> None:
        try:
            self._writing.relay_manager.accepted(message)
        except Exception:
            # It is on disk, so it is ours whatever happens now: the queue finds it when it looks the next time.
            self._log.failure("{queue_id} is in the spool, but the queue could not be told", queue_id=self.queue_id)

    def abort(self) -> None:
        """Forget the message."""
        self._writer.abort()


def _octets(lines: list[str], newline: bytes) -> bytes:
    # A lone surrogate cannot come from the wire; were there one, it must not keep the message out.
    return b"".join(line.encode("utf-8", "replace") + newline for line in lines)
