"""
The server as a whole: from settings to one ``MultiService``, and from one set of settings to the next.

Whatever can fail when a server starts, fails before anything has begun: certificates are read and sockets are bound when the
:class:`Server` is made. What can only fail later (the stores) ends the start in order.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from random import SystemRandom
from typing import Any

from twisted.conch.ssh.keys import BadKeyError
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes import __version__
from hermes.app.circle import Circle
from hermes.app.commands import Commands
from hermes.app.entrances import Entrance, entrances
from hermes.app.greylisting import greylist_commands
from hermes.app.housekeeping import Housekeeping
from hermes.app.listening import Closing, Door, Listening
from hermes.app.modules import Delivery, Passage, Signals
from hermes.app.redirects import files_of
from hermes.app.small_entrances import small_entrances
from hermes.app.staged import StagedService
from hermes.app.stores import Stores
from hermes.app.token_keeping import TokenKeeping, clients_of
from hermes.app.transcript_orders import TranscriptOrders
from hermes.config.catalog import FIXED
from hermes.config.errors import ConfigError
from hermes.config.listener import parse_listener
from hermes.config.loader import load
from hermes.config.places import control_socket
from hermes.config.schema import Settings
from hermes.config.smarthost_rules import smarthosts_of
from hermes.net.certificates import Certificates, certificates_of
from hermes.net.descriptors import allow
from hermes.net.gate import Gate
from hermes.net.listen import ListenError, bind, discard, inherited_socket
from hermes.net.notify import Notifier
from hermes.net.resolver import MAX_RUNNING
from hermes.queue.relay import RelayManager
from hermes.services.control import ControlFactory
from hermes.services.manhole import make_factory

#: Open files beside those of connections: listeners, stores, logs, mailboxes that are open and messages being put into them.
DESCRIPTORS_BESIDE = 256


class StartError(Exception):
    """The server cannot start; the text says why, for the administrator."""


class Server:
    """All of Hermes. ``service`` is what is started and stopped; ``failed`` is called when it cannot start."""

    _log = Logger()

    def __init__(self, path: str, settings: Settings, reactor: Any, failed: Callable[[Failure], None]) -> None:
        self.settings = settings
        self.now = time.time
        self._path = path
        self._reactor = reactor
        self._inherited = partial(inherited_socket, reactor)
        self._notifier = Notifier(os.environ)
        self._started_at = reactor.seconds()
        self._reloading = False
        self._stores = Stores(settings, reactor, self.now)
        self.offenders = self._stores.offenders
        self.rates = self._stores.rates
        self.greylist = self._stores.greylist
        self._gate = Gate(settings.limits, reactor.seconds, self.offenders)
        self.logins = self._gate.logins
        self._stores.tokens.clients = clients_of(settings)
        self.spool = self._stores.spool
        self._listening = {
            name: Listening(name, reactor) for name in ("smtp", "pop3", "poppass", "finger", "phonebook")
        }
        self.service = StagedService(reactor, failed)
        try:
            _make_data_directory(settings)
            self._tls = certificates_of(settings)
            self._circle = self._make_circle(settings)
            self.offenders.reconfigure(settings, self._circle.access)
            self.relay = self._make_relay()
            self._places = self._entrances(settings, self._circle, self._tls)
            self._fill_service()
        except (ValueError, ListenError) as error:
            self.service.abandon()
            raise StartError(str(error)) from error
        self._allow_descriptors()
        self._transcribe()

    # What the control socket and the manhole ask

    def sessions(self) -> list[dict[str, object]]:
        """Who is connected."""
        return [session.describe() for listening in self._listening.values() for session in listening.sessions()]

    def status(self) -> dict[str, object]:
        """Counters of the whole server."""
        return {
            "version": __version__,
            "hostname": self.settings.hermes.hostname,
            "process": os.getpid(),
            "up_seconds": int(self._reactor.seconds() - self._started_at),
            "connections": self._gate.connections,
            **{f"{name}_listens": ", ".join(sorted(each.places)) for name, each in self._listening.items()},
            **{f"{name}_sessions": len(each.sessions()) for name, each in self._listening.items()},
            **{f"dns_{name}": value for name, value in self._stores.resolvers.describe().items()},
            **{f"dnsbl_{name}": line for name, line in self._stores.lists.describe().items()},
            "certificates": self._tls.describe() if self._tls is not None else [],
            **{f"greylist_{name}": value for name, value in self._stores.greylist.describe().items()},
            "outgoing_connections": self._circle.connections(),
            **{f"queue_{name}": value for name, value in self.relay.describe().items()},
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
        if not self.service.running:
            raise ValueError("the server is stopping: it reads the configuration when it starts again")
        if self._reloading:
            raise ValueError("a reload is going on already: try again in a moment")
        self._notifier.reloading(time.monotonic())
        self._reloading = True
        try:
            return await self._reload()
        finally:
            self._reloading = False
            self._notifier.ready()

    async def _reload(self) -> str:
        settings = self._load_again()
        # What may fail comes first; the sockets last, because they would have to be closed again.
        tls = certificates_of(settings)
        circle = self._make_circle(settings)
        wanted = self._entrances(settings, circle, tls)
        self._refuse_other_uses(wanted)
        doors = self._bind(one for place, one in wanted.items() if place not in self._places)
        # From here on nothing can fail.
        before, self._places = self._places, wanted
        old_circle, self._circle = self._circle, circle
        self.settings, self._tls, self._gate.settings = settings, tls, settings.limits
        self.offenders.reconfigure(settings, circle.access)
        self._stores.tokens.clients = clients_of(settings)
        self._allow_descriptors()
        self._transcribe()
        self.relay.reconfigure(
            settings.queue,
            circle.router,
            circle.agents,
            circle.limits,
            hostname=settings.hermes.hostname,
            postmaster=settings.hermes.postmaster,
            expander=circle.expander,
            reporting=circle.reporting,
        )
        self._stores.redirects.use(files_of(settings))
        for place in before.keys() & wanted.keys():
            self._listening[wanted[place].module].switch(place, wanted[place].factory)
        self._open(doors)
        for place in before.keys() - wanted.keys():
            await self._listening[before[place].module].close(place)
        self._stores.reopen_log()
        await old_circle.stop()
        self._log.info("The configuration {path} is in force", path=self._path)
        return "The configuration is in force."

    def _load_again(self) -> Settings:
        try:
            settings = load(self._path)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        changed = [key for key in FIXED if _value(self.settings, key) != _value(settings, key)]
        if changed:
            raise ValueError(f"{', '.join(changed)} cannot be changed while the server runs: restart it")
        return settings

    def _refuse_other_uses(self, wanted: Mapping[str, Entrance]) -> None:
        new = sorted(wanted.keys() - self._places.keys())
        for place, now in self._places.items():
            if place in wanted and wanted[place].section != now.section:
                raise ValueError(
                    f"{place} is {now.section} and cannot become {wanted[place].section} while the server runs: restart it"
                )
            # The old one would have to be closed before the new one is opened, and then there would be no way back.
            for other in new:
                if parse_listener(other).overlaps(parse_listener(place)):
                    raise ValueError(f"{other} cannot be opened beside {place} while the server runs: restart it")

    def _allow_descriptors(self) -> None:
        """Ask the system for as many open files as the settings let in."""
        limits, direct = self.settings.limits, self.settings.direct
        smarthosts = sum(each.connections for each in smarthosts_of(self.settings).values())
        # Each connection may have a message under way that is large enough to be a file.
        wanted = 2 * limits.connections + direct.connections + smarthosts + MAX_RUNNING + DESCRIPTORS_BESIDE
        allowed = allow(wanted)
        if allowed < wanted:
            self._log.warn(
                "The system allows {allowed} open files, and limits.connections = {connections} may need {wanted}:"
                " raise the hard limit (ulimit -Hn, or LimitNOFILE= of the unit)",
                allowed=allowed,
                connections=limits.connections,
                wanted=wanted,
            )

    def _transcribe(self) -> None:
        """Let the settings in force say which sessions are written down."""
        asked = any(entry.log for entry in self.settings.access.values())
        self._stores.transcripts.reconfigure(self.settings.transcripts, self._circle.access if asked else None)

    async def _expire(self) -> None:
        self._stores.transcripts.tidy()
        await self.spool.expire_trace(self.now() - self.settings.trace.keep)

    async def _leave(self) -> None:
        await self._circle.stop()

    # Making the parts

    def _make_circle(self, settings: Settings) -> Circle:
        try:
            return Circle(settings, self._stores, self._reactor, self.now, lambda: self.relay)
        except ConfigError as error:
            # A file of rules beside config.ini, with its lines.
            raise ValueError(str(error)) from None

    def _make_relay(self) -> RelayManager:
        settings, circle = self.settings, self._circle
        return RelayManager(
            self.spool,
            circle.router,
            circle.agents,
            settings.queue,
            self._reactor,
            now=self.now,
            random=SystemRandom(),
            reader=self._stores.reader,
            hostname=settings.hermes.hostname,
            postmaster=settings.hermes.postmaster,
            limits=circle.limits,
            expander=circle.expander,
            reporting=circle.reporting,
        )

    def _entrances(self, settings: Settings, circle: Circle, tls: Certificates | None) -> dict[str, Entrance]:
        """The listeners that the settings ask for, by their places."""
        wanted = [
            *entrances(settings, circle, self._stores, self._reactor, self._gate, tls),
            *small_entrances(settings, circle, self._stores, self._reactor, self._gate, tls, self._end_sessions),
        ]
        return {one.place: one for one in wanted}

    def _end_sessions(self, account: str) -> int:
        """Let all sessions of an account end, with the command of the moment; how many there are."""
        mail = [session for name in ("smtp", "pop3") for session in self._listening[name].sessions()]
        of_account = [session for session in mail if session.describe()["account"] == account]
        for session in of_account:
            session.shut_down()
        return len(of_account)

    def _fill_service(self) -> None:
        """Put the modules into the service and bind their sockets; raise ValueError or ListenError."""
        transcripts = self._stores.transcripts
        passages = self._passages(
            Commands(self, {**TranscriptOrders(transcripts).commands(), **greylist_commands(self.greylist)})
        )
        listening = self._listening.values()
        housekeeping = Housekeeping(
            self._reactor,
            follow_offenders=self.offenders.follow,
            keep_rates=self._stores.keep_rates,
            expire_trace=self._expire,
            certificates=lambda: self._tls,
            notifier=self._notifier,
        )
        for module in (
            self._stores,
            TokenKeeping(self._stores.tokens),
            Delivery(self.relay, self._leave),
            *passages,
            *listening,
            Closing(listening),
            housekeeping,
            Signals(self._reactor, self.reload, self._notifier),
        ):
            module.setServiceParent(self.service)
        self._open(self._bind(self._places.values()))
        for passage in passages:
            passage.bind(self._inherited)

    def _passages(self, control: Commands) -> list[Passage]:
        place, answering = f"unix:{control_socket(self.settings)}", ControlFactory(control, self._reactor)
        passages = [Passage("control", self._reactor, place, answering)]
        manhole = self.settings.manhole
        if manhole.listen:
            try:
                shell = make_factory(control, manhole.authorized_keys, manhole.host_key)
            except (OSError, ValueError, BadKeyError) as error:
                why = error.strerror if isinstance(error, OSError) else "this is not a private key without a passphrase"
                raise ValueError(f"[manhole] host_key: {manhole.host_key}: {why}") from error
            passages += [Passage("manhole", self._reactor, place, shell) for place in manhole.listen]
        return passages

    def _bind(self, wanted: Iterable[Entrance]) -> list[tuple[Entrance, socket.socket]]:
        """Bind all or none; raise ValueError with a text for the administrator."""
        bound: list[tuple[Entrance, socket.socket]] = []
        for one in wanted:
            try:
                bound.append((one, bind(parse_listener(one.place), self._inherited)))
            except ListenError as error:
                for other, opened in bound:
                    discard(parse_listener(other.place), opened)
                raise ValueError(f"{one.section}: {error}") from error
        return bound

    def _open(self, doors: Iterable[tuple[Entrance, socket.socket]]) -> None:
        for one, opened in doors:
            self._listening[one.module].open(Door(one.place, opened, one.factory))


def halt(reactor: Any) -> None:
    """Stop the reactor, unless that has been done."""
    with contextlib.suppress(ReactorNotRunning):
        reactor.stop()


def _make_data_directory(settings: Settings) -> None:
    try:
        os.makedirs(settings.hermes.data, mode=0o700, exist_ok=True)
    except OSError as error:
        raise ValueError(f"[hermes] data: {settings.hermes.data}: {error.strerror}") from error


def _value(settings: Settings, key: str) -> object:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)
