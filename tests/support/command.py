"""Running the ``hermes`` command inside a test, on a site in a directory of its own."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.cli.main import main
from hermes.config.loader import load
from hermes.config.places import spool_directory
from hermes.core.envelope import Envelope, Origin, Recipient
from hermes.core.event import Event
from hermes.core.message import QueuedMessage
from hermes.spool.store import Spool
from tests.support.configuration import MINIMAL
from tests.support.worker import ImmediateWorker


class CommandTestCase(SynchronousTestCase):
    """A test of the command line; ``site()`` makes a site."""

    def run_hermes(
        self,
        *words: str,
        typed: str | bytes | None = None,
        exit_code: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Result:
        """Run ``hermes`` with these words and see that it ends as expected, without a fault of its own."""
        fixed = {"HERMES_CONFIG": None, "HERMES_DEBUG": "1"}
        result = CliRunner(env={**fixed, **(environment or {})}).invoke(main, words, input=typed, prog_name="hermes")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.assertEqual(result.exit_code, exit_code, f"{words}: {result.output}")
        self.assertNotIn("Traceback", result.output)
        return result

    def run_json(self, *words: str, exit_code: int = 0) -> Any:
        """Run ``hermes`` with ``--json``; what it printed, read."""
        return json.loads(self.run_hermes(*words, "--json", exit_code=exit_code).stdout)

    def site(self, more: str = "") -> str:
        """Write a configuration with a data directory; its path, short enough for UNIX sockets below it."""
        directory = tempfile.mkdtemp(prefix="hermes-")
        self.addCleanup(shutil.rmtree, directory)
        path = Path(directory) / "config.ini"
        path.write_text(MINIMAL + more)
        path.chmod(0o600)
        (Path(directory) / "data").mkdir(mode=0o700)
        return str(path)


def fill_spool(case: SynchronousTestCase, config: str, work: Callable[[Spool], Iterable[Deferred[Any]]]) -> None:
    """Open the spool of a site, as a server does, have ``work`` done in it, and close it."""
    spool = Spool(
        spool_directory(load(config)),
        ImmediateWorker(),
        ImmediateWorker(),
        now=lambda: 1_800_000_000.0,
        observer=lambda event: None,
    )
    case.successResultOf(Deferred.fromCoroutine(spool.open()))
    for done in work(spool):
        case.successResultOf(done)
    case.successResultOf(Deferred.fromCoroutine(spool.close()))


def queue_message(
    case: SynchronousTestCase,
    config: str,
    *,
    sender: str = "anna@example.org",
    recipients: tuple[str, ...] = ("bob@example.net",),
) -> QueuedMessage:
    """Put a message into the queue of a site."""
    queued: list[QueuedMessage] = []

    def work(spool: Spool) -> Iterable[Deferred[Any]]:
        envelope = Envelope(sender, tuple(Recipient(address) for address in recipients))
        writer = spool.create()
        writer.write(b"Return-Path: <>\nSubject: x\n\nbody\n")
        origin = Origin("ESMTPSA", "192.0.2.7", "client.example.org", "TLSv1.3 TLS_AES_256_GCM_SHA384", "anna")
        facts = {
            "peer": origin.peer,
            "hello": origin.hello,
            "protocol": origin.protocol,
            "tls": origin.tls,
            "account": origin.account,
            "size_octets": 20,
            "recipients": len(recipients),
        }
        committed = Deferred.fromCoroutine(
            writer.commit(
                envelope, origin, dict.fromkeys(recipients, "direct:example.net"), "<1@example.org>", 20, 16, facts
            )
        )
        committed.addCallback(queued.append)
        yield committed

    fill_spool(case, config, work)
    return queued[0]


def record(case: SynchronousTestCase, config: str, *events: Event) -> None:
    """Put events into the trace of a site."""
    fill_spool(case, config, lambda spool: [Deferred.fromCoroutine(spool.record(events))])


class FakeServer:
    """
    What listens at the control socket of a site: remembers questions and gives the answers that the test has prepared.

    An answer is a value for JSON, or octets that are sent as they are.
    """

    def __init__(self, case: SynchronousTestCase, config: str, *answers: object) -> None:
        self.questions: list[Any] = []
        self._answers = list(answers)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(Path(config).parent / "data" / "control.sock"))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        case.addCleanup(self._stop)

    def _serve(self) -> None:
        for answer in self._answers:
            connection, _ = self._socket.accept()
            with connection, connection.makefile("rb") as lines:
                self.questions.append(json.loads(lines.readline()))
                connection.sendall(answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n")

    def _stop(self) -> None:
        # Every answer was fetched, or the test has failed already and leaves the thread behind.
        self._thread.join(5)
        self._socket.close()
