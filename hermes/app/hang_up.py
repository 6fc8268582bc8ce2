"""SIGHUP, which asks for a reload: from the beginning of the start to the end of the stop."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from typing_extensions import override

from hermes.app.early_hang_up import EarlyHangUp
from hermes.app.staged import Module


class HangUps(Module):
    """
    Obeys each, but not at any time: it starts first and stops last, for nobody else takes what would end the process.

    One that comes during the start is obeyed when that is over (:meth:`ready`), one that comes while a reload goes on
    when that has ended: what has been written since its beginning would not be in force. ``reload`` raises ValueError with a text
    for the administrator; ``idle`` waits for the end of a reload that somebody else has asked for.
    """

    name = "hang-up"
    _log = Logger()

    def __init__(self, reactor: Any, reload: Callable[[], Awaitable[str]], idle: Callable[[], Awaitable[None]]) -> None:
        self._reactor = reactor
        self._reload = reload
        self._idle = idle
        self._before: Any = signal.SIG_DFL
        self._ready = False
        self._wanted = False
        self._obeys = False
        self._task: Deferred[None] | None = None

    @override
    async def start(self) -> None:
        self._before = signal.signal(signal.SIGHUP, lambda number, frame: self._reactor.callFromThread(self._hang_up))
        if isinstance(self._before, EarlyHangUp) and self._before.came:
            self._hang_up()

    @override
    async def stop(self) -> None:
        signal.signal(signal.SIGHUP, self._before)

    def ready(self) -> None:
        """The start is over."""
        self._ready = True
        self._look()

    def _hang_up(self) -> None:
        self._wanted = True
        self._look()

    def _look(self) -> None:
        if self._ready and self._wanted and not self._obeys:
            self._obeys = True
            self._task = Deferred.fromCoroutine(self._obey())

    async def _obey(self) -> None:
        while self._wanted:
            await self._idle()
            self._wanted = False
            try:
                await self._reload()
            except ValueError as error:
                self._log.error("The configuration stays as it was: {reason}", reason=str(error))
            except Exception:
                self._log.failure("The reload failed")
        self._obeys = False
