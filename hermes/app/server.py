"""
The server as a whole: from settings to one ``MultiService``, and from one set of settings to the next.

Whatever can fail when a server starts, fails before anything has begun: certificates are read and sockets are bound when the
:class:`Server` is made. What can only fail later (the stores) ends the start in order.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes import __version__
from hermes.app.adoption import AdoptedShards, EveryRelay, EverySpool
from hermes.app.changed_settings import STOPPING, Reload
from hermes.app.circle import Circle
from hermes.app.collecting import Boxes, CollectingModule
from hermes.app.commands import Commands
from hermes.app.doors import Doors, refuse_other_uses
from hermes.app.dropping import Dropping
from hermes.app.echoes import Echoes, SharedLogins
from hermes.app.entrances import Entrance, entrances
from hermes.app.greylisting import greylist_commands
from hermes.app.hang_up import HangUps
from hermes.app.housekeeping import Housekeeping
from hermes.app.importing import importing_commands
from hermes.app.known_files import KnownFiles
from hermes.app.listening import Closing, Listening
from hermes.app.long_turns import LongTurns
from hermes.app.mail_expiring import expiring_with
from hermes.app.metrics import Figures, Parts
from hermes.app.modules import Admission, Delivery, Signals
from hermes.app.open_files import allow_open_files
from hermes.app.passages import passages
from hermes.app.passwords_told import password_commands
from hermes.app.phone_book import Books, FirstBooks
from hermes.app.process import halt, make_data_directory
from hermes.app.queues import Queues
from hermes.app.readings import Readings, read_beside
from hermes.app.scheduling import Scheduling
from hermes.app.small_entrances import small_entrances
from hermes.app.staged import Module, StagedService
from hermes.app.station import Station
from hermes.app.stores import Sources, Stores
from hermes.app.summary import Summary
from hermes.app.tls_reporting import tls_reporting
from hermes.app.token_keeping import TokenKeeping
from hermes.app.transcript_orders import TranscriptOrders
from hermes.app.uptime import Uptime
from hermes.config.errors import ConfigError
from hermes.config.schema import Settings
from hermes.net.certificates import Certificates, certificates_of
from hermes.net.gate import Gate
from hermes.net.listen import ListenError, inherited_socket
from hermes.net.notify import Notifier
from hermes.queue.relay import RelayManager
from hermes.services.turning import Turning
from hermes.spool.store import Spool


class StartError(Exception):
    """The server cannot start; the text says why, for the administrator."""


@attrs.frozen
class Change:
    """Another set of settings, and what follows from it: everything that could fail has been done."""

    settings: Settings
    tls: Certificates | None
    circle: Circle
    places: dict[str, Entrance]
    boxes: Boxes
    sources: Sources
    read: Readings


class Server:
    """
    All of Hermes, or one of several workers that are each a whole Hermes.

    ``service`` is what is started and stopped; ``failed`` is called when it cannot start.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        settings: Settings,
        reactor: Any,
        failed: Callable[[Failure], None],
        station: Station | None = None,
    ) -> None:
        self.settings = settings
        self.now = time.time
        self._reactor = reactor
        self._inherited = partial(inherited_socket, reactor)
        self._station = station = station or Station()
        self._notifier = Notifier(os.environ if station.alone else {})
        self._uptime = Uptime(reactor.seconds)
        self._long_turns = LongTurns(reactor, settings.hermes.long_turn_ms / 1000)
        self._stores = Stores(settings, reactor, self.now, station)
        self._books = Books()
        queues = self._queues = Queues(self._stores, reactor, self.now, self._in_force)
        #: What is counted here when another worker tells it.
        self.echoes = Echoes()
        self._stores.listen(self.echoes)
        self._scheduling = Scheduling(reactor, settings, self.now, station, self._stores, self.echoes, queues.relays)
        self._turning = Turning(reactor.seconds, queues.relays, station.tell)
        self.echoes.expect("drain", self._turning.hear)
        schedule, here = self._scheduling.schedule, station.number == 0
        self._collecting = CollectingModule(reactor, self.now, self._stores, schedule, here=here)
        self.offenders = self._stores.offenders
        self.rates = self._stores.rates
        self.greylist = self._stores.greylist
        self._gate = Gate(settings.limits, reactor.seconds, self.offenders, station.counts, self._logins(settings))
        self.logins = self._gate.logins
        self._listening = {
            name: Listening(name, reactor) for name in ("smtp", "pop3", "poppass", "finger", "phonebook")
        }
        self._doors = Doors(self._listening, station, self._inherited)
        self._drop = Dropping(reactor, self._stores.spool, self._in_force, here=here)
        self.service = StagedService(reactor, failed)
        self._reload = Reload(path, self.service, self._notifier, self._take)
        self._hang_ups = HangUps(reactor, self.reload, self._reload.idle)
        self._figures = self._make_figures()
        try:
            make_data_directory(settings)
            self._tls = certificates_of(settings)
            self._stores.use_sources(self._stores.prepare_sources(settings))
            self._circle = self._make_circle(settings)
            self._circle.come_into_force()
            self._queues.make(station.orphans(settings))
            self._collecting.use(self._collecting.prepare(settings, self._circle))
            self._places = self._entrances(settings, self._circle, self._tls, self._books)
            self._fill_service()
        except (ValueError, ListenError, ConfigError) as error:
            self.service.abandon()
            raise StartError(str(error)) from error
        allow_open_files(self.settings)

    # What the control socket and the manhole ask

    @property
    def spool(self) -> Spool | EverySpool:
        """What there is to be looked up in."""
        return self._queues.spool

    @property
    def relay(self) -> RelayManager | EveryRelay:
        """Who carries out orders about messages."""
        return self._queues.relay

    def sessions(self) -> list[dict[str, object]]:
        """Who is connected."""
        return [session.describe() for listening in self._listening.values() for session in listening.sessions()]

    def status(self) -> dict[str, object]:
        """Counters of the whole server."""
        return {
            "version": __version__,
            "hostname": self.settings.hermes.hostname,
            **self._uptime.describe(),
            "connections": self._gate.connections,
            **self._long_turns.describe(),
            **{f"{name}_listens": ", ".join(sorted(each.places)) for name, each in self._listening.items()},
            **{f"{name}_sessions": len(each.sessions()) for name, each in self._listening.items()},
            **{f"dns_{name}": value for name, value in self._stores.resolvers.describe().items()},
            **{f"dnsbl_{name}": counters for name, counters in self._stores.lists.describe().items()},
            "certificates": self._tls.describe() if self._tls is not None else [],
            **{f"greylist_{name}": value for name, value in self._stores.greylist.describe().items()},
            **self._scheduling.status(),
            **self._collecting.status(),
            "outgoing_connections": self._circle.connections(),
            **self._queues.describe(),
        }

    async def oauth_changed(self, name: str) -> None:
        """Take the tokens of an OAuth client as they are on disk now, and try what has waited for them."""
        await self._stores.tokens.changed(name)
        await self.relay.retry(None)

    def stop(self) -> None:
        """Stop in order, after the answer has gone out."""
        self._reactor.callLater(0.1, halt, self._reactor)

    async def reload(self) -> str:
        """
        Take the configuration anew, all or nothing.

        Raises ValueError with a text for the administrator, and then nothing has changed.
        """
        return await self._reload.run(self.settings)

    async def prepare(self, settings: Settings) -> Change:
        """Make what follows from other settings; raise ValueError when they cannot be used. Nobody else knows of it."""
        stores, edited = self._stores, self._circle.edited
        try:
            tls = certificates_of(settings)
            sources = stores.prepare_sources(settings)
            read = await read_beside(settings, stores, edited, self._books, self.now, self._reactor.seconds)
            circle = self._make_circle(settings, read.lists)
            wanted = self._entrances(settings, circle, tls, read.books)
        except ConfigError as error:
            # Templates beside config.ini, with their lines.
            raise ValueError(str(error)) from None
        refuse_other_uses(self._places, wanted)
        boxes = self._collecting.prepare(settings, circle)
        return Change(settings, tls, circle, wanted, boxes, sources, read)

    async def change(self, change: Change) -> None:
        """
        Go by other settings. The sockets may fail, with a ValueError, and come first; after them nothing can.

        All is done in one turn of the reactor, so that nobody meets half of it; what then ends may take its time.
        """
        if not self.service.running:
            raise ValueError(STOPPING)
        settings, circle, wanted = change.settings, change.circle, change.places
        await self._doors.open(self._doors.bind(one for place, one in wanted.items() if place not in self._places))
        before, self._places = self._places, wanted
        old_circle, self._circle = self._circle, circle
        self.settings, self._tls, self._gate.settings = settings, change.tls, settings.limits
        self._books = change.read.books
        change.read.come_into_force(self._stores)
        allow_open_files(settings)
        circle.come_into_force()
        ending = [source.stop() for source in self._stores.use_sources(change.sources)]
        self._scheduling.reconfigure(settings)
        self._queues.reconfigure()
        self._collecting.use(change.boxes)
        for place in before.keys() & wanted.keys():
            self._listening[wanted[place].module].switch(place, wanted[place].factory)
        ending += [self._listening[before[place].module].close(place) for place in before.keys() - wanted.keys()]
        self._stores.reopen_log()
        await self._let_go([*ending, old_circle.stop()])

    async def _let_go(self, ending: Iterable[Coroutine[Any, Any, None]]) -> None:
        """End what only the settings before have needed: whatever comes of it, the new ones are in force."""
        text = "What has served the settings before did not end in order"
        await gatherResults(
            [Deferred.fromCoroutine(one).addErrback(partial(self._log.failure, text)) for one in ending]
        )

    async def _take(self, settings: Settings) -> None:
        await self.change(await self.prepare(settings))

    async def adopt(self, shard: int) -> None:
        """Take care of a shard whose worker is no more; raise SpoolError when it cannot be opened."""
        relay = await self._queues.adopt(shard)
        if self.service.running:
            relay.start()

    def _in_force(self) -> tuple[Settings, Circle]:
        return self.settings, self._circle

    async def _expire(self) -> None:
        self._stores.transcripts.tidy()
        for spool in self._queues.spools():
            await spool.expire_trace(self.now() - self.settings.trace.keep)
        await self._circle.mailboxes.forget_departed()

    # Making the parts

    def _make_figures(self) -> Figures:
        # Of several workers none reloads by itself.
        reloads = [self._reload.families] if self._station.alone else []
        parts = Parts(
            self._stores,
            self._gate,
            self._listening,
            lambda: self._tls,
            self._queues.spools,
            self._queues.relays,
            [self._collecting.families, self._long_turns.families, *reloads],
        )
        return Figures(parts, self.now)

    def _make_circle(self, settings: Settings, lists: KnownFiles | None = None) -> Circle:
        schedule = self._scheduling.schedule
        return Circle(settings, self._stores, self._reactor, self.now, lambda: self._queues.own, schedule, lists)

    def _logins(self, settings: Settings) -> SharedLogins | None:
        tell = self._station.tell
        if tell is None:
            return None
        logins = SharedLogins(settings.limits, self._reactor.seconds, tell)
        self.echoes.expect("login failed", logins.hear_failed)
        self.echoes.expect("login succeeded", logins.hear_succeeded)
        self.echoes.expect("end sessions", self._end_sessions_here)
        return logins

    def _entrances(
        self, settings: Settings, circle: Circle, tls: Certificates | None, books: Books
    ) -> dict[str, Entrance]:
        """The listeners that the settings ask for, by their places."""
        common = settings, circle, self._stores, self._reactor, self._gate, tls
        wanted = [*entrances(*common, self._turning.turn), *small_entrances(*common, self._end_sessions, books)]
        return {one.place: one for one in wanted}

    def _end_sessions(self, account: str) -> int:
        """Let all sessions of an account end, with the command of the moment; how many there are here."""
        if self._station.tell is not None:
            self._station.tell("end sessions", (account,))
        return self._end_sessions_here(account)

    def _end_sessions_here(self, account: str) -> int:
        mail = [session for name in ("smtp", "pop3") for session in self._listening[name].sessions()]
        of_account = [session for session in mail if session.describe()["account"] == account]
        for session in of_account:
            session.shut_down()
        return len(of_account)

    def _fill_service(self) -> None:
        """Put the modules into the service and bind their sockets; raise ValueError or ListenError."""
        doors = passages(lambda: self.settings, self.commands(), self._reactor) if self._station.alone else []
        listening = self._listening.values()
        housekeeping = Housekeeping(
            self._reactor,
            follow_offenders=self.offenders.follow,
            keep_rates=self._stores.keep_rates,
            expire_trace=self._expire,
            certificates=lambda: self._tls,
            edited=lambda: [*self._circle.edited, *self._books.files.values()],
            notifier=self._notifier,
        )
        for module in (
            *([self._hang_ups] if self._station.alone else []),
            self._stores,
            FirstBooks(lambda: self._books.read(self.settings, self._stores.lookup_worker, self._reactor.seconds)),
            AdoptedShards(self._queues.adopted),
            *self._of_one_worker(),
            self._scheduling,
            Delivery(self._queues.relays, lambda: self._circle.stop()),  # noqa: PLW0108 - after a reload it is another one
            self._collecting,
            self._drop,
            *doors,
            *self._admission(),
            *listening,
            Closing(listening),
            housekeeping,
            tls_reporting(self._reactor, self._stores, lambda: self._circle, self._queues.own, self.now),
            self._long_turns,
            *self._signals(),
        ):
            module.setServiceParent(self.service)
        # The passages first: a server that runs already is better named than its ports.
        for door in doors:
            door.bind(self._inherited)
        self._doors.wait(self._doors.bind(self._places.values()))

    def commands(self) -> Commands:
        """What can be asked."""
        here = self._station.number == 0
        return Commands(
            self,
            {
                **TranscriptOrders(self._stores.transcripts).commands(),
                **greylist_commands(self.greylist),
                **self._collecting.commands(),
                **self._drop.commands(),
                **self._figures.commands(),
                **importing_commands(self._stores.spool, lambda: self._circle, here=here),
                **password_commands(self._stores.spool, lambda: self._circle, self.now, self._end_sessions, here=here),
            },
        )

    def _of_one_worker(self) -> list[Module]:
        # A refresh token may be good for one use only: the other workers read what this one has got. Mailboxes are theirs, too.
        if self._station.number:
            return []
        expiring = expiring_with(self._reactor, lambda: self._circle, self._stores.spool.journal, self.now)
        summary = Summary(
            self._reactor, self.now, self._stores.spool, self._queues.own, lambda: (self.settings, self._circle.router)
        )
        return [TokenKeeping(self._stores.tokens), expiring, summary]

    def _admission(self) -> list[Module]:
        return [] if self._station.prepared is None else [Admission(self._station.prepared)]

    def _signals(self) -> list[Module]:
        # They are the parent's business, and so is systemd.
        return [Signals(self._hang_ups.ready, self._notifier)] if self._station.alone else []
