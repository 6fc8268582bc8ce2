"""
Connecting to another SMTP server: TCP, TLS as the policy wants it, greeting and login, ending in a session or in words why not.

RFC 5321 3.1, 3207 (STARTTLS), 8314 (implicit TLS), 4954 (AUTH).
"""

from __future__ import annotations

import enum
import secrets
from collections.abc import Callable
from typing import Any

import attrs
from OpenSSL import SSL
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError, TimeoutError
from twisted.internet.protocol import Factory

from hermes.core.tls_security import Security, Way
from hermes.net.client_session import ClientSession, Setback
from hermes.net.client_tls import TLSAttempt
from hermes.net.peer import is_loopback
from hermes.net.socks import ProxyError, connect_through
from hermes.net.system_words import system_words
from hermes.protocols import sasl_client
from hermes.protocols.sasl_login import Channel, Derivation, Derive, Keys, Login
from hermes.protocols.smtp.client_events import Ended, Peer, Refused, Stage

#: RFC 1123 5.3.2 and 5321 4.5.3.2 leave it open; the kernel alone would try for two minutes.
CONNECT_SECONDS = 30.0


@attrs.frozen
class Target:
    """
    One address to connect to, and the name of the host that it is for; with ``path`` a UNIX socket instead.

    ``security`` is what it must show, ``way`` how it is connected to: a connection that was made otherwise is another one.
    """

    host: str
    address: str
    port: int
    security: Security | None = None
    way: Way | None = None
    path: str = ""

    @property
    def location(self) -> str:
        """Like ``192.0.2.1:25``, ``[2001:db8::1]:25`` or ``unix:/run/lmtp``."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class TLSMode(enum.Enum):
    """How TLS is used; the values are those of the settings."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


def _fresh_nonce() -> str:
    """What nobody can foresee: 24 octets, where RFC 5802's own examples have 18."""
    return secrets.token_urlsafe(24)


async def derived_at_once(derivation: Derivation) -> Keys:
    """Keys of a password, made in the caller's thread: for who keeps nobody waiting by it."""
    return derivation.keys()


@attrs.frozen
class Approach:
    """
    How to open sessions: ``hostname`` is our name; ``context`` is needed unless ``tls`` is NONE.

    ``verify`` wants the certificate to be valid for the host's name; ``pins`` are the public keys of which it must have one
    instead; ``nonce`` makes one for SCRAM, and ``derive`` the keys. ``security`` has what else is asked of the server; ``lmtp``
    says that it speaks LMTP (RFC 2033); ``observe`` is shown each attempt at TLS.
    """

    hostname: str
    tls: TLSMode = TLSMode.NONE
    context: SSL.Context | None = None
    verify: bool = False
    login: Login | None = None
    nonce: Callable[[], str] = _fresh_nonce
    derive: Derive = derived_at_once
    pins: frozenset[bytes] = frozenset()
    security: Security | None = None
    lmtp: bool = False
    observe: Callable[[TLSAttempt], None] | None = None


class _SessionFactory(Factory):
    noisy = False

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    def buildProtocol(self, addr: Any) -> ClientSession:
        return self._session


async def open_session(reactor: Any, target: Target, approach: Approach) -> ClientSession | Setback:
    """
    Connect, secure and log in.

    The setback's stage tells how far it came: GREETING for the connection itself, STARTTLS for TLS, LOGIN for the login.
    """
    session = await _connect(reactor, target, approach)
    if not isinstance(session, ClientSession):
        return session
    try:
        setback = await _prepare(session, target, approach)
    except BaseException:
        session.abort()
        raise
    if setback is None:
        return session
    if session.ended:
        session.abort()
    else:
        await session.quit()
    return setback


async def _connect(reactor: Any, target: Target, approach: Approach) -> ClientSession | Setback:
    peer = Peer(target.host, target.location)
    session = ClientSession(reactor, approach.hostname, peer, lmtp=approach.lmtp)
    try:
        await _make_way(reactor, target, session)
    except ProxyError as error:
        why = f"the proxy {target.way and target.way.proxy and target.way.proxy.host} does not connect: {error}"
    except ConnectingCancelledError:
        # Twisted has a word of its own for it, which neither those who wait for so long nor those who stop would know.
        raise CancelledError from None
    except TimeoutError:
        why = f"no answer within {CONNECT_SECONDS:g} seconds"
    except (ConnectError, OSError) as error:
        why = system_words(error)
    else:
        return session
    # RFC 3463 3.5: 4.4.1, no answer from host.
    reason = f"cannot connect to {target.host} at {target.location}: {why}"
    return Ended(Stage.GREETING, peer.deferred(reason, "4.4.1"))


