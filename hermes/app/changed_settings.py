"""The configuration of a server that runs, read again."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hermes.config.catalog import FIXED
from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.config.schema import Settings
from hermes.core.metric import Family, gauge
from hermes.net.notify import Notifier

#: What is said to whoever asks too late.
STOPPING = "the server is stopping: it reads the configuration when it starts again"


class Reload:
    """
    Takes the configuration at ``path`` anew, one reload at a time, and tells systemd.

    ``take`` goes by other settings, or raises ValueError with a text for the administrator, and then nothing has changed.
    ``now`` is the time of day; the start counts as the first reload.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        service: Service,
        notifier: Notifier,
        take: Callable[[Settings], Awaitable[None]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.succeeded, self.succeeded_at = True, now()
        self._now = now
        self._path = path
        self._service = service
        self._notifier = notifier
        self._take = take
        self._goes_on = False
        #: Those who wait for the end of the one that goes on.
        self._waiting: list[Deferred[None]] = []

    async def idle(self) -> None:
        """Wait until no reload goes on."""
        while self._goes_on:
            ended: Deferred[None] = Deferred()
            self._waiting.append(ended)
            await ended

    async def run(self, before: Settings) -> str:
        """Take all of it or nothing; raise ValueError with a text for the administrator."""
        if not self._service.running:
            raise ValueError(STOPPING)
        if self._goes_on:
            raise ValueError("a reload is going on already: try again in a moment")
        self._goes_on = True
        try:
            await self._run(before)
        finally:
            self._goes_on = False
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)
        return "The configuration is in force."

    async def _run(self, before: Settings) -> None:
        self._notifier.reloading(time.monotonic())
        try:
            await self._take(load_again(self._path, before))
            self.succeeded, self.succeeded_at = True, self._now()
        except BaseException as error:
            self.succeeded = False
            if isinstance(error, RuntimeError) and not self._service.running:
                # The threads that would have read something have ended meanwhile.
                raise ValueError(STOPPING) from error
            raise
        finally:
            if self._service.running:
                # Else systemd has been told of the stop meanwhile, which is the last word.
                self._notifier.ready()
        self._log.info("The configuration {path} is in force", path=self._path)

    def families(self) -> list[Family]:
        """What came of it, for monitoring."""
        return [
            gauge(
                "hermes_config_last_reload_successful",
                "Whether the last reload of the configuration succeeded; without one, the start did.",
                int(self.succeeded),
            ),
            gauge(
                "hermes_config_last_reload_success_timestamp_seconds",
                "When the configuration in force was taken, as seconds since the epoch.",
                self.succeeded_at,
            ),
        ]


def load_again(path: str, before: Settings) -> Settings:
    """Read a changed configuration; raise ValueError when it is wrong, or changes what cannot be changed."""
    try:
        settings = load(path)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    changed = [key for key in FIXED if _value(before, key) != _value(settings, key)]
    if changed:
        raise ValueError(f"{', '.join(changed)} cannot be changed while the server runs: restart it")
    return settings


def _value(settings: Settings, key: str) -> object:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)
