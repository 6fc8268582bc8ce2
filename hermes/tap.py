"""``twistd hermes``: the options, and the service that twistd starts."""

from __future__ import annotations

import atexit
import os

from twisted.application.service import IService
from twisted.internet import reactor
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError
from typing_extensions import override

from hermes.app.main import CANNOT_START
from hermes.app.process import halt, why_not
from hermes.app.server import Server, StartError
from hermes.config.errors import ConfigError
from hermes.config.loader import load

_log = Logger()


class Options(TwistedOptions):
    """The command line of ``twistd hermes``."""

    optParameters = [["config", "c", os.environ.get("HERMES_CONFIG", ""), "The configuration, config.ini."]]

    longdesc = "A complete mail server. 'hermes init' writes a configuration; 'hermes --help' lists what else there is."

    @override
    def postOptions(self) -> None:
        if not self["config"]:
            raise UsageError("which configuration? Give -c FILE, or set HERMES_CONFIG")
        # twistd changes its directory when it goes into the background.
        self["config"] = os.path.abspath(self["config"])


def makeService(options: Options) -> IService:
    """
    Read the configuration, open the sockets, and return the service; twistd ends with one line if that fails.

    What fails later is in the log, and the process ends with the same status as that of ``hermes run``.
    """

    def failed(failure: Failure) -> None:
        _log.critical("Hermes cannot start: {reason}", reason=why_not(failure))
        # twistd runs the reactor itself, and lets no service say with which status it ends: all that is its own, the file with
        # its process id above all, has been cleaned up when this is called.
        atexit.register(os._exit, CANNOT_START)
        reactor.callWhenRunning(halt, reactor)

    try:
        server = Server(options["config"], load(options["config"]), reactor, failed)
    except (ConfigError, StartError) as error:
        # At this point twistd would print the traceback of any other exception.
        raise SystemExit(f"hermes: {error}") from None
    return server.service
