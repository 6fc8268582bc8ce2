"""
The connections of a delivery agent: those at work, and those kept for a while because the next message may want the same host.

RFC 5321 4.1.1.5 has RSET make a kept connection as good as a new one; the engine sends it.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hermes.net.client_session import ClientSession
from hermes.net.outgoing import Target

#: Long enough for the next message of a busy site, short enough that no server minds (RFC 5321 4.5.3.2.7: they wait 5m).
IDLE_SECONDS = 15.0

#: Kept connections of one agent; the oldest gives way.
MAX_IDLE = 20

#: Messages on one connection: many receivers refuse or suspect more.
MAX_USES = 100

#: A connection ends at this age, so that changes of routes, addresses and certificates are noticed.
MAX_AGE_SECONDS = 600.0


@attrs.define(eq=False)
class _Idle:
    target: Target
    timer: IDelayedCall


class ConnectionCache:
    """Every session of one agent is here, from :meth:`opened` until it ends."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        *,
        idle_seconds: float = IDLE_SECONDS,
        max_idle: int = MAX_IDLE,
        max_uses: int = MAX_USES,
    ) -> None:
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._max_idle = max_idle
        self._max_uses = max_uses
        #: The longest idle first.
        self._idle: dict[ClientSession, _Idle] = {}
        self._active: dict[ClientSession, Target] = {}
        self._leaving: set[Deferred[None]] = set()
        self._stopped = False

    def take(self, target: Target) -> ClientSession | None:
        """A kept connection to this address, the one used last; None when there is none."""
        for session in reversed(self._idle):
            idle = self._idle[session]
            if idle.target == target:
                self._forget(session)
                self._active[session] = target
                return session
        return None

    def opened(self, target: Target, session: ClientSession) -> None:
        """A new connection is at work."""
        self._active[session] = target

    def give_back(self, session: ClientSession) -> None:
        """A message is done: keep the connection if it is good for another one, else end it."""
        target = self._active.pop(session)
        old = self._clock.seconds() - session.opened_at >= MAX_AGE_SECONDS
        if self._stopped or old or not session.usable or session.messages >= self._max_uses:
            self._leave(session)
            return
        self._idle[session] = _Idle(target, self._clock.callLater(self._idle_seconds, self._expire, session))
        session.when_left = lambda: self._forget(session)
        if len(self._idle) > self._max_idle:
            self._expire(next(iter(self._idle)))

    def discard(self, session: ClientSession) -> None:
        """Something went wrong in the middle: cut the connection."""
        self._active.pop(session, None)
        session.abort()

    def describe(self) -> list[dict[str, Any]]:
        """What is open, for the administrator."""
        return [
            {
                "host": session.peer.host,
                "address": session.peer.address,
                "tls": session.peer.tls,
                "state": "idle" if session in self._idle else f"waiting for {session.stage.value}",
                "messages": session.messages,
                "age_seconds": round(self._clock.seconds() - session.opened_at, 1),
            }
            for session in (*self._active, *self._idle)
        ]

    async def stop(self) -> None:
        """End the kept connections with QUIT, and from now on each one that is given back; return when they are closed."""
        self._stopped = True
        for session in list(self._idle):
            self._expire(session)
        while self._leaving:
            await gatherResults(list(self._leaving))

    def _expire(self, session: ClientSession) -> None:
        self._forget(session)
        self._leave(session)

    def _forget(self, session: ClientSession) -> None:
        session.when_left = None
        timer = self._idle.pop(session).timer
        if timer.active():
            timer.cancel()

    def _leave(self, session: ClientSession) -> None:
        """Say goodbye without making anybody wait for it."""
        leaving: Deferred[None] = Deferred.fromCoroutine(session.quit())
        self._leaving.add(leaving)
        _ = leaving.addErrback(lambda failure: self._log.failure("While leaving {peer}", failure, peer=session.peer))
        _ = leaving.addCallback(lambda _: self._leaving.discard(leaving))
