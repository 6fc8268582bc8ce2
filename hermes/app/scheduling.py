"""The connection schedule among the modules of a process: what it runs, whom it waits for, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.task import deferLater
from typing_extensions import override

from hermes.app.echoes import Echoes
from hermes.app.staged import Module
from hermes.app.station import Station
from hermes.app.stores import Stores
from hermes.config.schema import Settings
from hermes.config.sections.schedule import ScheduleSettings
from hermes.core.order import Action, Order
from hermes.core.selection import Selection
from hermes.net.shielded import shielded
from hermes.queue.relay import RelayManager
from hermes.services.connection_schedule import ConnectionSchedule
from hermes.services.queue_starting import QueueStarting
from hermes.services.scheduled_delivery import CLOSED_REASON
from hermes.services.timed_command import Ran, run_command

#: Who is asked for mail sends it at once: by then our own doors are open, also when the server has just started.
BEFORE_ETRN_SECONDS = 5.0


class Scheduling(Module):
    """
    The schedule of a process; ``relays`` gives the relay managers, and ``echoes`` what the leading worker tells.

    It starts before mail is sent and stops when no more is.
    """

    name = "schedule"
    #: The command after may take its time, and one before that is under way is ended.
    stop_seconds = 30.0

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        now: Callable[[], float],
        station: Station,
        stores: Stores,
        echoes: Echoes,
        relays: Callable[[], Iterable[RelayManager]],
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._stores = stores
        self._relays = relays
        told = station.tell
        self.schedule = ConnectionSchedule(
            reactor,
            settings.schedule,
            now,
            run=self._run,
            start_queues=self._start_queues,
            unforeseen=self._retry,
            leads=station.number == 0,
            tell=(lambda word: told("schedule", (word,))) if told is not None else lambda word: None,
        )
        self.schedule.wait_for(self._is_sending)
        echoes.expect("schedule", self.schedule.hear)

    def reconfigure(self, settings: Settings) -> None:
        """Go by other settings."""
        self._settings = settings
        self.schedule.reconfigure(settings.schedule, settings.schedule.week())

    def status(self) -> dict[str, object]:
        """Where the line stands, if there is a schedule."""
        return {"schedule": self.schedule.describe()} if self._settings.schedule.enabled else {}

    @override
    async def start(self) -> None:
        self.schedule.start()

    @override
    async def stop(self) -> None:
        await self.schedule.stop()

    async def _run(self, command: str, seconds: float) -> Ran:
        return await run_command(self._reactor, command, seconds, self._settings.hermes.data)

    async def _start_queues(self, settings: ScheduleSettings) -> None:
        await deferLater(self._reactor, BEFORE_ETRN_SECONDS)
        hermes = self._settings.hermes
        asking = QueueStarting(self._reactor, hermes.hostname, self._stores.resolvers.current)
        await asking.ask(settings.etrn, settings.etrn_domains or hermes.domains)

    def _retry(self) -> None:
        """The line is open, and what waits for it was told a later time."""
        order = Order(Action.RETRY, Selection(reply=CLOSED_REASON), by="schedule")
        for relay in self._relays():
            _ = shielded(relay.carry_out(order), "trying what has waited for the schedule")

    def _is_sending(self) -> bool:
        """Whether something is under way, or waits for its turn, by a client that follows the schedule."""
        follows = self._settings.schedule.follows
        rows: list[Any] = [relay.describe()["destinations"] for relay in self._relays()]
        return any(
            follows(row["name"]) and (row["running"] or row["waiting"]) for destinations in rows for row in destinations
        )
