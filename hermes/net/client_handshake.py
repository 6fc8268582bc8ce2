"""The TLS handshake on a connection that we have made: begun, waited for, and broken off when it takes too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from hermes.net.client_tls import TLSAttempt

#: A TLS handshake is a few round trips; OpenSSL sets no limit of its own.
HANDSHAKE_SECONDS = 60.0


class ClientHandshake:
    """The handshakes of one connection, one at a time."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._ended: Deferred[None] | None = None

    @property
    def under_way(self) -> bool:
        """True while it is waited for."""
        return self._ended is not None

    async def run(self, transport: Any, attempt: TLSAttempt, cut: Callable[[str], None]) -> None:
        """Begin, and return when it is done or the connection is gone; ``cut`` ends the connection, and is told why."""
        self._ended = Deferred()
        timer = self._clock.callLater(HANDSHAKE_SECONDS, cut, f"no answer within {HANDSHAKE_SECONDS:g} seconds")
        try:
            transport.startTLS(attempt)
            await self._ended
        finally:
            self._ended = None
            if timer.active():
                timer.cancel()

    def end(self) -> None:
        """It is done, or the connection is gone."""
        if self._ended is not None:
            self._ended.callback(None)
