"""When old mail is removed from mailboxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from hermes.app.circle import Circle
from hermes.app.staged import Module
from hermes.interfaces import IJournal
from hermes.services.mail_expiry import MailExpiry

#: Days are what expiry is told in: four rounds a day are as good as one each second, and cost a listing of each mailbox.
ROUND_SECONDS = 6 * 3600.0

#: Not at once: those who read their mail when the server is back come first.
FIRST_SECONDS = 600.0


class MailExpiring(Module):
    """Makes the rounds; ``expiry`` makes what one round is made with, by the settings that are in force then."""

    name = "mail expiry"
    _log = Logger()

    def __init__(self, clock: Any, expiry: Callable[[], MailExpiry]) -> None:
        self._clock = clock
        self._expiry = expiry
        self._round: MailExpiry | None = None
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self._guarded()))
        self._loop.clock = clock
        self._first: Any = None
        self._ended: Deferred[Any] | None = None

    @override
    async def start(self) -> None:
        self._first = self._clock.callLater(FIRST_SECONDS, self._begin)

    def _begin(self) -> None:
        self._ended = self._loop.start(ROUND_SECONDS)

    async def _guarded(self) -> None:
        self._round = self._expiry()
        with self._log.failuresHandled("Old mail could not be removed; it is tried again in {hours} h", hours=6):
            removed = await self._round.round()
            if removed:
                self._log.info("{count} old messages removed from mailboxes", count=removed)

    @override
    async def stop(self) -> None:
        if self._first is not None and self._first.active():
            self._first.cancel()
        if self._round is not None:
            self._round.stop()
        if self._ended is not None:
            self._loop.stop()
            await self._ended


def expiring_with(
    clock: Any, circle: Callable[[], Circle], journal: IJournal, now: Callable[[], float]
) -> MailExpiring:
    """Removing old mail by the rules that ``circle`` gives at each round."""

    def expiry() -> MailExpiry:
        rules = circle()
        return MailExpiry(rules.directory.account, rules.mailboxes, journal, now)

    return MailExpiring(clock, expiry)
