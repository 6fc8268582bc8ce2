"""Which listeners the settings ask for, and who answers at each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from hermes.app.circle import Circle
from hermes.app.stores import Stores
from hermes.app.tokens import token_hint
from hermes.config.greeting import greeting_lines
from hermes.config.schema import Settings
from hermes.core.reading_profile import expiry_before_login
from hermes.interfaces import IScramKeys, IServerTLS
from hermes.net.gate import Gate
from hermes.net.server_gate import ServerGate
from hermes.protocols.sasl import TokenHint
from hermes.protocols.smtp.events import Flavor
from hermes.services.finger_server import FingerServerFactory
from hermes.services.password_server import PasswordServerFactory
from hermes.services.phonebook_server import PhoneBookServerFactory
from hermes.services.pop3_server import POP3ServerFactory
from hermes.services.pop3_submission import Submissions
from hermes.services.smtp_context import GREETING
from hermes.services.smtp_server import SMTPServerFactory
from hermes.services.turning import Turn


@attrs.frozen
class Entrance:
    """One listener: the module and the key it belongs to, its text in the configuration, and who answers there."""

    module: str
    key: str
    place: str
    factory: (
        SMTPServerFactory | POP3ServerFactory | PasswordServerFactory | FingerServerFactory | PhoneBookServerFactory
    )

    @property
    def section(self) -> str:
        """Where it stands in the configuration."""
        return f"[{self.module}] {self.key}"


@attrs.frozen
class _MailServers:
    """What all listeners of mail protocols have in common, and how each is made of it."""

    settings: Settings
    circle: Circle
    stores: Stores
    clock: Any
    gate: Gate
    tls: IServerTLS | None
    turn: Turn | None
    greeting: str
    tokens: TokenHint | None

    @property
    def _scram(self) -> IScramKeys | None:
        return self.circle.directory if self.settings.accounts.scram == "yes" else None

    @property
    def _submissions(self) -> Submissions:
        return Submissions(self.circle.premises, self.circle.visit_of, self.settings.smtp)

    def _gate(self, server: str) -> ServerGate:
        return ServerGate(self.gate, self.circle.access, server, self.circle.schedule)

    def smtp(self, place: str, flavor: Flavor, implicit_tls: bool) -> SMTPServerFactory:
        circle, stores = self.circle, self.stores
        return SMTPServerFactory(
            settings=self.settings.smtp,
            hostname=self.settings.hermes.hostname,
            listener=place,
            flavor=flavor,
            clock=self.clock,
            portal=circle.portal,
            gate=self._gate("smtp"),
            journal=stores.spool.journal,
            server_tls=self.tls,
            implicit_tls=implicit_tls,
            scram=self._scram,
            tokens=self.tokens,
            digests=circle.directory.offers_digests,
            policy=circle.checks,
            visit_of=circle.visit_of,
            greeting=self.greeting,
            transcripts=stores.transcripts,
            turn=self.turn,
        )

    def pop3(self, place: str, implicit_tls: bool) -> POP3ServerFactory:
        circle, stores, settings = self.circle, self.stores, self.settings.pop3
        return POP3ServerFactory(
            clock=self.clock,
            settings=settings,
            hostname=self.settings.hermes.hostname,
            listener=place,
            portal=circle.portal,
            gate=self._gate("pop3"),
            journal=stores.spool.journal,
            reader=stores.reader,
            tls=self.tls,
            implicit_tls=implicit_tls,
            scram=self._scram,
            transcripts=stores.transcripts,
            tokens=self.tokens,
            digests=circle.directory.offers_digests,
            entry_of=lambda peer: circle.access.entry(peer, "pop3"),
            expire=lambda: expiry_before_login(settings.expire, circle.directory.expiries()),
            login_times=stores.login_times,
            submissions=self._submissions if settings.xtnd_xmit else None,
        )


def entrances(
    settings: Settings,
    circle: Circle,
    stores: Stores,
    clock: Any,
    gate: Gate,
    tls: IServerTLS | None,
    turn: Turn | None = None,
) -> Iterator[Entrance]:
    """
    All listeners of mail protocols that the settings ask for; all go through the one gate.

    Raises ValueError, with a text for the administrator, when the greeting file cannot be used.
    """
    greeting = "\n".join((GREETING, *greeting_lines(settings)))
    servers = _MailServers(settings, circle, stores, clock, gate, tls, turn, greeting, token_hint(settings))
    for key, places, flavor in (
        ("listen", settings.smtp.listen, Flavor.SMTP),
        ("submission", settings.smtp.submission, Flavor.SUBMISSION),
        ("submissions", settings.smtp.submissions, Flavor.SUBMISSION),
        ("lmtp", settings.smtp.lmtp, Flavor.LMTP),
    ):
        for place in places:
            yield Entrance("smtp", key, place, servers.smtp(place, flavor, key == "submissions"))
    for key, places in (("listen", settings.pop3.listen), ("listen_tls", settings.pop3.listen_tls)):
        for place in places:
            yield Entrance("pop3", key, place, servers.pop3(place, key == "listen_tls"))
