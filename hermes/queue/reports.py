"""
Who is told, and what they get: reports as messages for the queue (RFC 3461 6, RFC 5321 4.5.5).

A report comes from the null sender and goes to the sender of the original; none is ever sent about a message from the null
sender. What failed without a sender to tell goes to the postmaster, and so does with ``postmaster_copy`` every report of failure.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from hermes.config.sections.queue import QueueSettings
from hermes.core import address
from hermes.core.envelope import Envelope, Recipient, TLSNeed
from hermes.core.event import Event, Kind
from hermes.core.examination import Examination
from hermes.core.message import Content, NewMessage, QueuedMessage, Rest
from hermes.core.report import Action, Fate, Report, Whole
from hermes.core.report_message import compose
from hermes.interfaces import IContentReader, IRouter, ISpool
from hermes.queue.judgement import Judgement
from hermes.queue.notices import Notices
from hermes.queue.reporting import NEVER, Allowance, Reporting, Told
from hermes.queue.router import UNROUTED

#: What is kept in memory of a message for its report. A larger one goes back, if at all, from the disk piece by piece; for the
#: others its header is looked for in as much.
MAX_RETURNED_OCTETS = 64 * 1024


@attrs.frozen
class _Original:
    """What is known of the message that a report is about: its beginning, where it can be read, and what is beyond."""

    beginning: bytes = b""
    complete: bool = False
    whole: Whole | None = None
    content: Content | None = None


class Reporter:
    """Writes the reports that a judgement asks for; ``allowance`` says how many."""

    _log = Logger()

    def __init__(
        self,
        spool: ISpool,
        reader: IContentReader,
        router: IRouter,
        settings: QueueSettings,
        now: Callable[[], float],
        *,
        hostname: str,
        postmaster: str,
        reporting: Reporting,
        allowance: Allowance,
    ) -> None:
        self._spool = spool
        self._reader = reader
        self._router = router
        self._settings = settings
        self._now = now
        self._hostname = hostname
        self._postmaster = postmaster
        self._reporting = reporting
        self._allowance = allowance
        self._count = 0
        self.notices = Notices(self, spool, now, hostname=hostname, postmaster=postmaster, reporting=reporting)

    async def reports(self, message: QueuedMessage, judgement: Judgement) -> list[Told]:
        """
        All reports about one attempt; recipients with the same kind of fate share one.

        What is not told, because the address has had enough of them, is added to the judgement's events.
        """
        sender = message.envelope.reverse_path
        letters = [
            (sender, False, fates) for fates in (judgement.failed, judgement.delayed, judgement.succeeded) if fates
        ]
        if lost := self._for_postmaster(sender, judgement):
            letters.append((self._postmaster, True, lost))
        letters = [
            (to, copy, fates)
            for to, copy, fates in letters
            if self.may_tell(message, to, fates[0].action.value, len(fates), judgement)
        ]
        if not letters:
            return []
        original = await self._original(message, returned=any(not copy for _, copy, _ in letters) and judgement.failed)
        return [await self._written(message, to, copy, tuple(fates), original) for to, copy, fates in letters]

    def _for_postmaster(self, sender: str, judgement: Judgement) -> list[Fate]:
        """
        What the postmaster is told of.

        Not what could not be delivered to the postmaster: that would go round for ever (RFC 5321 6.2).
        """
        if not self._postmaster:
            return []
        postmaster = address.key(self._postmaster)
        failed = [*judgement.failed, *judgement.untold]
        if failed and self._settings.postmaster_copy and address.key(sender) != postmaster:
            return failed
        if not self._reporting.settings.double_bounces:
            return []
        return [fate for fate in judgement.orphaned if not _is_to(fate, postmaster)]

    def may_tell(self, message: QueuedMessage, to: str, action: str, recipients: int, judgement: Judgement) -> bool:
        """True when one more letter may go there; otherwise the judgement's events say that there is none."""
        # Who has logged in sends with no other address than its own, so nobody else is told.
        if message.origin.account is not None:
            return True
        now, most = self._now(), self._reporting.settings.per_address
        if self._allowance.take(to, now, most):
            return True
        facts: dict[str, str | int | float | bool | None] = {
            "action": action,
            "recipients": recipients,
            "reason": f"{to} or its domain has had as many reports as it may in an hour (reports.per_address is {most})",
        }
        reverse_path = message.envelope.reverse_path
        judgement.events.append(Event(now, Kind.UNREPORTED, message.queue_id, to, reverse_path, "", facts))
        return False

    async def _written(
        self, message: QueuedMessage, to: str, for_postmaster: bool, fates: tuple[Fate, ...], original: _Original
    ) -> Told:
        now = self._now()
        report_id = self.next_id(message.queue_id, now)
        delayed = fates[0].action is Action.DELAYED
        # RET=HDRS asks for the header alone (RFC 3461 4.3), and so does REQUIRETLS (RFC 8689 5); strangers' mail is not put
        # before the postmaster.
        secret = message.envelope.tls is TLSNeed.REQUIRED
        header_only = message.envelope.ret == "HDRS" or for_postmaster or secret
        letter = compose(
            Report(
                hostname=self._hostname,
                postmaster=self._postmaster,
                to=to,
                for_postmaster=for_postmaster,
                report_id=report_id,
                written_at=now,
                queue_id=message.queue_id,
                accepted_at=message.accepted_at,
                attempted_at=now,
                envelope=message.envelope,
                message_id=message.message_id,
                fates=fates,
                returned=original.beginning,
                complete=original.complete and not header_only,
                whole=None if header_only else original.whole,
                binary=message.content.binary,
                origin=message.origin,
                wording=self._reporting.wording,
                retry_until=self._retry_until(message, fates) if delayed else None,
            )
        )
        rest = None
        if letter.tail and original.content is not None:
            wire_octets = original.content.wire_octets + len(letter.tail) + letter.tail.count(b"\n")
            rest = Rest(partial(self._with_tail, original.content, letter.tail), wire_octets)
        envelope = Envelope("", (Recipient(to, notify=NEVER),), letter.body, letter.smtputf8, tls=message.envelope.tls)
        destinations = {to: await self.destination(to)}
        report = NewMessage(envelope, letter.octets, destinations, report_id, rest=rest)
        return Told(report, fates[0].action.value, len(fates))

    def _retry_until(self, message: QueuedMessage, fates: tuple[Fate, ...]) -> float:
        """When the first of them will be given up."""
        told = {fate.address for fate in fates}
        configured = message.accepted_at + self._settings.expire
        until = [each.expires_at or configured for each in message.recipients if each.address in told]
        return min(until, default=configured)

    def next_id(self, queue_id: str, now: float) -> str:
        """A Message-ID that no other letter has."""
        self._count += 1
        return f"<{queue_id}.{int(now * 1000):x}.{self._count:x}@{self._hostname}>"

    async def destination(self, to: str) -> str:
        """The way to somebody; when nobody can say it now, the queue asks again."""
        try:
            return await self._router.route(to)
        except CancelledError:
            raise
        except Exception:
            self._log.failure("The way of a report could not be found; it will be looked for again")
            return UNROUTED

    async def beginning(self, message: QueuedMessage) -> bytes:
        """The first octets of a message, with its header; none when it cannot be read."""
        return (await self._original(message, returned=False)).beginning

    async def _with_tail(self, content: Content, tail: bytes) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._reader.chunks(content, content.prefix_octets)) as pieces:
            async for piece in pieces:
                yield piece
        yield tail

    async def _original(self, message: QueuedMessage, *, returned: object) -> _Original:
        """What can go back of the original: no more than its beginning is kept, whatever its size."""
        try:
            content = message.content
            if content.data is None and content.path is None:
                content = await self._spool.content(message.queue_id)
            size, most = content.size_octets - content.prefix_octets, self._reporting.settings.return_size
            fits = size <= most
            all_of_it = bool(returned) and fits and not content.binary and message.envelope.ret != "HDRS"
            beginning = b""
            examination = Examination()
            async with aclosing(self._reader.chunks(content, content.prefix_octets)) as pieces:
                async for piece in pieces:
                    if len(beginning) < MAX_RETURNED_OCTETS:
                        beginning += piece[: MAX_RETURNED_OCTETS - len(beginning)]
                    elif not all_of_it:
                        break
                    if all_of_it and size > MAX_RETURNED_OCTETS:
                        examination.add(piece)
        except CancelledError:
            raise
        except Exception:
            # The report matters more than what it returns.
            self._log.failure("Message {queue_id} cannot be read for its report", queue_id=message.queue_id)
            return _Original()
        if size <= MAX_RETURNED_OCTETS:
            return _Original(beginning, fits)
        return _Original(beginning, False, examination.result() if all_of_it else None, content)


def _is_to(fate: Fate, postmaster: str) -> bool:
    """True for a recipient who is the postmaster, or stands where an address of the postmaster was expanded."""
    original = (fate.original or "").partition(";")[2]
    return postmaster in {address.key(fate.address), address.key(original)}
