"""
A login at a POP3 server and nothing more: what opens some providers' SMTP servers to an address for a while (POP before SMTP).

RFC 1939 (USER, PASS, QUIT), RFC 2595 (STLS). The server's words are bounded, and so is the time.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from hermes.core.printable import one_line
from hermes.net.client_tls import TLSAttempt
from hermes.net.outgoing import Approach, Target, TLSMode

#: From the first packet to the answer to PASS; nobody waits longer for a mail program either.
SECONDS = 60.0

#: RFC 1939 3: a response is at most 512 octets, CRLF included.
MAX_LINE_OCTETS = 512


@attrs.frozen
class PopAccount:
    """Who logs in; the password is never shown."""

    username: str
    password: str = attrs.field(repr=False)


@implementer(IHandshakeListener)
class _PopClient(Protocol):
    """Lines in, lines out; :meth:`line` waits for the next one."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: deque[str] = deque()
        self._waiting: Deferred[None] | None = None
        self._over = ""
        self.wire: Any = None

    @override
    def connectionMade(self) -> None:
        self.wire = self.transport

    @override
    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            self._lines.append(one_line(line.rstrip(b"\r").decode("utf-8", "replace"), MAX_LINE_OCTETS))
        if max(map(len, [*lines, self._buffer])) >= MAX_LINE_OCTETS or len(self._lines) > 1:
            self._over = "it does not speak POP3"
            self._lines.clear()
            self.wire.abortConnection()
        self._wake()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._over = self._over or "it closed the connection"
        self._wake()

    def handshakeCompleted(self) -> None:
        """TLS has begun."""
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    async def wait(self) -> None:
        """Until something happens."""
        self._waiting = Deferred()
        await self._waiting

    async def ask(self, command: str = "") -> str:
        """Say something, and return what is wrong with the answer; empty when it is +OK (RFC 1939 3)."""
        if command:
            self.wire.write(f"{command}\r\n".encode())
        while not self._lines:
            if self._over:
                return self._over
            await self.wait()
        line = self._lines.popleft()
        return "" if line.upper().startswith("+OK") else line

    async def start_tls(self, attempt: TLSAttempt) -> str:
        """Secure the connection; what is wrong, or nothing. What was said before is forgotten (RFC 2595 4)."""
        self._buffer = b""
        self._lines.clear()
        self.wire.startTLS(attempt)
        await self.wait()
        if not self._over and attempt.check_name():
            return ""
        return f"its certificate is not trusted: {attempt.problem}" if attempt.problem else f"TLS failed: {self._over}"


class _Factory(Factory):
    noisy = False

    def __init__(self, client: _PopClient) -> None:
        self._client = client

    def buildProtocol(self, addr: Any) -> _PopClient:
        return self._client


async def log_in(reactor: Any, target: Target, approach: Approach, account: PopAccount) -> str:
    """Log in and leave; what is wrong, or nothing. ``approach`` says how TLS is used and who is trusted."""
    client = _PopClient()
    talk: Deferred[str] = Deferred.fromCoroutine(_talk(reactor, client, target, approach, account))
    try:
        return await talk.addTimeout(SECONDS, reactor)
    except DeferredTimeoutError:
        return f"no answer within {SECONDS:g} seconds"
    except (ConnectError, OSError) as error:
        cause = getattr(error, "osError", None) or error
        return f"cannot connect at {target.location}: {getattr(cause, 'strerror', None) or cause}"
    finally:
        if client.wire is not None:
            client.wire.abortConnection()


async def _talk(reactor: Any, client: _PopClient, target: Target, approach: Approach, account: PopAccount) -> str:
    make = TCP6ClientEndpoint if ":" in target.address else TCP4ClientEndpoint
    await make(reactor, target.address, target.port, timeout=SECONDS).connect(_Factory(client))
    context = approach.context
    tls = None
    if context is not None and approach.tls is not TLSMode.NONE:
        tls = TLSAttempt(context, target.host, verify=approach.verify, pins=approach.pins)
    problem = await client.start_tls(tls) if tls is not None and approach.tls is TLSMode.IMPLICIT else ""
    problem = problem or await client.ask()
    if not problem and tls is not None and approach.tls is TLSMode.STARTTLS:
        problem = await client.ask("STLS") or await client.start_tls(tls)
    for command in (f"USER {account.username}", f"PASS {account.password}"):
        problem = problem or await client.ask(command)
    if not problem:
        client.wire.write(b"QUIT\r\n")
    return problem
