"""The seam of threads and processes: work that must not be done in the reactor's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Interface


class IGroupWorker(Interface):
    """A thread or a process of its own that takes everything that waits at once: so one fsync serves many."""

    def start(perform: Callable[[list[Any]], list[Any]]) -> None:
        """
        Start it. ``perform`` is called in it with all items waiting and returns one result for each, in order; a
        result that is an exception makes the item's Deferred fail with it. When ``perform`` itself raises, all fail.
        """

    def submit(item: Any) -> Deferred[Any]:
        """Hand over an item from the reactor thread; the result is delivered in the reactor thread."""

    def submit_patiently(item: Any, seconds: float) -> Deferred[Any]:
        """The same for an item on which nobody waits: it may be kept back for so long at most, to go with others."""

    async def stop() -> None:
        """Finish what waits, then end it. Nothing may be submitted afterwards."""
