"""POP before SMTP (Mercury's module C had it): a POP3 login that is good for a while, made anew when that is over."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import DeferredLock

from hermes.core.dns_answer import Status
from hermes.net.outgoing import Approach, Target
from hermes.net.pop3_opening import Problem, Stage, open_session
from hermes.net.resolver import Resolver

#: After a refusal nobody asks again for so long: each wrong password counts towards a lock of the account.
PAUSE_SECONDS = 300.0

#: Silence of the server; nobody waits longer for a mail program either.
SECONDS = 60.0


class PopBeforeSMTP:
    """Logs in at a POP3 server as ``approach`` says, no more often than it has to: a login is good for ``valid_seconds``."""

    def __init__(
        self,
        reactor: Any,
        resolver: Resolver,
        host: str,
        port: int,
        approach: Approach,
        valid_seconds: float,
    ) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._host = host
        self._port = port
        self._approach = approach
        self._valid_seconds = valid_seconds
        self._lock = DeferredLock()
        self._good_until = 0.0
        self._refused = ""
        self._refused_until = 0.0

    async def log_in(self) -> str:
        """Be logged in; what is wrong, or nothing."""
        await self._lock.acquire()
        try:
            now = self._reactor.seconds()
            if now < self._good_until:
                return ""
            if now < self._refused_until:
                return self._refused
            problem = await self._log_in()
            if not problem:
                self._good_until = now + self._valid_seconds
            return problem
        finally:
            self._lock.release()

    async def _log_in(self) -> str:
        answer = await self._resolver.host_addresses(self._host)
        if answer.status is not Status.FOUND:
            return f"it cannot be found: {answer.reason}"
        reason = ""
        for address in answer.values:
            target = Target(self._host, address, self._port)
            opened = await open_session(self._reactor, target, self._approach, SECONDS)
            if not isinstance(opened, Problem):
                await opened.quit()
                return ""
            reason = opened.reason
            if opened.refused:
                self._refused, self._refused_until = reason, self._reactor.seconds() + PAUSE_SECONDS
            if opened.stage is not Stage.CONNECT:
                break
        return reason
