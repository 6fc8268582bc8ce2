"""What the sessions of one SMTP listener share, and what they ask of a transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import attrs
from twisted.cred.portal import Portal
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocol, IReactorTime

from hermes.config.schema import SMTPSettings
from hermes.core.visit import Visit
from hermes.interfaces import IGate, IJournal, IPolicy, IScramKeys, IServerTLS
from hermes.net.peer import within
from hermes.net.turns import Stream
from hermes.protocols.sasl import TokenHint
from hermes.protocols.smtp import events
from hermes.protocols.smtp.parameters import ServerParameters
from hermes.services.transcripts import Transcripts
from hermes.services.turned_away import TurnedAway
from hermes.services.turning import Turn

if TYPE_CHECKING:
    from hermes.services.smtp_connection import SMTPConnection

#: What a session begins with, behind our name; a file may add lines.
GREETING = "ESMTP Hermes"


class TLSStream(Stream, Protocol):
    """
    What a transport must offer: those of Twisted for TCP and UNIX sockets do.

    ``protocol`` is what it gives octets to: the session, or TLS once that has begun.
    """

    protocol: IProtocol

    def startTLS(self, contextFactory: IOpenSSLServerConnectionCreator) -> None: ...  # noqa: D102, N802, N803


@attrs.frozen
class SessionContext:
    """
    What the sessions of one listener share.

    ``listener`` is its name in the trace; ``parameters`` gives the engine's parameters for a peer; ``sessions`` holds those
    that are connected, and ``turned_away`` counts those that were not let in; with ``implicit_tls`` TLS comes before
    everything else (RFC 8314 3); ``policy`` has the checks, and ``visit_of`` makes what they know of a peer; ``scram`` has the
    keys for SCRAM, where that is offered; ``greeting`` is what a session begins with, behind our name, one line or several;
    ``transcripts`` knows which sessions are written down; ``tokens`` is what a client is told whose token is refused, where
    tokens are taken; ``turn`` answers ETRN.
    """

    settings: SMTPSettings
    hostname: str
    listener: str
    flavor: events.Flavor
    parameters: Callable[[str], ServerParameters]
    clock: IReactorTime
    portal: Portal | None
    gate: IGate
    journal: IJournal
    server_tls: IServerTLS | None
    implicit_tls: bool
    sessions: set[SMTPConnection]
    turned_away: TurnedAway
    policy: IPolicy
    visit_of: Callable[[str], Visit]
    scram: IScramKeys | None = None
    greeting: str = GREETING
    transcripts: Transcripts | None = None
    tokens: TokenHint | None = None
    turn: Turn | None = None

    def believes(self, peer: str) -> bool:
        """True for a front end, which may say who its client is. LMTP has none: it is for programs on this machine."""
        front_ends = self.settings.front_ends
        return bool(front_ends) and self.flavor is not events.Flavor.LMTP and within(peer, front_ends)
