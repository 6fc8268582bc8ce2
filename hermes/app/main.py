"""``hermes run``: the server in the foreground, with an exit status that tells the truth."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import Any

from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.python.failure import Failure

from hermes.app.crew.nursery import Nursery
from hermes.app.crew.parent import Parent
from hermes.app.crew.worker import work
from hermes.app.process import halt, why_not
from hermes.app.server import Server, StartError
from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.config.schema import Settings
from hermes.config.worker_rules import workers_of
from hermes.net.counts import SharedTables

#: The configuration is wrong, a port is taken, or a store cannot be opened.
CANNOT_START = 3

#: The workers died again and again.
BROKEN = 1

#: Ended without waiting, because a second signal came.
STOPPED_TWICE = 1

_log = Logger()


#: Who tells of every port, name look-up and end of the main loop as "info"; our own modules say what matters of that.
_CHATTER = ("log_legacy", "twisted")


def run(path: str) -> int:
    """Run until stopped; return the exit status."""
    from twisted.internet import reactor  # noqa: PLC0415 - only a process that serves wants the reactor

    try:
        settings = load(path)
        _begin_logging(settings.log.level)
        running = _Run(os.path.abspath(path), settings, reactor, workers_of(settings))
    except (ConfigError, StartError) as error:
        return _refuse(str(error))
    return running.run()


class _Run:
    """One run of the reactor."""

    def __init__(self, path: str, settings: Settings, reactor: Any, workers: int = 1) -> None:
        self._reactor = reactor
        self._status = 0
        self._stopping = False
        self._server: Server | Parent
        if workers == 1:
            self._server = Server(path, settings, reactor, self._failed)
        else:
            tables = SharedTables(workers)
            # Before anything is opened, so that the workers have nothing of it.
            nursery = Nursery.fork(partial(work, tables=tables, reactor=reactor))
            self._server = Parent(path, settings, reactor, self._failed, self._broken, nursery, tables)

    def run(self) -> int:
        service = self._server.service
        self._reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
        self._reactor.callWhenRunning(service.startService)
        self._reactor.callWhenRunning(self._take_signals)
        self._reactor.run()
        if isinstance(self._server, Parent):
            self._server.close()
        return self._status

    def _take_signals(self) -> None:
        # Not before the reactor runs, because it puts its own in place then, which know no second time.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: self._reactor.callFromThread(self._signaled))

    def _signaled(self) -> None:
        """The first signal stops in order. Whoever sends another does not want to wait for sessions and deliveries."""
        if not self._stopping:
            self._stopping = True
            halt(self._reactor)
            return
        # Nothing is lost by it: what was acknowledged is on disk, and the next start goes on from there.
        _log.warn("Told to stop again: ending at once")
        os._exit(STOPPED_TWICE)

    def _broken(self, reason: str) -> None:
        """Stop in order what is left; whoever supervises the server starts it again."""
        self._status = BROKEN
        _log.critical("Hermes cannot go on: {reason}", reason=reason)
        halt(self._reactor)

    def _failed(self, failure: Failure) -> None:
        self._status = _refuse(why_not(failure))
        halt(self._reactor)


def _refuse(reason: str) -> int:
    print(f"hermes: {reason}", file=sys.stderr)  # noqa: T201 - the one line that says why
    return CANNOT_START


def _begin_logging(level: str) -> None:
    wanted = LogLevel.levelWithName(level)
    predicate = LogLevelFilterPredicate(wanted)
    if wanted is LogLevel.info:
        for namespace in _CHATTER:
            predicate.setLogLevelForNamespace(namespace, LogLevel.warn)
    # systemd's journal has its own time stamps, but a terminal and a file do not.
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [predicate])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
