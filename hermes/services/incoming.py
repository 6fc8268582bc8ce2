"""
A message on its way into the spool.

In front of the client's octets go ``Return-Path:`` and ``Received:`` (RFC 5321 4.4) and, for a submission, what it lacks
(RFC 6409 8). Its header is held until it is whole, 64 KiB at most; everything else streams through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutine

import attrs
from twisted.logger import Logger
from zope.interface import implementer

from hermes.core import received
from hermes.core.envelope import BodyType, Envelope, Recipient, TLSNeed
from hermes.core.header import Header
from hermes.core.header_facts import MAX_HEADER_OCTETS, HeaderFacts, header_end, look
from hermes.core.message import Content, QueuedMessage
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.printable import one_line
from hermes.core.reply import Reply
from hermes.core.transaction import Transaction
from hermes.core.transcript_request import receiver, taken_out
from hermes.interfaces import (
    IIncomingMessage,
    IPolicy,
    IRelayManager,
    IRelayPolicy,
    ISpoolWriter,
    SpoolFullError,
)
from hermes.services.room import judge_room
from hermes.services.session_checks import judged

#: RFC 5321 4.2.3: 452, insufficient system storage.
SPOOL_FULL = Verdict(Reply.of(452, "4.3.1", "There is no room for mail here now: try again later"), "spool.full")

_NO_TARGET = Reply.of(451, "4.3.5", "The message cannot be taken as things are set up here: try again later")

_LOOP = Reply.of(554, "5.4.6", "The message has been through too many servers: it goes round in a loop")


_NO_FACTS = HeaderFacts(0, has_date=True, has_message_id=True, message_id="", begins_with_text=False)


#: A line that a check puts in front of a message. RFC 5322 2.1.1 allows 998 octets; what checks say is much shorter.
MAX_TAG_CHARACTERS = 240


@attrs.frozen
class Writing:
    """
    What every incoming message needs: ``now`` gives seconds since the epoch.

    With ``transcripts`` those who have logged in may ask for one, and the field by which they do is taken out.
    """

    hostname: str
    max_hops: int
    now: Callable[[], float]
    relay_manager: IRelayManager
    transcripts: bool = False


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
        checks: IPolicy,
    ) -> None:
        self.queue_id: str = writer.queue_id
        self._transaction = transaction
        self._envelope = envelope
        self._writer = writer
        self._writing = writing
        self._policy = policy
        self._checks = checks
        # What has come while it is not known whether it is written: the header, or what follows it while a check waits.
        self._held: bytearray | None = bytearray()
        self._judging: Awaitable[Verdict] | None = None
        self._header: Header | None = None
        self._facts = _NO_FACTS
        self._whole_header = True
        self._message_id = ""
        self._prefix_octets = 0
        self._added_octets = 0
        self._added_wire_octets = 0
        self._transcript_to = ""
        self._refusal: Verdict | None = None

    @property
    def congested(self) -> bool:
        """True while more waits to be written than should, or a check has to say whether anything is written."""
        if self._judging is not None:
            return True
        congested: bool = self._writer.congested
        return congested and self._refusal is None

    def write(self, chunk: bytes) -> None:
        """Append octets of the message as the client sent it."""
        if self._refusal is not None:
            return
        if self._held is None:
            self._writer.write(chunk)
            return
        if self._judging is not None:
            self._held += chunk
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
        """Judge the header, and go on when nobody has to wait; unless ``whole``, there is more of it than we look at."""
        facts = look(header)
        if facts.received > self._writing.max_hops:
            # RFC 5321 6.3. The client can be told only when it has sent everything.
            self._refuse(Verdict(_LOOP, "message.loop", f"{facts.received} Received lines"))
            return
        self._facts, self._whole_header = facts, whole
        if facts.tls_optional and self._envelope.tls is TLSNeed.USUAL:
            # RFC 8689 4.1: the parameter of MAIL decides where there are both.
            self._envelope = attrs.evolve(self._envelope, tls=TLSNeed.OPTIONAL)
        checks = self._checks
        if checks.wanted(Stage.HEADER) or checks.wanted(Stage.MESSAGE):
            # Bytes, because what holds the header now is written to further.
            self._header = Header(bytes(header), whole=whole)
        if checks.wanted(Stage.HEADER):
            case = Case(Stage.HEADER, self._transaction.visit, "", self._transaction, header=self._header)
            verdict = checks.judge(case)
            if not isinstance(verdict, Verdict):
                self._held = bytearray(held)
                self._judging = verdict
                return
            if verdict.reply is not None:
                self._refuse(verdict)
                return
        self._write_head(held)

    async def _header_judged(self) -> None:
        """Wait for the check that had to wait; then write what has come."""
        if self._judging is not None:
            judging, self._judging = self._judging, None
            try:
                verdict = await judging
            except BaseException:
                self._held = None
                raise
            if verdict.reply is not None:
                self._refuse(verdict)
            elif self._held is not None:
                self._write_head(self._held)

    def _write_head(self, held: bytes | bytearray) -> None:
        """Write our own lines and what has been held."""
        facts, newline = self._facts, self._newline
        self._held = None
        self._message_id = facts.message_id
        prefix = _octets([received.return_path(self._transaction.reverse_path)], newline)
        lines = [one_line(line, MAX_TAG_CHARACTERS) for line in self._transaction.measures.headers]
        added = _octets([*lines, *self._added_lines(facts, self._whole_header)], newline)
        self._prefix_octets = len(prefix)
        self._added_octets = len(added)
        # On the wire an LF is a CRLF; the octets of a binary message are the same there and here.
        self._added_wire_octets = len(added) + (added.count(b"\n") if newline == b"\n" else 0)
        if self._writing.transcripts and self._transaction.origin.account is not None:
            held = self._without_request(held)
        self._writer.write(prefix + added + held)

    def _without_request(self, held: bytes | bytearray) -> bytes:
        """What has been held without X-Transcript-To, and to whom the transcript then goes."""
        end = header_end(held)
        header = bytes(held if end < 0 else held[:end])
        rest, text = taken_out(header)
        if rest == header:
            return header if end < 0 else bytes(held)
        self._transcript_to = receiver(text, self._transaction.reverse_path)
        lines = header.count(b"\n") - rest.count(b"\n")
        self._added_wire_octets -= len(header) - len(rest) + (lines if self._newline == b"\n" else 0)
        return rest + (b"" if end < 0 else bytes(held[end:]))

    @property
    def _newline(self) -> bytes:
        return b"\r\n" if self._transaction.body is BodyType.BINARY else b"\n"

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
        await self._header_judged()
        if self._refusal is None:
            await self._writer.drained()

    async def finish(self, wire_octets: int) -> list[Verdict]:
        """Make the message durable for those recipients who have room for it."""
        if self._held is not None:
            # No empty line has come: it is all header.
            if self._judging is None:
                self._begin(self._held, self._held, whole=True)
            await self._header_judged()
        verdicts = [PASS] * len(self._transaction.recipients)
        if self._refusal is None:
            await self._examine()
        if self._refusal is None and self._transaction.limited and not self._transaction.measures.discard:
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

    @property
    def size_octets(self) -> int:
        """The octets so far, our own lines included."""
        octets: int = self._writer.size_octets
        return octets

    async def content(self) -> Content:
        """Where the octets are, for a check that wants to read them."""
        content: Content = await self._writer.content()
        return attrs.evolve(content, prefix_octets=self._prefix_octets + self._added_octets)

    async def _examine(self) -> None:
        """Let the checks judge the message as a whole, and do what they ask for."""
        transaction, measures = self._transaction, self._transaction.measures
        if self._checks.wanted(Stage.MESSAGE):
            told = len(measures.headers)
            case = Case(Stage.MESSAGE, transaction.visit, "", transaction, header=self._header, message=self)
            verdict = await judged(self._checks, case)
            if verdict.reply is not None:
                self._refuse(verdict)
                return
            await self._insert(measures.headers[told:])
        if measures.discard:
            transaction.destinations.update(dict.fromkeys(self._addresses(), f"discard:{measures.discard}"))
        elif measures.redirect:
            await self._redirect(measures.redirect)

    def _addresses(self) -> list[str]:
        return [recipient.address for recipient in self._envelope.recipients]

    async def _insert(self, headers: list[str]) -> None:
        """Put lines of checks above those that are there, below the first."""
        if headers:
            octets = _octets([one_line(line, MAX_TAG_CHARACTERS) for line in headers], self._newline)
            try:
                await self._writer.insert(self._prefix_octets, octets)
            except SpoolFullError:
                self._refuse(SPOOL_FULL)
                return
            self._added_octets += len(octets)
            self._added_wire_octets += len(octets) + (len(headers) if self._newline == b"\n" else 0)

    async def _redirect(self, target: str) -> None:
        """Give the message to one mailbox of ours instead of all recipients."""
        verdict, destination = await self._policy.recipient(
            target, peer="", account=None, authentication_required=False, octets=0
        )
        if verdict.reply is not None:
            reason = f"redirected to {target}, which cannot have it: {verdict.reply}"
            self._refuse(Verdict(_NO_TARGET, "redirect.target", reason))
            return
        self._envelope = attrs.evolve(self._envelope, recipients=(Recipient(target),))
        self._transaction.destinations[target] = destination
        self._transaction.limited.clear()

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
        checks, redirect = transaction.findings.summary(), transaction.measures.redirect
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
                **transaction.facts,
                "size_octets": wire_octets,
                "recipients": len(self._envelope.recipients),
                **({"checks": checks} if checks else {}),
                **({"transcript_to": self._transcript_to} if self._transcript_to else {}),
                **({"redirected_by": transaction.measures.redirect_rule} if redirect else {}),
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
        if iscoroutine(self._judging):
            self._judging.close()
        self._judging = None
        self._writer.abort()


def _octets(lines: list[str], newline: bytes) -> bytes:
    # A lone surrogate cannot come from the wire; were there one, it must not keep the message out.
    return b"".join(line.encode("utf-8", "replace") + newline for line in lines)
