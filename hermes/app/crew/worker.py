"""A worker: a whole server at the parent's sockets, with a shard of the spool of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.app.crew.link import (
    Adopt,
    Alive,
    Answer,
    Ask,
    Begin,
    Change,
    Echo,
    Failed,
    Forget,
    Link,
    Open,
    Prepare,
    Ready,
    Stop,
    connect,
)
from hermes.app.process import halt, why_not
from hermes.app.server import Change as Prepared
from hermes.app.server import Server, StartError
from hermes.app.staged import StagedService
from hermes.app.station import Station, settings_of_worker
from hermes.net.counts import SharedCounts, SharedTables

#: How often the parent hears from a worker; see :data:`hermes.app.crew.crew.SILENT_TICKS`.
ALIVE_SECONDS = 2.0

#: The parent is gone: what was acknowledged is on disk, and whoever starts the server again wants the sockets.
ORPHANED = 4

#: It could not start; the parent says why.
CANNOT_START = 3


class Worker:
    """One life of a worker, at its end of the link."""

    _log = Logger()

    def __init__(
        self, number: int, end: socket.socket, tables: SharedTables, reactor: Any, leave: Callable[[int], None]
    ) -> None:
        self._number = number
        self._tables = tables
        self._reactor = reactor
        self._leave = leave
        counts = SharedCounts(tables, number)
        self._station = Station(number, 1, counts, counts.crowded, {}, self._prepared_to_accept, self._tell)
        self._server: Server | None = None
        self._prepared: Prepared | None = None
        self._tasks: set[Deferred[None]] = set()
        self.status = 0
        self._stopped = False
        self._admitted: Deferred[None] = Deferred()
        self._link = Link(self._received, self._lost)
        connect(reactor, end, self._link)

    def _received(self, order: object, sockets: list[socket.socket]) -> None:
        if isinstance(order, Begin):
            self._take(order.places, sockets)
            self._begin(order)
        elif isinstance(order, Open):
            self._admit()
        elif isinstance(order, Stop):
            self.stop()
        elif isinstance(order, Forget):
            self._prepared = None
        elif isinstance(order, Echo):
            if self._server is not None:
                self._server.echoes.hear(order.about, order.values)
        elif isinstance(order, Ask | Prepare | Change | Adopt):
            if isinstance(order, Change):
                self._take(order.places, sockets)
            task = Deferred.fromCoroutine(self._answer(order))
            self._tasks.add(task)
            _ = task.addErrback(lambda failure: self._log.failure("An order of the parent failed", failure))
            _ = task.addBoth(lambda _: self._tasks.discard(task))

    async def _prepared_to_accept(self) -> None:
        self._link.send(Ready())
        await self._admitted

    def _admit(self) -> None:
        if not self._admitted.called:
            self._admitted.callback(None)

    def _tell(self, about: str, values: tuple[Any, ...]) -> None:
        self._link.send(Echo(about, values))

    def _take(self, places: tuple[str, ...], sockets: list[socket.socket]) -> None:
        assert self._station.sockets is not None
        self._station.sockets.update(zip(places, sockets, strict=True))

    def _begin(self, order: Begin) -> None:
        self._station.count = order.count
        settings = settings_of_worker(order.settings, self._number, order.count)
        try:
            self._server = Server(settings.file, settings, self._reactor, self._failed, self._station)
        except StartError as error:
            self._refuse(str(error))
            return
        service = self._server.service
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop)
        service.startService()
        signs = LoopingCall(lambda: self._link.send(Alive()))
        signs.clock = self._reactor
        _ = signs.start(ALIVE_SECONDS).addErrback(lambda failure: self._log.failure("No sign of life", failure))

    async def _stop_service(self, service: StagedService) -> None:
        await service.stopService()
        self._stopped = True

    def _stop(self) -> Deferred[None]:
        assert self._server is not None
        return Deferred.fromCoroutine(self._stop_service(self._server.service))

    def _lost(self) -> None:
        # At its end the reactor closes the link itself.
        if not self._stopped:
            self._leave(ORPHANED)

    def _failed(self, failure: Failure) -> None:
        self._refuse(why_not(failure))

    def _refuse(self, reason: str) -> None:
        self._link.send(Failed(reason))
        self.status = CANNOT_START
        # After the words have gone out.
        self._reactor.callLater(0.1, halt, self._reactor)

    def stop(self) -> None:
        """Stop in order."""
        halt(self._reactor)
        # The stop waits for the end of the start.
        self._admit()

    async def _answer(self, order: Ask | Prepare | Change | Adopt) -> None:
        try:
            answer = Answer(order.number, await self._carry_out(order))
        except LookupError as error:
            answer = Answer(order.number, error="lookup", text=_text(error))
        except (ValueError, TypeError) as error:
            answer = Answer(order.number, error="value", text=_text(error))
        except Exception as error:
            self._log.failure("An order of the parent could not be carried out")
            answer = Answer(order.number, error="fault", text=_text(error))
        self._link.send(answer)

    async def _carry_out(self, order: Ask | Prepare | Change | Adopt) -> object:
        server = self._server
        if server is None:
            raise ValueError("the worker has not begun")
        if isinstance(order, Prepare):
            self._prepared = await server.prepare(settings_of_worker(order.settings, self._number, self._station.count))
        elif isinstance(order, Change):
            prepared, self._prepared = self._prepared, None
            assert prepared is not None
            await server.change(prepared)
        elif isinstance(order, Adopt):
            await server.adopt(order.shard)
        else:
            if order.command == "queue.retry" and order.arguments.get("id") is None:
                # The parent adds them up, and puts it into words.
                return await server.relay.retry(None)
            return await server.commands().call(order.command, order.arguments)
        return None


def work(number: int, link: socket.socket, *, tables: SharedTables, reactor: Any) -> int:
    """Be a worker until it is time to go; the exit status. Called in a process that has just been forked."""
    renew(reactor)
    worker = Worker(number, link, tables, reactor, os._exit)
    reactor.callWhenRunning(take_signals, reactor, worker.stop)
    reactor.run()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    return worker.status


def take_signals(reactor: Any, stop: Callable[[], None]) -> None:
    """Stop at SIGTERM. What a terminal sends goes to all processes of the group and is for the parent."""
    signal.signal(signal.SIGTERM, lambda number, frame: reactor.callFromThread(stop))
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def renew(reactor: Any) -> None:
    """
    Make a reactor that has not run as new, in a process that was forked.

    Twisted's mail classes import it, so it is there before the fork; it has not run, but its descriptors are shared with the
    parent, and one process would take the other's events.
    """
    # twistd may have been told to use a reactor without a poller.
    with contextlib.suppress(AttributeError):
        reactor._poller.close()
    reactor.waker.connectionLost(None)
    reactor.__dict__.clear()
    reactor.__init__()


def _text(error: BaseException) -> str:
    return str(error.args[0] if error.args else error)
