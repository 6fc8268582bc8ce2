"""``hermes run``: its exit status, and the one line that says why."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactor
from twisted.logger import Logger, LogLevel, LogPublisher, globalLogBeginner
from twisted.python.failure import Failure

import hermes
from hermes.app import main
from tests.support.server import ServerTestCase


class InProcessTests(ServerTestCase):
    """Refusals before the reactor runs."""

    def refused(self, path: str) -> str:
        """What is printed."""
        printed = io.StringIO()
        self.patch(sys, "stderr", printed)
        self.patch(main, "_begin_logging", lambda level: None)
        self.assertEqual(main.run(path), 3)
        return printed.getvalue()

    def test_wrong_configuration(self) -> None:
        """A configuration that is wrong is refused with file and line."""
        path = self.write("[smtp]\nmax_size = big\n", accounts=False)
        self.assertIn(f"{path}:6: [smtp] max_size:", self.refused(path))

    def test_no_configuration(self) -> None:
        """So is one that is not there."""
        path = str(Path(self.mktemp()).absolute())
        self.assertEqual(self.refused(path), f"hermes: {path}: cannot be read: No such file or directory\n")

    def test_port_in_use(self) -> None:
        """A port that is taken is named in one line."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            text = self.refused(self.write(f"[smtp]\nlisten = 127.0.0.1:{taken.getsockname()[1]}\n"))
        self.assertRegex(text, r"\Ahermes: \[smtp\] listen: cannot listen at 127\.0\.0\.1:\d+: .*\n\Z")


class RunTests(ServerTestCase):
    """One run of a reactor in memory."""

    def run_with(self, server: Callable[[Any], None]) -> tuple[int, MemoryReactor, str]:
        """Run; ``server`` is called with what it is to call when it cannot start. Status, reactor, and what is printed."""
        reactor = MemoryReactor()
        printed = io.StringIO()
        self.patch(sys, "stderr", printed)

        class Service:
            def startService(self) -> None:
                """Start, as the test says."""
                server(self.failed)

            def stopService(self) -> None:
                """End."""

        service = Service()

        def make(path: str, settings: object, reactor: object, failed: object) -> Any:
            service.failed = failed  # type: ignore[attr-defined]
            return type("Server", (), {"service": service})

        self.patch(main, "Server", make)
        status = main._Run("/config.ini", None, reactor).run()
        return status, reactor, printed.getvalue()

    def test_orderly(self) -> None:
        """A run that was stopped in order ends with 0, and the service is stopped before the reactor is."""
        status, reactor, printed = self.run_with(lambda failed: None)
        self.assertEqual((status, printed), (0, ""))
        ((callable_, _, _),) = reactor.triggers["before"]["shutdown"]
        self.assertEqual(callable_.__name__, "stopService")

    def test_start_fails(self) -> None:
        """One whose stores cannot be opened ends with 3 and a line that says why."""
        status, reactor, printed = self.run_with(lambda failed: failed(Failure(OSError("the disk is gone"))))
        self.assertEqual((status, printed), (3, "hermes: the disk is gone\n"))
        self.assertTrue(reactor.hasStopped)

    def test_file(self) -> None:
        """What the system says of a file is said with its name, and without the number of the error."""
        error = PermissionError(13, "Permission denied", "data/mail.log")
        status, _, printed = self.run_with(lambda failed: failed(Failure(error)))
        self.assertEqual((status, printed), (3, "hermes: data/mail.log: Permission denied\n"))


class LoggingTests(ServerTestCase):
    """The server's own log on standard error."""

    def test_level(self) -> None:
        """What is below the level of the settings is not written."""
        printed = io.StringIO()
        self.patch(sys, "stderr", printed)
        publisher = LogPublisher()
        self.patch(
            globalLogBeginner, "beginLoggingTo", lambda observers, redirectStandardIO: publisher.addObserver(*observers)
        )
        log = Logger(observer=publisher)
        main._begin_logging("warn")
        for level in LogLevel.iterconstants():
            log.emit(level, "it is {name}", name=level.name)
        self.assertEqual(
            [line.rpartition(" ")[2] for line in printed.getvalue().splitlines()], ["warn", "error", "critical"]
        )

    def test_chatter(self) -> None:
        """What Twisted says of itself is written at "debug" only; its warnings are."""
        for level, expected in (("info", ["ours", "warned"]), ("debug", ["ours", "chat", "old", "warned"])):
            printed = io.StringIO()
            self.patch(sys, "stderr", printed)
            publisher = LogPublisher()
            self.patch(
                globalLogBeginner,
                "beginLoggingTo",
                lambda observers, redirectStandardIO, publisher=publisher: publisher.addObserver(*observers),
            )
            main._begin_logging(level)
            Logger("hermes.x", observer=publisher).info("ours")
            Logger("twisted.internet.base", observer=publisher).info("chat")
            Logger("log_legacy", observer=publisher).info("old")
            Logger("twisted.internet.base", observer=publisher).warn("warned")
            self.assertEqual([line.rpartition(" ")[2] for line in printed.getvalue().splitlines()], expected)


class ProcessTests(ServerTestCase):
    """The whole process."""

    def begin(self, more: str = "", *, accounts: bool = True) -> subprocess.Popen[str]:  # type: ignore[override]
        """Start it."""
        return self.process([sys.executable, "-m", "hermes.cli.main", "run", "-c", self.write(more, accounts=accounts)])

    def process(self, words: list[str]) -> subprocess.Popen[str]:
        """It is ended with the test."""
        environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
        environment["PYTHONPATH"] = str(Path(hermes.__file__).parents[1])
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        assert process.stderr is not None
        self.addCleanup(process.stderr.close)
        return process

    def test_stop(self) -> None:
        """SIGTERM ends it in order, with status 0."""
        process = self.begin()
        assert process.stderr is not None
        for line in process.stderr:
            if "Hermes is ready" in line:
                break
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(), 0)
        self.assertFalse((self.data / "control.sock").exists())

    def test_hang_up_at_the_beginning(self) -> None:
        """SIGHUP while the configuration is being read does not end it: what was edited meanwhile is in force soon after."""
        path = Path(self.write())
        pipe, edited = path.with_suffix(".pipe"), path.read_text()
        os.mkfifo(pipe, 0o600)
        words = [sys.executable, "-m", "hermes.cli.main", "run", "-c", str(pipe)]
        process = self.process(words)
        assert process.stderr is not None
        with pipe.open("w") as writer:
            # It reads now, and waits for us.
            process.send_signal(signal.SIGHUP)
            path.replace(pipe)
            writer.write(edited.replace("mail.example.org", "old.example.org"))
        for line in process.stderr:
            if "is in force" in line:
                break
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(), 0)

    def test_store_cannot_be_opened(self) -> None:
        """Accounts that are not there: status 3, and the last line says why."""
        process = self.begin("[log]\nlevel = error\n", accounts=False)
        _, printed = process.communicate()
        self.assertEqual(process.returncode, 3)
        self.assertRegex(printed, rf"\Ahermes: {self.data}/accounts\.ini: .*no such file.*\n\Z")
