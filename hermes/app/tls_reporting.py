"""When reports about TLS are sent to other domains, and how they get into the queue."""

from __future__ import annotations

from collections.abc import Callable
from random import Random, SystemRandom
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from hermes.app.circle import Circle
from hermes.app.staged import Module
from hermes.app.stores import Stores
from hermes.config.schema import Settings
from hermes.core.envelope import Envelope, Origin
from hermes.core.received import return_path
from hermes.core.tls_report import Sender
from hermes.interfaces import IRelayManager, IRouter, ISpool
from hermes.services.tls_reporter import TLSReporter
from hermes.services.tls_results import TLSResults

#: Counts go to disk so often.
FLUSH_SECONDS = 60.0

#: A day that is over is noticed after an hour at most; what has been sent is not sent again.
ROUND_SECONDS = 3600.0

#: RFC 8460 4.1: reports are not to come from everywhere at the same minute after midnight.
MAX_DELAY_SECONDS = 4 * 3600.0


def sender_of(settings: Settings) -> Sender:
    """Who reports."""
    reports, hermes = settings.tls_reports, settings.hermes
    contact = reports.contact or hermes.postmaster
    return Sender(reports.organization or hermes.hostname, contact, hermes.hostname, reports.sender or contact)


async def post(
    spool: ISpool, router: IRouter, relay: IRelayManager, envelope: Envelope, octets: bytes, message_id: str
) -> None:
    """Put a message of our own, with LF line ends, into the queue."""
    writer = spool.create()
    try:
        prefix = f"{return_path(envelope.reverse_path)}\n".encode()
        writer.write(prefix)
        writer.write(octets)
        await writer.drained()
        destinations = {each.address: await router.route(each.address) for each in envelope.recipients}
        wire_octets = len(octets) + octets.count(b"\n")
        facts: dict[str, str | int | float | bool | None] = {
            "protocol": "local",
            "size_octets": wire_octets,
            "recipients": len(envelope.recipients),
        }
        message = await writer.commit(
            envelope, Origin("local"), destinations, message_id, wire_octets, len(prefix), facts
        )
    except BaseException:
        writer.abort()
        raise
    relay.accepted(message)


def tls_reporting(
    reactor: Any, stores: Stores, circle: Callable[[], Circle], relay: IRelayManager, now: Callable[[], float]
) -> Module:
    """The module for a server. Of several workers each counts, and whoever is first with a domain reports for all."""

    async def sent(envelope: Envelope, octets: bytes, message_id: str) -> None:
        await post(stores.spool, circle().router, relay, envelope, octets, message_id)

    reporter = TLSReporter(
        stores.tls_results,
        lambda: stores.resolvers.current,
        stores.fetcher,
        sent,
        lambda: sender_of(circle().settings),
        now,
    )
    return TLSReporting(
        reactor, stores.tls_results, reporter, lambda: circle().settings.tls_reports.send, SystemRandom()
    )


class TLSReporting(Module):
    """Writes counts down and sends reports; ``wanted`` says whether the settings ask for them now."""

    name = "tls reports"
    _log = Logger()

    def __init__(
        self, clock: Any, results: TLSResults, reporter: TLSReporter, wanted: Callable[[], bool], dice: Random
    ) -> None:
        self._results = results
        self._reporter = reporter
        self._wanted = wanted
        self._loops = [LoopingCall(self._guarded, self._flush), LoopingCall(self._guarded, self._round)]
        for loop in self._loops:
            loop.clock = clock
        self._clock = clock
        self._delay = dice.uniform(0, MAX_DELAY_SECONDS)
        self._first: Any = None
        self._running: list[Deferred[Any]] = []

    @override
    async def start(self) -> None:
        flushing, rounds = self._loops
        self._running.append(flushing.start(FLUSH_SECONDS))
        self._first = self._clock.callLater(self._delay, self._begin, rounds)

    def _begin(self, rounds: LoopingCall) -> None:
        self._running.append(rounds.start(ROUND_SECONDS))

    def _guarded(self, work: Callable[[], Any]) -> Deferred[None]:
        async def run() -> None:
            with self._log.failuresHandled("Reports about TLS could not be seen to; it is tried again"):
                await work()

        return Deferred.fromCoroutine(run())

    async def _flush(self) -> None:
        self._results.wanted = self._wanted()
        await self._results.flush()

    async def _round(self) -> None:
        if self._wanted():
            await self._reporter.round()

    @override
    async def stop(self) -> None:
        if self._first is not None and self._first.active():
            self._first.cancel()
        for loop in self._loops:
            if loop.running:
                loop.stop()
        for ended in self._running:
            await ended
        await self._results.flush()
