"""The collectors as a part of the server: from the settings, over the control socket, from its start to its stop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from OpenSSL import SSL
from typing_extensions import override

from hermes.app.circle import Circle
from hermes.app.staged import Module
from hermes.app.stores import Stores
from hermes.config.schema import Settings
from hermes.config.sections.collector import CollectorSettings
from hermes.core.metric import Family
from hermes.interfaces import ISchedule
from hermes.net.client_tls import opportunistic_context, verifying_context
from hermes.net.outgoing import Approach, TLSMode
from hermes.protocols.sasl_login import Derive, Login
from hermes.services.collectors import Collectors
from hermes.services.pop3_collector import Collector, Means

#: The collectors of one set of settings, by name.
Boxes = dict[str, Collector]


class CollectingModule(Module):
    """
    Looks at the boxes while the server runs; with several workers, only in the one that is ``here``: two must not fetch from
    the same box.
    """

    name = "collectors"
    #: What is being made durable is finished, and no more.
    stop_seconds = 20.0

    def __init__(
        self, reactor: Any, now: Callable[[], float], stores: Stores, schedule: ISchedule, *, here: bool
    ) -> None:
        self._reactor = reactor
        self._now = now
        self._stores = stores
        self._here = here
        self._collectors = Collectors(reactor, now, stores.collected, schedule)

    def prepare(self, settings: Settings, circle: Circle) -> Boxes:
        """All collectors that the settings ask for; raise ValueError when the file of an authority cannot be used."""
        return collectors_of(settings, circle, self._stores, self._reactor, self._now)

    def use(self, boxes: Boxes) -> None:
        """Go by these from now on."""
        self._collectors.reconfigure(boxes)

    def status(self) -> dict[str, object]:
        """How the boxes stand, if there are any."""
        rows = self._collectors.status() if self._here else []
        return {"collectors": rows} if rows else {}

    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]]:
        """What can be asked here."""
        return collect_commands(self._collectors) if self._here else {}

    def families(self) -> list[Family]:
        """Figures of the boxes, where they are looked at."""
        return self._collectors.families() if self._here else []

    @override
    async def start(self) -> None:
        if self._here:
            self._collectors.start()

    @override
    async def stop(self) -> None:
        await self._collectors.stop()


def collectors_of(
    settings: Settings, circle: Circle, stores: Stores, reactor: Any, now: Callable[[], float]
) -> dict[str, Collector]:
    """
    All collectors that the settings ask for.

    Raises ValueError, for the administrator, when the file of an authority cannot be used.
    """
    means = Means(
        reactor,
        now,
        circle.resolver,
        stores.tokens,
        stores.collected,
        circle.directory,
        circle.mailboxes,
        stores.spool,
        stores.spool.journal,
        circle.collecting_premises,
    )
    contexts: dict[str, SSL.Context] = {}
    return {
        name: Collector(
            name,
            each,
            _approach(settings, name, each, contexts, stores.derive),
            settings.hermes.postmaster,
            settings.smtp.max_size,
            means,
        )
        for name, each in settings.collector.items()
    }


def _approach(
    settings: Settings, name: str, each: CollectorSettings, contexts: dict[str, SSL.Context], derive: Derive
) -> Approach:
    mechanisms = tuple(word.upper() for word in each.auth)
    login = Login(each.username, each.password, mechanisms=mechanisms)
    mode = TLSMode(each.tls)
    context = None if mode is TLSMode.NONE else _context(name, each, contexts)
    return Approach(settings.hermes.hostname, mode, context, each.verify, login, derive=derive)


def _context(name: str, each: CollectorSettings, contexts: dict[str, SSL.Context]) -> SSL.Context:
    """One for each authority: the system's authorities take time to read and megabytes to keep."""
    if not each.verify:
        return opportunistic_context()
    if each.authority not in contexts:
        try:
            contexts[each.authority] = verifying_context(each.authority)
        except (OSError, SSL.Error) as error:
            why = error.strerror if isinstance(error, OSError) else "there is no certificate in PEM form in it"
            raise ValueError(f"[collector:{name}] authority: {each.authority}: {why}") from error
    return contexts[each.authority]


def collect_commands(collectors: Collectors) -> dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]]:
    """What can be asked about the boxes."""

    async def begin(arguments: Mapping[str, Any]) -> str:
        name = str(arguments.get("name", ""))
        collectors.begin(name, dry=bool(arguments.get("dry")))
        return name

    async def progress(arguments: Mapping[str, Any]) -> dict[str, Any]:
        return collectors.progress(str(arguments.get("name", "")))

    async def boxes(arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        return collectors.describe()

    return {"collect.begin": begin, "collect.progress": progress, "collect.boxes": boxes}
