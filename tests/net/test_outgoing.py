"""Connecting to another server when nobody answers; the rest is tested with the agents, over sockets."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as WaitedTooLong
from twisted.internet.error import ConnectError, NoRouteError, TimeoutError, getConnectError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.outcome import Result
from hermes.net.outgoing import CONNECT_SECONDS, Approach, Target, open_session
from hermes.protocols.smtp.client_events import Stage


class Unreachable(Clock):
    """A reactor whose connections all fail in the same way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.timeouts: list[float] = []

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float, bindAddress: Any) -> None:
        """Fail."""
        self.timeouts.append(timeout)
        factory.clientConnectionFailed(None, Failure(self.error))


class ConnectTests(SynchronousTestCase):
    """What it means that there is no connection."""

    def test_words(self) -> None:
        """The reason says whom, where and why; the status is that nobody answered (RFC 3463 3.5)."""
        for error, words in (
            (TimeoutError(), "no answer within 30 seconds"),
            (NoRouteError(osError=OSError(101, "Network is unreachable")), "Network is unreachable"),
            (ConnectError(), "An error occurred while connecting"),
            # As Twisted's own transports have it.
            (getConnectError((111, "Connection refused")), "Connection refused"),
            (getConnectError(OSError(113, "No route to host")), "No route to host"),
            (OSError(97, "Address family not supported by protocol"), "Address family not supported by protocol"),
        ):
            reactor = Unreachable(error)
            setback: Any = self.successResultOf(
                open_session(reactor, Target("mx.example.com", "2001:db8::1", 25), Approach("client.example.org"))
            )
            self.assertIs(setback.stage, Stage.GREETING)
            outcome = setback.outcome
            self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.4.1"))
            self.assertEqual(outcome.reason, f"cannot connect to mx.example.com at [2001:db8::1]:25: {words}")
            self.assertEqual((outcome.host, outcome.address), ("mx.example.com", "[2001:db8::1]:25"))
            self.assertEqual(reactor.timeouts, [CONNECT_SECONDS])

    def test_called_off(self) -> None:
        """Who does not wait any longer while a host is silent hears that it was called off, and by no other word."""
        reactor = MemoryReactorClock()
        opening = open_session(reactor, Target("mx.example.com", "192.0.2.1", 25), Approach("client.example.org"))
        asked = Deferred.fromCoroutine(opening).addTimeout(20, reactor)
        reactor.advance(20)
        self.failureResultOf(asked, WaitedTooLong)
        self.assertTrue(reactor.connectors[0].stoppedConnecting)

    def test_location(self) -> None:
        """Addresses are written as people write them."""
        self.assertEqual(Target("mx.example.com", "192.0.2.1", 587).location, "192.0.2.1:587")
