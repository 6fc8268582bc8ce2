"""The drop directories as a part of the server: looked at by the clock, and when somebody says that there is something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from hermes.app.circle import Circle
from hermes.app.staged import Module
from hermes.config.schema import Settings
from hermes.core.jobs import perform_each
from hermes.interfaces import IGroupWorker, ISpool
from hermes.net.worker import GroupWorker
from hermes.services import drop_files
from hermes.services.drop import Drop, Way
from hermes.services.drop_files import DroppedFile


class Dropping(Module):
    """With several workers only the one that is ``here`` takes files: its spool knows what has been taken."""

    name = "drop directories"
    #: A message that is being read is finished.
    stop_seconds = 20.0
    _log = Logger()

    def __init__(
        self,
        clock: Any,
        spool: ISpool,
        in_force: Callable[[], tuple[Settings, Circle]],
        *,
        here: bool = True,
        worker: IGroupWorker | None = None,
    ) -> None:
        self._clock = clock
        # Files may be large, and on a disk far away: nothing else waits for them.
        self._worker = worker or GroupWorker(clock, "hermes-drop", 1)
        self._in_force = in_force
        self._here = here
        self._drop = Drop(self._worker, spool, self._way)
        self._seen: dict[str, DroppedFile] = {}
        self._loop: LoopingCall | None = None
        self._look: Deferred[None] | None = None
        self._unreadable: set[str] = set()

    def _way(self) -> Way:
        settings, circle = self._in_force()
        return Way(circle.collecting_premises(), circle.router, settings.hermes.hostname, settings.smtp.max_recipients)

    @override
    async def start(self) -> None:
        if not self._here:
            return
        self._worker.start(perform_each)
        settings, _ = self._in_force()
        drop = settings.drop
        if drop.directory:
            await self._worker.submit(partial(drop_files.make, drop.directory, shared=drop.shared))
        self._loop = LoopingCall(self._looking)
        self._loop.clock = self._clock
        _ = self._loop.start(drop.poll).addErrback(lambda failure: self._log.failure("no more looks", failure))

    @override
    async def stop(self) -> None:
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        if self._look is not None:
            await self._look
        if self._here:
            await self._worker.stop()

    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
        """What can be asked."""
        return {"drop.take": self._take} if self._here else {}

    async def _take(self, arguments: Mapping[str, Any]) -> dict[str, object]:
        """Take one file that has just been left, for whoever waits for the answer."""
        settings, _ = self._in_force()
        name = str(arguments.get("name", ""))
        if not settings.drop.directory or not name.isalnum():
            raise ValueError("'name' is the name of a file in the drop directory")
        taken = await self._drop.take(drop_files.dropped(settings.drop.directory, name), told=True)
        return {"queue_id": taken.queue_id, "refused": taken.refused, "for_good": taken.for_good}

    def _looking(self) -> Deferred[None]:
        self._look = Deferred.fromCoroutine(self.look())
        return self._look

    async def look(self) -> None:
        """Take what is there; a fault harms only its own file, and nothing ends the looks."""
        settings, _ = self._in_force()
        if self._loop is not None:
            # It may have been changed since the last look.
            self._loop.interval = settings.drop.poll
        if settings.drop.directory:
            await self._take_all(settings.drop.directory, partial(self._left, settings.drop.directory))
        seen, self._seen = self._seen, {}
        for directory in settings.drop.queues:
            await self._take_all(directory, partial(self._lying, directory, seen))

    async def _left(self, directory: str) -> list[DroppedFile]:
        found: list[DroppedFile] = await self._worker.submit(partial(drop_files.left, directory))
        return found

    async def _lying(self, directory: str, seen: Mapping[str, DroppedFile]) -> list[DroppedFile]:
        """Those that are as they were at the last look: nobody is writing them any more."""
        lying: dict[str, DroppedFile] = await self._worker.submit(partial(drop_files.lying, directory))
        self._seen |= lying
        return [file for now, file in lying.items() if now in seen]

    async def _take_all(self, directory: str, find: Callable[[], Any]) -> None:
        try:
            files = await find()
        except OSError as error:
            # Said once: a directory on another machine may be away for days.
            if directory not in self._unreadable:
                self._unreadable.add(directory)
                self._log.warn("{path} cannot be looked at: {reason}", path=directory, reason=error.strerror)
            return
        self._unreadable.discard(directory)
        for file in files:
            try:
                await self._drop.take(file)
            except Exception:
                self._log.failure("{path} could not be taken; it is tried again", path=file.path)
