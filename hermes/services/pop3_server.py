"""
The POP3 server (Mercury's module P): people read their mail with it.

STLS on port 110, TLS from the first octet on port 995. Nobody logs in without TLS, unless the configuration allows it to
this machine itself (RFC 2595, RFC 8314).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from typing_extensions import override

from hermes.config.schema import POP3Settings
from hermes.core.access_entry import AccessEntry
from hermes.interfaces import IContentReader, IGate, IJournal, IScramKeys, IServerTLS
from hermes.net.peer import is_loopback
from hermes.protocols.pop3.parameters import ServerParameters
from hermes.protocols.sasl import TokenHint
from hermes.protocols.sasl_mechanisms import mechanisms
from hermes.services.login_credentials import challenges
from hermes.services.login_times import LoginTimes
from hermes.services.pop3_connection import POP3Connection
from hermes.services.pop3_session import POP3Session
from hermes.services.pop3_submission import Submissions
from hermes.services.transcripts import Transcripts
from hermes.services.turned_away import TurnedAway


class POP3ServerFactory(ServerFactory[Any]):
    """
    Makes the sessions of a POP3 listener.

    ``listener`` is its name in the trace. ``sessions`` holds those that are connected, or still have a mailbox to give back,
    and ``turned_away`` counts those that were not let in. With ``implicit_tls`` the listener speaks TLS from the first octet,
    otherwise STLS is offered where ``tls`` is given; SCRAM is offered where ``scram`` has keys for it. ``transcripts``
    knows which sessions are written down. ``tokens`` is what a client is told whose token is refused; without it none are taken.
    ``digests`` says whether any account has a secret for CRAM-MD5 and APOP. ``entry_of`` knows what connection control says
    about a peer, ``expire`` gives what EXPIRE says before a login, ``login_times`` is when accounts have come last. With
    ``submissions`` those who have logged in may send mail, too. Other settings are another factory's.
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
        tokens: TokenHint | None = None,
        digests: Callable[[], bool] | None = None,
        entry_of: Callable[[str], AccessEntry | None] = lambda peer: None,
        expire: Callable[[], str] = lambda: "NEVER",
        login_times: LoginTimes | None = None,
        submissions: Submissions | None = None,
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
        self.tokens = tokens
        self._digests = digests
        self._entry_of = entry_of
        self._expire = expire
        self.login_times = login_times or LoginTimes()
        self.submissions = submissions
        self._challenge = challenges(hostname, clock.seconds)
        self.turned_away = TurnedAway()

    def login_in_clear(self, peer: str) -> bool:
        """Whether a peer may log in without TLS."""
        if self.settings.auth_without_tls == "loopback" and is_loopback(peer):
            return True
        entry = self._entry_of(peer)
        return entry is not None and entry.login_in_clear

    def parameters(self, *, login_in_clear: bool) -> ServerParameters:
        """What the engine of a new session is told."""
        digests = self._digests is not None and self._digests()
        sending = self.submissions.settings if self.submissions is not None else None
        return ServerParameters(
            hostname=self.hostname,
            stls=self.tls is not None,
            mechanisms=mechanisms(keys=self.scram is not None, tokens=self.tokens is not None, secrets=digests),
            login_in_clear=login_in_clear,
            challenge=self._challenge,
            timestamp=self._challenge().decode("ascii") if digests else "",
            expire=self._expire(),
            login_delay=self.settings.login_delay,
            xtnd_xmit=sending is not None,
            max_size_octets=sending.max_size if sending is not None else 0,
            normalize_newlines=sending is not None and sending.bare_newlines == "normalize",
        )

    @override
    def buildProtocol(self, addr: IAddress | None) -> POP3Session:
        return POP3Session(self)
