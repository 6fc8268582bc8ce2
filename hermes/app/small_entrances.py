"""The listeners of the small servers: those that are no mail protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hermes.app.circle import Circle
from hermes.app.entrances import Entrance
from hermes.app.phone_book import Books, phone_book
from hermes.app.stores import Stores
from hermes.config.schema import Settings
from hermes.interfaces import IServerTLS
from hermes.net.gate import Gate
from hermes.net.server_gate import ServerGate
from hermes.services.finger_server import FingerServerFactory, LastLogins, Profiles
from hermes.services.line_connection import LineServer
from hermes.services.lookups import Lookups
from hermes.services.password_server import Offices, PasswordServerFactory
from hermes.services.phonebook_server import PhoneBookServerFactory


def small_entrances(
    settings: Settings,
    circle: Circle,
    stores: Stores,
    clock: Any,
    gate: Gate,
    tls: IServerTLS | None,
    end_sessions: Callable[[str], int],
    books: Books,
) -> Iterator[Entrance]:
    """Those that the settings ask for. ``end_sessions`` ends the sessions of an account, and says how many there were."""

    def server(service: str, place: str, idle_seconds: float, *, implicit_tls: bool = False) -> LineServer:
        service_gate = ServerGate(gate, circle.access, service, circle.schedule)
        journal = stores.spool.journal
        return LineServer(service, place, clock, service_gate, journal, tls, implicit_tls, idle_seconds)

    poppass, hostname = settings.poppass, settings.hermes.hostname
    offices = Offices(circle.directory, circle.changing, end_sessions)
    for key, places in (("listen", poppass.listen), ("listen_tls", poppass.listen_tls)):
        for place in places:
            shared = server("poppass", place, poppass.timeout, implicit_tls=key == "listen_tls")
            yield Entrance("poppass", key, place, PasswordServerFactory(shared, poppass, offices, hostname))
    finger = settings.finger
    lookups = Lookups(stores.lookup_worker)
    profiles = Profiles(circle.directory, LastLogins(stores.spool), lookups, finger)
    for place in finger.listen:
        shared = server("finger", place, finger.timeout)
        yield Entrance("finger", "listen", place, FingerServerFactory(shared, profiles))
    book = phone_book(settings, stores, lookups, books)
    for place in settings.phonebook.listen:
        shared = server("phonebook", place, settings.phonebook.timeout)
        yield Entrance("phonebook", "listen", place, PhoneBookServerFactory(shared, book))