async def _make_way(reactor: Any, target: Target, session: ClientSession) -> None:
    if target.path:
        await UNIXClientEndpoint(reactor, target.path, CONNECT_SECONDS).connect(_SessionFactory(session))
        return
    way = target.way or Way()
    source = way.source(target.address)
    if way.proxy is not None:
        # The source is that of the connection to the proxy.
        source = way.source(way.proxy.host)
        await connect_through(reactor, way.proxy, target.address, target.port, session, source, CONNECT_SECONDS)
        return
    make = TCP6ClientEndpoint if ":" in target.address else TCP4ClientEndpoint
    bind = (source, 0) if source else None
    endpoint = make(reactor, target.address, target.port, CONNECT_SECONDS, bind)
    await endpoint.connect(_SessionFactory(session))


async def _prepare(session: ClientSession, target: Target, approach: Approach) -> Setback | None:
    context = approach.context
    if approach.tls is TLSMode.IMPLICIT and context is not None:
        attempt = _attempt(context, target, approach)
        setback = await session.start_tls(attempt, implicit=True)
        if setback is not None:
            return setback
    setback = await session.greet()
    if setback is None and context is not None and approach.tls in (TLSMode.STARTTLS, TLSMode.OPPORTUNISTIC):
        setback = await _start_tls(session, target, approach, context)
    if setback is None and approach.login is not None:
        setback = await _log_in(session, target, approach, approach.login)
    return setback


def _attempt(context: SSL.Context, target: Target, approach: Approach) -> TLSAttempt:
    security = approach.security or Security()
    attempt = TLSAttempt(
        context,
        target.host,
        verify=approach.verify,
        pins=approach.pins,
        records=security.records,
        names=security.names,
        by=security.by,
        watch=security.watched,
    )
    if approach.observe is not None:
        approach.observe(attempt)
    return attempt


async def _start_tls(
    session: ClientSession, target: Target, approach: Approach, context: SSL.Context
) -> Setback | None:
    required = approach.tls is TLSMode.STARTTLS
    if not session.capabilities.starttls:
        if not required:
            return None
        reason = f"{target.host} does not offer STARTTLS, which is required"
        return Refused(Stage.STARTTLS, session.peer.deferred(reason, "4.7.4"))
    setback = await session.start_tls(_attempt(context, target, approach))
    if isinstance(setback, Refused) and setback.stage is Stage.STARTTLS:
        if not required:
            return None  # RFC 3207 4: 454 leaves the session as it was, and so it goes on in the clear
        # TLS may be mended on either side: required TLS that is refused never returns a message.
        outcome = setback.outcome
        return Refused(Stage.STARTTLS, session.peer.deferred(outcome.reason, "4.7.0", outcome.reply))
    return setback


async def _log_in(session: ClientSession, target: Target, approach: Approach, login: Login) -> Setback | None:
    channel = _channel(session, target, approach)
    offered = session.capabilities.mechanisms
    setback: Setback | None = None
    for mechanism in sasl_client.choose(offered, login, channel):
        setback = await session.log_in(sasl_client.begin(mechanism, login, channel, offered), approach.derive)
        # 504 (RFC 4954 4) says that only the mechanism is wrong, though it was offered. After 535 nothing else is tried:
        # each attempt counts towards a lock of the account, and a weaker mechanism would be what an attacker wants.
        if not isinstance(setback, Refused) or setback.outcome.reply is None or setback.outcome.reply.code != 504:
            return setback
    if setback is None:
        without = "" if channel.private else " that is safe without TLS"
        only = f", allowed: {' '.join(login.mechanisms)}" if login.mechanisms else ""
        reason = f"{target.host} offers no login{without} that can be used here (offered: {' '.join(offered) or 'none'}{only})"
        setback = Refused(Stage.LOGIN, session.peer.deferred(reason, "4.7.4"))
    return setback


def _channel(session: ClientSession, target: Target, approach: Approach) -> Channel:
    binding, bound = session.tls.binding() if session.tls is not None else ("", b"")
    private = session.tls is not None or is_loopback(target.address)
    return Channel(private, binding, bound, target.host, target.port, approach.nonce())
