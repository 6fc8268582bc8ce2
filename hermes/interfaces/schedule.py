"""When clients may go on line."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import Interface


class ISchedule(Interface):
    """When clients may go on line. Who does not follow the schedule is always open, and so is everybody without one."""

    def is_open(client: str) -> bool:
        """Whether a client (``direct``, ``smarthost:NAME``, ``collector``), or a server, may begin something now."""

    def next_opening() -> float | None:
        """When those who are closed are open next, in seconds since the epoch; None when that is not in sight."""

    def subscribe(changed: Callable[[], None]) -> None:
        """Have something called whenever it has opened or closed."""

    def wait_for(busy: Callable[[], bool]) -> None:
        """Before it closes, wait for as long as that says that somebody is busy, within a limit."""
