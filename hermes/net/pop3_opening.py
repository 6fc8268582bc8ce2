"""
Connecting to a POP3 server: TCP, TLS as it is wanted, greeting and login, ending in a session or in words why not.

RFC 1939, 2595 (STLS), 8314 (implicit TLS), 2449 (CAPA and response codes), 5034 (AUTH), 3206 (what a refusal means).
"""

from __future__ import annotations

import enum
from typing import Any

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError, TimeoutError
from twisted.internet.protocol import Factory

from hermes.core.printable import one_line
from hermes.net.client_tls import TLSAttempt
from hermes.net.outgoing import CONNECT_SECONDS, Approach, Target, TLSMode
from hermes.net.peer import is_loopback
from hermes.net.pop3_session import POP3Session
from hermes.net.system_words import system_words
from hermes.protocols import sasl_client
from hermes.protocols.pop3.client import MAX_TEXT_CHARACTERS
from hermes.protocols.pop3.client_events import Answer, Ended, Greeting, Verb
from hermes.protocols.sasl_login import Channel, Login

#: Greeting, TLS and login together: nobody waits longer for a mail program either.
LOGIN_SECONDS = 120.0

#: Ways of logging in that are POP3's own, beside the mechanisms of SASL.
USER, APOP = "USER", "APOP"

#: Refusals that say nothing about name and password (RFC 2449 8.1, RFC 3206 4).
_NOT_ABOUT_US = ("IN-USE", "LOGIN-DELAY", "SYS")


class Stage(enum.Enum):
    """How far it came."""

    CONNECT = "connect"
    TLS = "tls"
    LOGIN = "login"


@attrs.frozen
class Problem:
    """Why there is no session; ``refused`` says that the server does not take name and password, or the token."""

    stage: Stage
    reason: str
    refused: bool = False


class _SessionFactory(Factory):
    noisy = False

    def __init__(self, session: POP3Session) -> None:
        self._session = session

    def buildProtocol(self, addr: Any) -> POP3Session:
        return self._session


async def open_session(
    reactor: Any, target: Target, approach: Approach, silence_seconds: float, *, in_clear: bool = False
) -> POP3Session | Problem:
    """
    Connect, secure and log in.

    ``in_clear`` says that the administrator has named ways of logging in that others may listen to.
    """
    session = POP3Session(reactor, silence_seconds)
    make = TCP6ClientEndpoint if ":" in target.address else TCP4ClientEndpoint
    endpoint = make(reactor, target.address, target.port, timeout=CONNECT_SECONDS)
    try:
        await endpoint.connect(_SessionFactory(session))
    except ConnectingCancelledError:
        # Twisted's own word for what everybody else here calls so: it is no answer of the server, and no fault.
        raise CancelledError from None
    except TimeoutError:
        return Problem(Stage.CONNECT, f"cannot connect at {target.location}: no answer in {CONNECT_SECONDS:g} seconds")
    except (ConnectError, OSError) as error:
        return Problem(Stage.CONNECT, f"cannot connect at {target.location}: {system_words(error)}")
    problem: Problem | None
    try:
        session.allow(LOGIN_SECONDS)
        problem = await _prepare(session, target, approach, in_clear=in_clear)
    except BaseException:
        session.abort()
        raise
    if problem is None:
        return session
    await session.left()
    return problem


async def _prepare(session: POP3Session, target: Target, approach: Approach, *, in_clear: bool) -> Problem | None:
    engine, context, tls = session.engine, approach.context, approach.tls
    attempt = None
    if tls is not TLSMode.NONE and context is not None:
        attempt = TLSAttempt(context, target.host, verify=approach.verify, pins=approach.pins)
    if attempt is not None and tls is TLSMode.IMPLICIT and (why := await session.start_tls(attempt)):
        return Problem(Stage.TLS, why)
    greeting = await session.event()
    if isinstance(greeting, Ended):
        return Problem(Stage.CONNECT, greeting.reason)
    assert isinstance(greeting, Greeting)
    if greeting.refusal:
        return Problem(Stage.CONNECT, f"it says: {greeting.refusal}")
    if attempt is not None and tls is TLSMode.STARTTLS:
        engine.start_tls()
        answer = await session.answer()
        if isinstance(answer, Ended) or not answer.ok:
            said = answer.reason if isinstance(answer, Ended) else answer.text
            return Problem(Stage.TLS, f"it does not start TLS, which is required: {said}")
        if why := await session.start_tls(attempt):
            return Problem(Stage.TLS, why)
        engine.tls_started()
    engine.capabilities()
    answer = await session.answer()
    if isinstance(answer, Ended):
        return Problem(Stage.CONNECT, answer.reason)
    if approach.login is None:
        return None
    problem = await _log_in(session, target, approach, approach.login, greeting, in_clear=in_clear)
    if problem is None:
        # RFC 2449 5: after the login other things may be announced, PIPELINING among them.
        engine.capabilities()
        if isinstance(answer := await session.answer(), Ended):
            return Problem(Stage.LOGIN, answer.reason)
    return problem


async def _log_in(
    session: POP3Session, target: Target, approach: Approach, login: Login, greeting: Greeting, *, in_clear: bool
) -> Problem | None:
    binding, bound = session.tls.binding() if session.tls is not None else ("", b"")
    private = session.tls is not None or is_loopback(target.address) or in_clear
    channel = Channel(private, binding, bound, target.host, target.port, approach.nonce())
    engine, offered = session.engine, session.engine.offer.mechanisms
    allowed = [name for name in (*offered, *_POP3_OWN) if not login.mechanisms or name in login.mechanisms]
    mechanisms = sasl_client.choose(offered, login, channel)
    if login.token and not engine.offer.known:
        mechanisms = [name for name in sasl_client.WITH_TOKEN if not login.mechanisms or name in login.mechanisms][-1:]
    if mechanisms:
        exchange = sasl_client.begin(mechanisms[0], login, channel, offered)
        return _refusal(await session.log_in(exchange, approach.derive))
    if not login.token and APOP in allowed and greeting.timestamp and (not private or APOP in login.mechanisms):
        # Nobody need be told the password; but its digest is MD5, and the server has to keep the password itself.
        engine.apop(login.username, login.password)
    elif not login.token and USER in allowed and private:
        engine.user(login.username)
        answer = await session.answer()
        if isinstance(answer, Answer) and answer.ok:
            engine.password(login.password)
        else:
            return _refusal(answer)
    else:
        without = "" if private else " that is safe without TLS"
        names = one_line(" ".join(offered), MAX_TEXT_CHARACTERS) or "none"
        return Problem(Stage.LOGIN, f"it offers no login{without} that can be used here (SASL: {names})")
    return _refusal(await session.answer())


_POP3_OWN = (APOP, USER)


def _refusal(answer: Answer | Ended) -> Problem | None:
    if isinstance(answer, Ended):
        return Problem(Stage.LOGIN, answer.reason)
    if answer.ok:
        return None
    what = "the login" if answer.verb is not Verb.USER else "the user name"
    refused = answer.code.partition("/")[0] not in _NOT_ABOUT_US
    return Problem(Stage.LOGIN, f"it refuses {what}: {answer.text or 'without a word'}", refused=refused)
