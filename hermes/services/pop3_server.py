"""
The POP3 server (Mercury's module P): people read their mail with it.

STLS on port 110, TLS from the first octet on port 995. Nobody logs in without TLS, unless the configuration allows it to
this machine itself (RFC 2595, RFC 8314).
"""

from __future__ import annotations

from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from typing_extensions import override

from hermes.config.schema import POP3Settings
from hermes.interfaces import IContentReader, IGate, IJournal, IScramKeys, IServerTLS
from hermes.services.pop3_connection import POP3Connection
from hermes.services.pop3_session import POP3Session
from hermes.services.transcripts import Transcripts
from hermes.services.turned_away import TurnedAway


class POP3ServerFactory(ServerFactory[Any]):
    """
    Makes the sessions of a POP3 listener.

    ``listener`` is its name in the trace. ``sessions`` holds those that are connected, or still have a mailbox to give back,
    and ``turned_away`` counts those that were not let in. With ``implicit_tls`` the listener speaks TLS from the first octet,
    otherwise STLS is offered where ``tls`` is given; SCRAM is offered where ``scram`` has keys for it. ``transcripts``
    knows which sessions are written down. Other settings are
    another factory's.
    """

    noisy = False

    def __init__(
        self,
        *,
        clock: IReactorTime,
        settings: POP3Settings,
        hostname: str,
        listener: str,
        portal: Portal,
        gate: IGate,
        journal: IJournal,
        reader: IContentReader,
        tls: IServerTLS | None = None,
        implicit_tls: bool = False,
        scram: IScramKeys | None = None,
        transcripts: Transcripts | None = None,
    ) -> None:
        self.clock = clock
        self.settings = settings
        self.hostname = hostname
        self.listener = listener
        self.portal = portal
        self.gate = gate
        self.journal = journal
        self.reader = reader
        self.tls = tls
        self.implicit_tls = implicit_tls
        self.scram = scram
        self.transcripts = transcripts
        self.sessions: set[POP3Connection] = set()
        self.turned_away = TurnedAway()

    @override
    def buildProtocol(self, addr: IAddress | None) -> POP3Session:
        return POP3Session(self)
