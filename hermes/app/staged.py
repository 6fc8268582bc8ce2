"""
Services that start one after the other and stop in the opposite order, each waiting for the one before.

Twisted's ``MultiService`` starts all children at once without waiting, and stops them all at once; a mail server must not
listen before its store is open, nor close its store while a session is writing to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override


class Module(Service):
    """A service whose start and stop may wait. ``stop_seconds`` is how long its stop may take before it is left behind."""

    stop_seconds = 30.0

    async def start(self) -> None:
        """Get ready; raise when that is impossible."""

    async def stop(self) -> None:
        """Finish; called only after :meth:`start` has succeeded."""

    def abandon(self) -> None:
        """Let go of what was taken for a start that will not come; harmless at any other end."""


class StagedService(MultiService):
    """
    Starts its children, which are :class:`Module`, in their order.

    ``failed`` is called with the failure when one cannot start; those before it have then been stopped again.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, failed: Callable[[Failure], None]) -> None:
        super().__init__()
        self._clock = clock
        self._failed = failed
        self._started: list[Module] = []
        self._starting: Deferred[None] | None = None

    @override
    def startService(self) -> None:
        Service.startService(self)
        self._starting = Deferred.fromCoroutine(self._start())

    @override
    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        module: Any = None
        try:
            for module in self.services:
                if not self.running:
                    return
                await module.start()
                module.running = True
                self._started.append(module)
        except Exception:
            failure = Failure()
            await self._stop_started()
            self._failed(failure)

    async def _stop(self) -> None:
        if self._starting is not None:
            # A stop in the middle of the start waits for the module that is starting.
            await self._starting
        await self._stop_started()

    async def _stop_started(self) -> None:
        while self._started:
            module = self._started.pop()
            module.running = False
            try:
                await Deferred.fromCoroutine(module.stop()).addTimeout(module.stop_seconds, self._clock)
            except Exception:
                self._log.failure("The module {name} did not stop in order", name=module.name)
        self.abandon()

    def abandon(self) -> None:
        """Let go of what the modules hold that have not been started."""
        rest: Any = self.services
        for module in rest:
            module.abandon()
