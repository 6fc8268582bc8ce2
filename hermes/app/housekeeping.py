"""What the server does by the clock: the trace expires, certificates and edited files are looked at, systemd gets signs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from hermes.app.expiry import ExpiryWarnings
from hermes.app.staged import Module
from hermes.net.certificates import Certificates
from hermes.net.notify import Notifier
from hermes.policy.edited_file import LOOK_SECONDS, EditedFile

#: Expiry works in small batches, so it may run often.
EXPIRY_PAUSE_SECONDS = 3600.0

#: What another process of this server has put on the list of offenders holds here after this long at most.
OFFENDERS_PAUSE_SECONDS = 5.0

#: What has been counted of mail since is forgotten when the process is killed.
RATES_PAUSE_SECONDS = 60.0

#: A renewed certificate is in use after this long at most, without a reload; to look costs two calls of the system for each.
CERTIFICATE_PAUSE_SECONDS = 60.0


class Housekeeping(Module):
    """Loops that never end and never fail."""

    name = "housekeeping"
    _log = Logger()

    def __init__(
        self,
        clock: Any,
        *,
        follow_offenders: Callable[[], Awaitable[None]] | None = None,
        keep_rates: Callable[[], Awaitable[None]] | None = None,
        expire_trace: Callable[[], Awaitable[object]],
        certificates: Callable[[], Certificates | None],
        edited: Callable[[], Sequence[EditedFile[Any]]] = tuple,
        notifier: Notifier,
    ) -> None:
        self._clock = clock
        self._follow_offenders = follow_offenders
        self._keep_rates = keep_rates
        self._expire_trace = expire_trace
        self._certificates = certificates
        self._edited = edited
        self._warnings = ExpiryWarnings()
        self._notifier = notifier
        self._loops: list[LoopingCall] = []
        self._running: list[Deferred[Any]] = []

    @override
    async def start(self) -> None:
        self._repeat(EXPIRY_PAUSE_SECONDS, self._expire)
        self._repeat(CERTIFICATE_PAUSE_SECONDS, self._look_at_certificates)
        self._repeat(LOOK_SECONDS, self._look_at_files)
        if self._follow_offenders is not None:
            self._repeat(OFFENDERS_PAUSE_SECONDS, self._follow_offenders)
        if self._keep_rates is not None:
            self._repeat(RATES_PAUSE_SECONDS, self._keep_rates)
        if self._notifier.watchdog_seconds is not None:
            self._repeat(self._notifier.watchdog_seconds, self._sign_of_life)

    @override
    async def stop(self) -> None:
        for loop in self._loops:
            loop.stop()
        for ended in self._running:
            await ended

    def _repeat(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            with self._log.failuresHandled("Housekeeping failed, and will be tried again"):
                try:
                    await work()
                except OSError as error:
                    if error.filename is None:
                        raise
                    # A file of the site, and no fault of ours: whoever mends it needs its name and no traceback.
                    self._log.error(
                        "Housekeeping failed, and will be tried again: {path}: {reason}",
                        path=error.filename,
                        reason=error.strerror,
                    )

        loop = LoopingCall(lambda: Deferred.fromCoroutine(guarded()))
        loop.clock = self._clock
        self._loops.append(loop)
        self._running.append(
            loop.start(seconds).addErrback(lambda failure: self._log.failure("Housekeeping ended", failure))
        )

    async def _expire(self) -> None:
        await self._expire_trace()

    async def _look_at_certificates(self) -> None:
        certificates = self._certificates()
        if certificates is not None:
            certificates.reload_if_changed()
            self._warnings.look(certificates.describe())

    async def _look_at_files(self) -> None:
        for file in self._edited():
            file.look()

    async def _sign_of_life(self) -> None:
        self._notifier.alive()
