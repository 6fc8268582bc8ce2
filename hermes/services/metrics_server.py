"""
Figures over HTTP, for Prometheus and whatever else reads its format: ``GET /metrics``, and nothing else.

Whoever may not ask is not heard at all, and whoever may is trusted with nothing: a connection has one request without a body, and
ends after some seconds, however slowly somebody speaks or reads. What is asked for while it is being gathered is gathered once.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request
from typing_extensions import override

from hermes.core.outcome import Verdict
from hermes.interfaces import IControl
from hermes.net.peer import peer_of
from hermes.services.metrics_text import CONTENT_TYPE_LATEST, metrics_text

#: The only thing there is.
PATH = b"/metrics"

#: Connections at once: two servers that gather figures, their spares, and somebody with a browser.
MAX_CONNECTIONS = 10

#: The longest life of a connection. A request is one packet and the answer a few dozen KB; Prometheus itself waits 10 s.
CONNECTION_SECONDS = 10.0

#: A request of Prometheus has some 300 octets in six fields.
MAX_HEADER_OCTETS = 8 * 1024
MAX_FIELDS = 50

#: Who is turned away is in the log so often: a wrong address in somebody's configuration is to be found, and no log filled.
REFUSALS_SECONDS = 600.0

_TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class _Request(Request):
    """One request."""

    channel: Any
    _task: Deferred[bytes] | None = None

    @override
    def gotLength(self, length: int | None) -> None:
        # Twisted would make a file for a large body; there is none.
        self.content = BytesIO()

    @override
    def process(self) -> None:
        if self.path != PATH:
            self._answer(404, b"There is only /metrics here.\n")
        elif self.method not in (b"GET", b"HEAD"):
            self.setHeader(b"Allow", b"GET, HEAD")
            self._answer(405, b"/metrics can be read, and no more.\n")
        else:
            self._task = self.channel.factory.text()
            _ = self._task.addCallbacks(self._found, self._failed)

    def _found(self, text: bytes) -> None:
        self._task = None
        self._answer(200, text, CONTENT_TYPE_LATEST.encode())

    def _failed(self, failure: Failure) -> None:
        gone, self._task = self._task is None, None
        if gone:
            return
        if failure.check(ValueError, LookupError):
            self._answer(503, f"{failure.getErrorMessage()}\n".encode())
            return
        self.channel.factory.faulted(failure)
        self._answer(500, b"The server met a fault; its log says which.\n")

    def _answer(self, code: int, text: bytes, kind: bytes = b"text/plain; charset=utf-8") -> None:
        self.setResponseCode(code)
        self.setHeader(b"Content-Type", kind)
        self.setHeader(b"Content-Length", b"%d" % len(text))
        self.setHeader(b"Connection", b"close")
        self.write(text)
        self.finish()

    @override
    def connectionLost(self, reason: Failure) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        super().connectionLost(reason)


class _Channel(HTTPChannel):
    """One connection."""

    maxHeaders = MAX_FIELDS  # noqa: N815 - Twisted's names, all of these
    totalHeadersSize = MAX_HEADER_OCTETS  # noqa: N815
    MAX_LENGTH = MAX_HEADER_OCTETS
    requestFactory = _Request  # noqa: N815
    #: Silence is not timed by itself: the whole connection is.
    timeOut = None  # noqa: N815
    factory: MetricsFactory
    transport: Any
    _admitted = False
    _too_large = False
    _end: IDelayedCall | None = None

    @override
    def connectionMade(self) -> None:
        super().connectionMade()
        self._admitted = self.factory.admit(peer_of(self.transport))
        if self._admitted:
            self._end = self.factory.clock.callLater(CONNECTION_SECONDS, self.transport.abortConnection)
        else:
            self.transport.abortConnection()

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._admitted:
            super().dataReceived(data)

    @override
    def checkPersistence(self, request: Request, version: bytes) -> bool:
        # One request for each connection: who keeps one keeps it from others.
        return False

    @override
    def allHeadersReceived(self) -> None:
        self._too_large = self.length != 0
        if self._too_large:
            # There is nothing to be told here. What comes of it is not read.
            self.transport.write(_TOO_LARGE)
            self.loseConnection()
        else:
            super().allHeadersReceived()

    @override
    def rawDataReceived(self, data: bytes) -> None:
        if not self._too_large:
            super().rawDataReceived(data)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._end is not None and self._end.active():
            self._end.cancel()
        if self._admitted:
            self.factory.left()
        super().connectionLost(reason)


class MetricsFactory(ServerFactory):
    """
    Answers with what the command ``metrics`` of ``control`` tells.

    ``refusal`` says why a peer may not ask, or None.
    """

    protocol = _Channel  # type: ignore[assignment] # HTTPChannel is not annotated as a protocol of its factory
    noisy = False
    _log = Logger()

    def __init__(self, control: IControl, clock: IReactorTime, refusal: Callable[[str], Verdict | None]) -> None:
        self.clock = clock
        self._control = control
        self._refusal = refusal
        self._connections = 0
        self._waiting: dict[Deferred[bytes], None] = {}
        self._gathering = False
        self._told_at = float("-inf")

    def admit(self, peer: str) -> bool:
        """Count a connection, then :meth:`left` must follow; False when it may not be."""
        verdict = self._refusal(peer)
        if verdict is not None:
            self._tell(peer, f"{verdict.reason} (rule {verdict.rule})")
            return False
        if self._connections >= MAX_CONNECTIONS:
            self._tell(peer, f"there are {MAX_CONNECTIONS} connections already")
            return False
        self._connections += 1
        return True

    def left(self) -> None:
        """A connection is gone."""
        self._connections -= 1

    def log(self, request: Request) -> None:
        """Nothing: Twisted calls it for each request that has been answered."""

    def faulted(self, failure: Failure) -> None:
        """The figures could not be gathered, for a fault of ours."""
        self._log.failure("The metrics could not be gathered", failure)

    def text(self) -> Deferred[bytes]:
        """The figures of now; who asks while they are being gathered gets the same."""
        mine: Deferred[bytes] = Deferred(lambda gone: self._waiting.pop(gone, None))
        self._waiting[mine] = None
        if not self._gathering:
            self._gathering = True
            _ = Deferred.fromCoroutine(self._gather()).addBoth(self._gathered)
        return mine

    async def _gather(self) -> bytes:
        return metrics_text(await self._control.call("metrics", {}))

    def _gathered(self, result: bytes | Failure) -> None:
        self._gathering = False
        waiting, self._waiting = self._waiting, {}
        for each in waiting:
            # A Failure goes to whoever waits.
            each.callback(result)

    def _tell(self, peer: str, why: str) -> None:
        now = self.clock.seconds()
        if now - self._told_at >= REFUSALS_SECONDS:
            self._told_at = now
            self._log.warn("{peer} may not read the metrics: {why}", peer=peer, why=why)
