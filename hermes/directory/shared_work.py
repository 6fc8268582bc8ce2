"""Work that is done once for all who want what comes of it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger


class SharedWork:
    """One piece of work at a time; whoever waits for its end may leave, and the others have it all the same."""

    _log = Logger()

    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] | None = None

    @property
    def under_way(self) -> bool:
        """True until what was begun last has ended."""
        return self._waiting is not None

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin; there must be none under way."""
        self._waiting = []
        _ = Deferred.fromCoroutine(self._do(work))

    async def ended(self) -> None:
        """Wait for the end of what is under way, if there is something."""
        if self._waiting is not None:
            done: Deferred[None] = Deferred()
            self._waiting.append(done)
            await done

    async def _do(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            self._log.failure("What was done for all who waited had a fault")
        finally:
            waiting, self._waiting = self._waiting or [], None
            for done in waiting:
                if not done.called:
                    done.callback(None)
