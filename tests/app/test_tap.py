"""``twistd hermes``: how twistd finds it, its options, and what it refuses."""

from __future__ import annotations

import atexit
import os
from typing import Any

from twisted.application.service import IService, IServiceMaker
from twisted.internet.testing import MemoryReactor
from twisted.logger import LogLevel, capturedLogs
from twisted.plugin import IPlugin, getPlugins
from twisted.python.failure import Failure
from twisted.python.usage import UsageError
from zope.interface.verify import verifyObject

from hermes import tap
from tests.support.server import ServerTestCase


class PluginTests(ServerTestCase):
    """What twistd looks up."""

    def test_found(self) -> None:
        """Twistd finds the maker among its plugins, and the module that it names."""
        makers: list[Any] = [maker for maker in getPlugins(IServiceMaker) if maker.tapname == "hermes"]
        (maker,) = makers
        verifyObject(IPlugin, maker)
        verifyObject(IServiceMaker, maker)
        self.assertIs(maker.options, tap.Options)
        self.assertIs(maker.makeService, tap.makeService)


class OptionsTests(ServerTestCase):
    """The command line."""

    def test_no_configuration(self) -> None:
        """Without a configuration it is not guessed."""
        options = tap.Options()
        options["config"] = ""
        error = self.assertRaises(UsageError, options.parseOptions, [])
        self.assertEqual(str(error), "which configuration? Give -c FILE, or set HERMES_CONFIG")

    def test_absolute(self) -> None:
        """Twistd changes its directory: the path is made absolute before that."""
        options = tap.Options()
        options.parseOptions(["-c", "config.ini"])
        self.assertEqual(options["config"], os.path.abspath("config.ini"))


class MakeServiceTests(ServerTestCase):
    """The service."""

    def make(self, path: str) -> Any:  # type: ignore[override]
        """What twistd gets."""
        options = tap.Options()
        options.parseOptions(["-c", path])
        return tap.makeService(options)

    def test_made(self) -> None:
        """The service is what ``hermes run`` starts, with its sockets bound."""
        service = self.make(self.write())
        self.addCleanup(service.abandon)
        verifyObject(IService, service)
        self.assertTrue((self.data / "control.sock").exists())
        self.assertFalse(service.running)

    def test_wrong_configuration(self) -> None:
        """A configuration that is wrong ends twistd with file and line, not with a traceback."""
        path = self.write("[smtp]\nmax_size = big\n", accounts=False)
        error = self.assertRaises(SystemExit, self.make, path)
        self.assertIn(f"{path}:6: [smtp] max_size:", str(error))

    def test_cannot_be_made(self) -> None:
        """So is one that points to nothing."""
        path = self.write("[tls]\ncertificate = none.pem\nkey = none.key\n")
        error = self.assertRaises(SystemExit, self.make, path)
        self.assertEqual(
            str(error), f"hermes: {self.data}/none.pem: the certificate cannot be read: No such file or directory"
        )

    def test_start_fails(self) -> None:
        """When the stores cannot be opened the log says why, the reactor ends as soon as it runs, and the status is not 0."""
        reactor = MemoryReactor()
        self.patch(tap, "reactor", reactor)
        kept: list[Any] = []

        def server(path: str, settings: object, reactor: object, failed: object) -> Any:
            kept.append(failed)
            return type("Server", (), {"service": None})

        self.patch(tap, "Server", server)
        self.make(self.write())
        last: list[tuple[object, ...]] = []
        self.patch(atexit, "register", lambda *call: last.append(call))
        with capturedLogs() as said:
            kept[0](Failure(OSError("the disk is gone")))
        self.assertEqual(last, [(os._exit, 3)])
        self.assertEqual(
            [(each["log_level"], each["reason"]) for each in said], [(LogLevel.critical, "the disk is gone")]
        )
        ((hook, arguments, _),) = reactor.whenRunningHooks
        self.assertFalse(reactor.hasStopped)
        hook(*arguments)
        self.assertTrue(reactor.hasStopped)
