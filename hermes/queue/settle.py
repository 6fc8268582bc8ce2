"""
The end of an attempt: what became of it is written down, and reports are queued, in one transaction.

The result of a delivery must not be lost: mail that was delivered would be delivered again. So when the spool cannot write
(the disk is full), it is tried until it can, and the message stays active meanwhile; that also slows down everything else,
as it should.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hermes.core.event import Event, Kind
from hermes.core.message import NewMessage, Postponed, QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome
from hermes.core.report import Fate
from hermes.interfaces import ISpool, SpoolFullError
from hermes.queue.judgement import Judge, Judgement
from hermes.queue.reporting import Told
from hermes.queue.reports import Reporter

#: Pauses between attempts to write: doubled from the first to the longest.
FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 60.0


class Settler:
    """Settles deliveries; ``counters`` counts the kinds of events."""

    _log = Logger()

    def __init__(
        self, spool: ISpool, judge: Judge, reporter: Reporter, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        self._spool = spool
        self._judge = judge
        self._reporter = reporter
        self._clock = clock
        self._now = now
        self.counters: Counter[str] = Counter()

    def use(self, judge: Judge, reporter: Reporter) -> None:
        """Let others judge and report from now on."""
        self._judge = judge
        self._reporter = reporter

    async def settle(
        self,
        message: QueuedMessage,
        recipients: Sequence[QueuedRecipient],
        outcomes: Sequence[Outcome],
        silent: Callable[[], bool],
    ) -> tuple[list[QueuedMessage], float | None]:
        """
        Write down the outcomes, one for each recipient.

        When ``silent`` says so, nobody is told. Returns the reports that were queued, and when the next attempt is due.
        """
        now = self._now()
        judgement = self._judge.judge(message, recipients, outcomes, now)
        told: list[Told] = []
        if judgement.wants_reports and not silent():
            try:
                told = await self._reporter.reports(message, judgement)
            except CancelledError:
                raise
            except Exception:
                self._log.failure("No report about {queue_id} could be written", queue_id=message.queue_id)
                judgement = self._judge.without_reports(message, recipients, outcomes, now)
        if self._reporter.notices.enabled and not silent():
            told += await self._reporter.notices.due(message, recipients, outcomes, judgement)
        queued = await self._written(message.queue_id, judgement, told)
        for event in judgement.events:
            self.counters[event.kind.value] += 1
        if told:
            await self._returned(message, told, queued)
        return queued, min(
            (each.next_attempt_at for each in judgement.settlements if isinstance(each, Postponed)), default=None
        )

    async def expanded(self, message: QueuedMessage, fates: Sequence[Fate]) -> list[NewMessage]:
        """Reports that addresses stand for several recipients, to be queued when these have been written down."""
        now = self._now()
        judgement = Judgement(succeeded=list(fates))
        told = await self._reporter.reports(message, judgement)
        if judgement.events:
            await self._spool.record(judgement.events)
        return [attrs.evolve(each.report, told_by=_returned(message, each, now)) for each in told]

    async def _written(self, queue_id: str, judgement: Judgement, told: list[Told]) -> list[QueuedMessage]:
        reports = [each.report for each in told]
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._spool.settle(queue_id, judgement.settlements, judgement.events, reports)
            except CancelledError:
                raise
            except SpoolFullError as error:
                self._log.error(
                    "The end of an attempt for {queue_id} could not be written: {reason}. Make room on that disk: it is tried "
                    "again in {pause} s",
                    queue_id=queue_id,
                    reason=str(error),
                    pause=pause,
                )
            except Exception:
                self._log.failure(
                    "The end of an attempt for {queue_id} could not be written; trying again in {pause} s",
                    queue_id=queue_id,
                    pause=pause,
                )
            await deferLater(self._clock, pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _returned(self, message: QueuedMessage, told: list[Told], queued: list[QueuedMessage]) -> None:
        """Leave the reports' numbers in the trace; they were not known before the reports were queued."""
        now = self._now()
        events = []
        for each, report in zip(told, queued, strict=True):
            event = _returned(message, each, now)
            events.append(attrs.evolve(event, facts={"report": report.queue_id, **event.facts}))
        self.counters[Kind.RETURNED.value] += len(events)
        try:
            await self._spool.record(events)
        except CancelledError:
            raise
        except Exception:
            # The report itself is safe, and its own trace names the message in its text.
            self._log.failure("The trace of a report about {queue_id} was lost", queue_id=message.queue_id)


def _returned(message: QueuedMessage, told: Told, now: float) -> Event:
    """The fact that a report was sent, without its number."""
    facts: dict[str, str | int | float | bool | None] = {
        "action": told.action,
        "recipients": told.recipients,
    }
    to = told.report.envelope.recipients[0].address
    return Event(now, Kind.RETURNED, message.queue_id, to, message.envelope.reverse_path, "", facts)
