"""
Who is told, and what they get: reports as messages for the queue (RFC 3461 6, RFC 5321 4.5.5).

A report comes from the null sender and goes to the sender of the original; none is ever sent about a message from the null
sender. What failed without a sender to tell, and with ``postmaster_copy`` every report of failure, goes to the postmaster.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from hermes.config.schema import QueueSettings
from hermes.core import address
from hermes.core.envelope import Envelope, Recipient
from hermes.core.message import NewMessage, QueuedMessage
from hermes.core.report import Action, Fate, Report
from hermes.core.report_message import compose
from hermes.interfaces import IContentReader, IRouter, ISpool
from hermes.queue.judgement import Judgement
from hermes.queue.router import UNROUTED

#: A message up to this size is returned whole (RFC 3461 6.2 leaves the limit to us): the sender has it already, and what is
#: larger is rarely wanted back. Of a larger one the header is looked for in as much.
MAX_RETURNED_OCTETS = 64 * 1024

#: RFC 3461 6.1: the only value that NOTIFY may have for a report.
_NEVER = frozenset({"NEVER"})


@attrs.frozen
class Told:
    """A report and whom it is about."""

    report: NewMessage
    fates: tuple[Fate, ...]


class Reporter:
    """Writes the reports that a judgement asks for."""

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
    ) -> None:
        self._spool = spool
        self._reader = reader
        self._router = router
        self._settings = settings
        self._now = now
        self._hostname = hostname
        self._postmaster = postmaster
        self._count = 0

    async def reports(self, message: QueuedMessage, judgement: Judgement) -> list[Told]:
        """All reports about one attempt; recipients with the same kind of fate share one."""
        sender = message.envelope.reverse_path
        letters = [
            (sender, False, fates) for fates in (judgement.failed, judgement.delayed, judgement.succeeded) if fates
        ]
        if lost := self._for_postmaster(sender, judgement):
            letters.append((self._postmaster, True, lost))
        if not letters:
            return []
        beginning, complete = await self._beginning(message)
        return [
            await self._written(message, to, copy, tuple(fates), beginning, complete) for to, copy, fates in letters
        ]

    def _for_postmaster(self, sender: str, judgement: Judgement) -> list[Fate]:
        """
        What the postmaster is told of.

        Not what could not be delivered to the postmaster: that would go round for ever (RFC 5321 6.2).
        """
        if not self._settings.postmaster_copy or not self._postmaster:
            return []
        postmaster = address.key(self._postmaster)
        if judgement.failed and address.key(sender) != postmaster:
            return judgement.failed
        return [fate for fate in judgement.orphaned if address.key(fate.address) != postmaster]

    async def _written(
        self,
        message: QueuedMessage,
        to: str,
        for_postmaster: bool,
        fates: tuple[Fate, ...],
        beginning: bytes,
        complete: bool,
    ) -> Told:
        now = self._now()
        self._count += 1
        report_id = f"<{message.queue_id}.{int(now * 1000):x}.{self._count:x}@{self._hostname}>"
        delayed = fates[0].action is Action.DELAYED
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
                returned=beginning,
                # RET=HDRS asks for the header alone (RFC 3461 4.3); strangers' mail is not put before the postmaster.
                complete=complete and message.envelope.ret != "HDRS" and not for_postmaster,
                binary=message.content.binary,
                retry_until=message.accepted_at + self._settings.expire if delayed else None,
            )
        )
        envelope = Envelope("", (Recipient(to, notify=_NEVER),), letter.body, letter.smtputf8)
        return Told(NewMessage(envelope, letter.octets, {to: await self._destination(to)}, report_id), fates)

    async def _destination(self, to: str) -> str:
        try:
            return await self._router.route(to)
        except CancelledError:
            raise
        except Exception:
            self._log.failure("The way of a report could not be found; it will be looked for again")
            return UNROUTED

    async def _beginning(self, message: QueuedMessage) -> tuple[bytes, bool]:
        """The first octets of the original, and whether these are all; nothing when it cannot be read any more."""
        try:
            content = message.content
            if content.data is None and content.path is None:
                content = await self._spool.content(message.queue_id)
            pieces = self._reader.chunks(content, content.prefix_octets)
            beginning = b""
            async with aclosing(pieces):
                async for piece in pieces:
                    beginning += piece
                    if len(beginning) > MAX_RETURNED_OCTETS:
                        break
        except CancelledError:
            raise
        except Exception:
            # The report matters more than what it returns.
            self._log.failure("Message {queue_id} cannot be read for its report", queue_id=message.queue_id)
            return b"", False
        return beginning[:MAX_RETURNED_OCTETS], len(beginning) <= MAX_RETURNED_OCTETS
