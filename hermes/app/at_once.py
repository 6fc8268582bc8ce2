"""A worker for commands, which have nobody to keep waiting: what is submitted is done before ``submit`` returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, execute
from zope.interface import implementer

from hermes.interfaces import IGroupWorker


@implementer(IGroupWorker)
class AtOnce:
    """See :class:`hermes.interfaces.IGroupWorker`: items are callables, and are called in the caller's thread."""

    def start(self, perform: Callable[[list[Any]], list[Any]]) -> None:
        """There is no thread to start."""

    def submit(self, item: Any) -> Deferred[Any]:
        """Call it."""
        done: Deferred[Any] = execute(item)
        return done

    def submit_patiently(self, item: Any, seconds: float) -> Deferred[Any]:
        """Call it."""
        return self.submit(item)

    async def stop(self) -> None:
        """There is nothing to finish."""
