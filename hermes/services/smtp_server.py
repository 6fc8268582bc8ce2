"""
Mercury S: the SMTP server. It takes mail from other servers, from programs, and from people who send (RFC 5321, 6409, 2033).

One factory stands behind each listener; its sessions are :class:`hermes.services.smtp_session.SMTPSession`.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.cred.portal import Portal
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from typing_extensions import override

from hermes.config.schema import SMTPSettings
from hermes.core.visit import Visit
from hermes.interfaces import IGate, IJournal, IPolicy, IScramKeys, IServerTLS
from hermes.net.peer import is_loopback, within
from hermes.protocols.sasl import TokenHint
from hermes.protocols.sasl_mechanisms import WITH_SECRET, mechanisms
from hermes.protocols.smtp.events import Flavor
from hermes.protocols.smtp.parameters import ServerParameters
from hermes.services.login_credentials import challenges
from hermes.services.session_checks import Unchecked
from hermes.services.smtp_connection import SMTPConnection
from hermes.services.smtp_context import GREETING, SessionContext
from hermes.services.smtp_session import SMTPSession
from hermes.services.transcripts import Transcripts
from hermes.services.turned_away import TurnedAway
from hermes.services.turning import Turn


def server_parameters(
    settings: SMTPSettings,
    hostname: str,
    flavor: Flavor,
    *,
    starttls: bool,
    has_login: bool,
    has_keys: bool = False,
    takes_tokens: bool = False,
) -> ServerParameters:
    """What the engine of a session is told, when the peer is not this machine; ``has_keys`` says that SCRAM is offered."""
    # Those that show a password or token want TLS (RFC 4954 4, 7628 3). SCRAM does not, but what follows it does (RFC 8314 3).
    offered = mechanisms(keys=has_keys, tokens=takes_tokens)
    return ServerParameters(
        hostname=hostname,
        flavor=flavor,
        max_size_octets=settings.max_size,
        starttls=starttls,
        # RFC 2033 knows AUTH too, but what delivers by LMTP is a program on this machine or trusted like one.
        mechanisms=offered if has_login and flavor is not Flavor.LMTP else (),
        normalize_newlines=settings.bare_newlines == "normalize",
        max_recipients=settings.max_recipients,
        max_messages=settings.max_messages,
    )


class SMTPServerFactory(ServerFactory):
    """
    Makes the sessions of one listener.

    ``sessions`` holds those that are connected. ``policy`` has the checks (none without it), and ``visit_of`` makes what they
    are told of a peer. ``portal`` decides whether AUTH is offered at all, ``server_tls`` whether
    STARTTLS is; with ``implicit_tls`` a session begins with TLS. ``scram`` has the keys for SCRAM; without it SCRAM is not
    offered. ``greeting`` is what sessions begin with, behind the host's name; ``transcripts`` knows which are written down.
    ``tokens`` is what a client is told whose token is refused; without it none are taken. ``digests`` says whether any
    account has a secret for CRAM-MD5. ``turn`` answers ETRN, for those to whom the settings allow it. Other settings
    are another factory's.
    """

    noisy = False

    def __init__(
        self,
        *,
        settings: SMTPSettings,
        hostname: str,
        listener: str,
        flavor: Flavor,
        clock: IReactorTime,
        portal: Portal | None,
        gate: IGate,
        journal: IJournal,
        server_tls: IServerTLS | None = None,
        implicit_tls: bool = False,
        scram: IScramKeys | None = None,
        policy: IPolicy | None = None,
        visit_of: Callable[[str], Visit] = Visit,
        greeting: str = GREETING,
        transcripts: Transcripts | None = None,
        tokens: TokenHint | None = None,
        digests: Callable[[], bool] | None = None,
        turn: Turn | None = None,
    ) -> None:
        if implicit_tls and server_tls is None:
            raise ValueError(f"listener {listener} is to begin with TLS, and there is no certificate")
        self.sessions: set[SMTPConnection] = set()
        self._clear = server_parameters(
            settings,
            hostname,
            flavor,
            starttls=server_tls is not None and not implicit_tls,
            has_login=portal is not None,
            has_keys=scram is not None,
            takes_tokens=tokens is not None,
        )
        self._clear = attrs.evolve(self._clear, challenge=challenges(hostname, clock.seconds))
        self._digests = digests if self._clear.mechanisms else None
        self._in_clear = attrs.evolve(self._clear, mechanisms_in_clear=self._clear.mechanisms)
        self._loopback = self._in_clear if settings.auth_without_tls == "loopback" else self._clear
        self._context = SessionContext(
            settings,
            hostname,
            listener,
            flavor,
            self._parameters,
            clock,
            portal,
            gate,
            journal,
            server_tls,
            implicit_tls,
            self.sessions,
            TurnedAway(),
            policy or Unchecked(),
            visit_of,
            scram,
            greeting,
            transcripts,
            tokens,
            turn,
        )
        # It is for servers: people submit, and programs deliver.
        self._turns = settings.etrn_networks if turn is not None and flavor is Flavor.SMTP else ()

    def _parameters(self, peer: str) -> ServerParameters:
        entry = self._context.visit_of(peer).entry
        parameters = self._loopback if is_loopback(peer) else self._clear
        if entry is not None and entry.login_in_clear:
            parameters = self._in_clear
        if self._turns and within(peer, self._turns):
            parameters = attrs.evolve(parameters, etrn=True)
        if self._digests is None or not self._digests():
            return parameters
        in_clear = parameters.mechanisms_in_clear
        return attrs.evolve(
            parameters,
            mechanisms=(*parameters.mechanisms, *WITH_SECRET),
            mechanisms_in_clear=(*in_clear, *WITH_SECRET) if in_clear else (),
        )

    @override
    def buildProtocol(self, addr: IAddress | None) -> SMTPSession:
        session = SMTPSession(self._context)
        session.factory = self
        return session
