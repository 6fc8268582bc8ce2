"""What the queue does beside its deliveries: it looks for ways, expands addresses, and gives messages up."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

_T = TypeVar("_T")


@attrs.define(eq=False)
class _Errand:
    task: Deferred[Any] | None = None


class Errands:
    """Those that are under way; ``ended`` is called after each, and ``stopping`` says whether a cancelled one is no fault."""

    _log = Logger()

    def __init__(self, ended: Callable[[], None], stopping: Callable[[], bool]) -> None:
        self._ended = ended
        self._stopping = stopping
        self._under_way: set[_Errand] = set()

    @property
    def any(self) -> bool:
        """True while there is one."""
        return bool(self._under_way)

    def begin(self, work: Coroutine[Any, Any, object], about: str) -> None:
        """Do something for the message ``about``; a fault is logged."""
        _ = Deferred.fromCoroutine(self._do(work, about))

    async def _do(self, work: Coroutine[Any, Any, object], about: str) -> None:
        try:
            await self.run(work)
        except Exception as error:
            # Whoever stops cancels what takes too long.
            if not self._stopping() or not isinstance(error, CancelledError):
                self._log.failure("Message {queue_id} could not be worked on", queue_id=about)

    async def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something that the stop shall wait for, and cancel when it takes too long."""
        errand = _Errand()
        self._under_way.add(errand)
        try:
            errand.task = Deferred.fromCoroutine(work)
            result: _T = await errand.task
            return result
        finally:
            self._under_way.discard(errand)
            self._ended()

    def cancel(self) -> None:
        """Cancel all of them."""
        for task in [errand.task for errand in self._under_way]:
            if task is not None:
                task.cancel()
