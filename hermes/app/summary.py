"""
The daily summary: when it is due, what stands in it, and that it is sent once.

Its Message-ID is that of the day; the trace knows which have been sent, also after a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from hermes.app.staged import Module
from hermes.app.tls_reporting import post
from hermes.config.places import shards, spool_directory
from hermes.config.schema import Settings
from hermes.core.accountability import Tally, lines
from hermes.core.envelope import BodyType, Envelope, Recipient
from hermes.core.jobs import perform_each
from hermes.core.received import date
from hermes.interfaces import IGroupWorker, IRelayManager, IRouter, ISpool
from hermes.net.worker import GroupWorker
from hermes.spool.shards import ShardsReader

#: How often it is looked whether a letter is due.
ROUND_SECONDS = 600.0


def day_before(now: float) -> tuple[str, float, float]:
    """The day before, by the clock of this machine: its date, when it began, and when it ended."""
    today = datetime.fromtimestamp(now).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return day_of((today - timedelta(hours=12)).date().isoformat())


def day_of(text: str) -> tuple[str, float, float]:
    """A day by its date, like 2026-01-31; raise ValueError for what is none."""
    # Naive dates are local: a day on which clocks are set has 23 or 25 hours.
    begin = datetime.strptime(text, "%Y-%m-%d")
    try:
        return text, begin.timestamp(), (begin + timedelta(days=1)).timestamp()
    except OverflowError:
        raise ValueError("the last day that there is does not end") from None


def tally_of(settings: Settings, since: float, until: float) -> Tally:
    """What the trace says about a time; it is read beside the server, and takes seconds for a busy day."""
    with ShardsReader([spool_directory(settings, shard) for shard in shards(settings)]) as reader:
        return reader.tally(since, until)


def message_id(settings: Settings, day: str) -> str:
    """That of the letter about a day."""
    return f"<summary.{day}@{settings.hermes.hostname}>"


def letter(settings: Settings, day: str, tally: Tally, now: float) -> bytes:
    """The letter with LF line ends."""
    hermes = settings.hermes
    to = settings.summary.to or hermes.postmaster
    text = "\n".join(lines(tally, day, hermes.hostname))
    header = (
        f"From: Mail server {hermes.hostname} <{hermes.postmaster or f'postmaster@{hermes.hostname}'}>",
        f"To: <{to}>",
        f"Date: {date(now)}",
        f"Message-ID: {message_id(settings, day)}",
        f"Subject: Mail at {hermes.hostname} on {day}",
        # RFC 3834 5: nobody shall answer it by himself.
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    )
    return ("\n".join(header) + f"\n\n{text}\n").encode("utf-8", "replace")


class Summary(Module):
    """Sends the letter; of several workers one does."""

    name = "daily summary"
    #: What is being read is read to its end.
    stop_seconds = 20.0
    _log = Logger()

    def __init__(
        self,
        clock: Any,
        now: Callable[[], float],
        spool: ISpool,
        relay: IRelayManager,
        in_force: Callable[[], tuple[Settings, IRouter]],
        worker: IGroupWorker | None = None,
    ) -> None:
        self._now = now
        self._spool = spool
        self._relay = relay
        self._in_force = in_force
        self._worker = worker or GroupWorker(clock, "hermes-summary", 1)
        self._loop = LoopingCall(self._guarded)
        self._loop.clock = clock
        self._running: Deferred[None] | None = None

    @override
    async def start(self) -> None:
        self._worker.start(perform_each)
        _ = self._loop.start(ROUND_SECONDS).addErrback(lambda failure: self._log.failure("no more letters", failure))

    @override
    async def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()
        if self._running is not None:
            await self._running
        await self._worker.stop()

    def _guarded(self) -> Deferred[None]:
        async def run() -> None:
            with self._log.failuresHandled("The daily summary could not be written; it is tried again"):
                await self.look()

        self._running = Deferred.fromCoroutine(run())
        return self._running

    async def look(self) -> None:
        """Send the letter about the day before, if that is wanted, due, and has not been done."""
        settings, router = self._in_force()
        to, now = settings.summary.to or settings.hermes.postmaster, self._now()
        if not settings.summary.send or not to:
            return
        if datetime.fromtimestamp(now).astimezone().hour < settings.summary.hour:
            return
        day, since, until = day_before(now)
        known = message_id(settings, day)
        if await self._spool.track(known, 1):
            return
        tally = await self._worker.submit(partial(tally_of, settings, since, until))
        envelope = Envelope("", (Recipient(to, notify=frozenset({"NEVER"})),), BodyType.EIGHT_BIT)
        await post(self._spool, router, self._relay, envelope, letter(settings, day, tally, now), known)
