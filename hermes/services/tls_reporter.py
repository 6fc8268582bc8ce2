"""The daily reports about TLS go to those who want them: by mail, signed like all of ours, or by HTTPS (RFC 8460)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.logger import Logger

from hermes.core.dns_answer import Status
from hermes.core.envelope import Envelope, Recipient, TLSNeed
from hermes.core.tls_report import (
    MEDIA_TYPE,
    Sender,
    address_of,
    day_of,
    letter,
    packed,
    places,
    report,
    report_id,
)
from hermes.interfaces import IFetcher, IResolver, TooBusyError, UnavailableError
from hermes.services.tls_results import TLSResults

#: Hands a message over to the queue: its envelope, its octets, and its Message-ID.
Post = Callable[[Envelope, bytes, str], Awaitable[None]]


class TLSReporter:
    """One round for each day that is over: :meth:`round` may be called as often as one likes."""

    _log = Logger()

    def __init__(
        self,
        results: TLSResults,
        resolver: Callable[[], IResolver],
        fetcher: IFetcher,
        post: Post,
        sender: Callable[[], Sender],
        now: Callable[[], float],
    ) -> None:
        self._results = results
        self._resolver = resolver
        self._fetcher = fetcher
        self._post = post
        self._sender = sender
        self._now = now

    async def round(self) -> int:
        """Send what is due for yesterday; how many domains have got something."""
        await self._results.flush()
        now = self._now()
        day = day_of(now - 86400)
        count = 0
        for domain in await self._results.domains(day):
            answer = await self._resolver().texts(f"_smtp._tls.{domain}")
            if answer.status is Status.UNAVAILABLE:
                continue  # the next round asks again
            wanted = places(answer.values)
            # Noted before it is sent: a report that is lost is a smaller evil than one that comes every hour.
            if await self._results.done(day, domain) and wanted:
                count += await self._send(domain, day, wanted, now)
        await self._results.expire()
        return count

    async def _send(self, domain: str, day: str, wanted: list[str], now: float) -> bool:
        sender = self._sender()
        octets = packed(report(domain, day, await self._results.counts(day, domain), sender))
        sent = False
        for place in wanted:
            address = address_of(place)
            if address is not None:
                # RFC 8460 3: a report about broken TLS must not need it.
                envelope = Envelope(
                    sender.address, (Recipient(address, notify=frozenset({"NEVER"})),), tls=TLSNeed.OPTIONAL
                )
                message = letter(domain, day, octets, address, sender, now)
                await self._post(envelope, message, f"<{report_id(domain, day, sender.hostname)}>")
                sent = True
            else:
                sent = await self._upload(place, octets, domain) or sent
        return sent

    async def _upload(self, place: str, octets: bytes, domain: str) -> bool:
        """RFC 8460 5.4: any 2xx is a success."""
        try:
            answer = await self._fetcher.fetch(place, {"Content-Type": MEDIA_TYPE}, octets)
        except (UnavailableError, TooBusyError) as error:
            why = str(error)
        else:
            if answer.status // 100 == 2:
                return True
            why = f"the server answers {answer.status}"
        self._log.warn("The TLS report for {domain} could not be handed over: {why}", domain=domain, why=why)
        return False
