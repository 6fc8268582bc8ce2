"""What can be asked of a running server about transcripts."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.transcript_orders import TranscriptOrders
from hermes.services.transcript_files import TranscriptFiles
from hermes.services.transcripts import Transcripts
from tests.support.worker import ImmediateWorker


class OrderTests(SynchronousTestCase):
    """The orders by their names."""

    def setUp(self) -> None:
        """Transcripts of nobody."""
        self.clock = Clock()
        files = TranscriptFiles(ImmediateWorker(), self.clock.seconds)
        self.commands = TranscriptOrders(Transcripts(self.clock, self.clock.seconds, files)).commands()

    def ask(self, name: str, **arguments: object) -> Any:
        """The answer to an order."""
        return self.successResultOf(Deferred.fromCoroutine(self.commands[name](arguments)))

    def refused(self, kind: type[Exception], name: str, **arguments: object) -> str:
        """Why an order is not carried out."""
        call = Deferred.fromCoroutine(self.commands[name](arguments))
        return str(self.failureResultOf(call, kind).value)

    def test_on_and_off(self) -> None:
        """What is asked for is listed with the time that is left, until it is ended or over."""
        self.assertIn("ip 192.0.2.0/24", self.ask("transcript.on", ip="192.0.2.0/24", seconds=60))
        self.ask("transcript.on", account="anna", seconds=3600)
        self.clock.advance(10)
        self.assertEqual(
            self.ask("transcript.list"),
            [
                {"kind": "ip", "which": "192.0.2.0/24", "seconds_left": 50},
                {"kind": "account", "which": "anna", "seconds_left": 3590},
            ],
        )
        self.assertIn("1 order ended", self.ask("transcript.off", ip="192.0.2.0/24"))
        self.assertIn("1 order ended", self.ask("transcript.off"))
        self.assertIn("0 orders ended", self.ask("transcript.off"))
        self.ask("transcript.on", service="pop3", seconds=1)
        self.clock.advance(1)
        self.assertEqual(self.ask("transcript.list"), [])

    def test_refused(self) -> None:
        """What is not clear is not guessed."""
        self.assertIn("whose", self.refused(ValueError, "transcript.on", seconds=60))
        self.assertIn("several", self.refused(ValueError, "transcript.on", ip="::1", account="anna", seconds=60))
        self.assertIn("how long", self.refused(ValueError, "transcript.on", ip="::1"))
        self.assertIn("1d", self.refused(ValueError, "transcript.on", ip="::1", seconds=10**6))
        self.assertIn("not a range", self.refused(ValueError, "transcript.on", ip="nowhere", seconds=60))
        self.assertIn("nobody has asked", self.refused(LookupError, "transcript.off", ip="::1"))
