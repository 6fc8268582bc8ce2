"""
Asking other servers for the mail that they hold for us, by ETRN (RFC 1985): what a site does that is on line for some minutes.

The mail itself comes back over a connection of the other server's own. TLS is used where it is offered; nothing secret is said.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as WaitedTooLong
from twisted.logger import Logger

from hermes.config.sections.schedule import host_and_port
from hermes.core.reply import Reply
from hermes.net.client_session import ClientSession
from hermes.net.client_tls import opportunistic_context
from hermes.net.outgoing import Approach, Target, TLSMode, open_session
from hermes.net.resolver import Resolver

#: All of one server: some lines back and forth, on a line that may be open for no longer.
SERVER_SECONDS = 60.0

#: Addresses of one host that are tried.
MAX_ADDRESSES = 4


class QueueStarting:
    """``hostname`` is our name. Whatever comes of it is in the log; nothing depends on it."""

    _log = Logger()

    def __init__(self, reactor: Any, hostname: str, resolver: Resolver) -> None:
        self._reactor = reactor
        self._hostname = hostname
        self._resolver = resolver

    async def ask(self, hosts: Sequence[str], domains: Sequence[str]) -> None:
        """Ask these servers, one after the other, for the mail of these domains."""
        for text in hosts:
            host, port = host_and_port(text)
            asking = Deferred.fromCoroutine(self._ask(host, port, domains))
            try:
                said = await asking.addTimeout(SERVER_SECONDS, self._reactor)
            except WaitedTooLong:
                said = f"no end of it within {SERVER_SECONDS:g} s"
            self._log.info("ETRN at {host}: {said}", host=text, said=said)

    async def _ask(self, host: str, port: int, domains: Sequence[str]) -> str:
        addresses, problem = await self._addresses(host)
        said = problem
        # A context is made for each: it costs milliseconds, and this happens some times a day.
        approach = Approach(self._hostname, TLSMode.OPPORTUNISTIC, opportunistic_context())
        for address in addresses:
            session = await open_session(self._reactor, Target(host, address, port), approach)
            if isinstance(session, ClientSession):
                return await self._talk(session, domains)
            said = session.outcome.reason
        return said

    async def _addresses(self, host: str) -> tuple[Sequence[str], str]:
        try:
            return [str(ipaddress.ip_address(host))], ""
        except ValueError:
            found = await self._resolver.host_addresses(host)
            return found.values[:MAX_ADDRESSES], found.reason or f"{host} has no address"

    @staticmethod
    async def _talk(session: ClientSession, domains: Sequence[str]) -> str:
        try:
            if not session.capabilities.etrn:
                said = "it does not offer ETRN"
            else:
                said = await _start(session, domains)
            await session.quit()
        except BaseException:
            session.abort()
            raise
        return said


async def _start(session: ClientSession, domains: Sequence[str]) -> str:
    said: list[str] = []
    for domain in domains:
        answer = await session.etrn(domain)
        if not isinstance(answer, Reply):
            return "; ".join([*said, answer.outcome.reason])
        said.append(f"{domain}: {answer}")
        if answer.is_permanent:
            # RFC 1985 5.2: the protocol is not understood there, and no further ETRN should be sent.
            break
    return "; ".join(said)
