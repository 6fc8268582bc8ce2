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
from hermes.interfaces import IServerTLS
from hermes.net.gate import Gate
from hermes.net.server_gate import ServerGate
from hermes.protocols.smtp.events import Flavor
from hermes.services.finger_server import FingerServerFactory
from hermes.services.password_server import PasswordServerFactory
from hermes.services.phonebook_server import PhoneBookServerFactory
from hermes.services.pop3_server import POP3ServerFactory
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
    smtp_gate, pop3_gate = (ServerGate(gate, circle.access, server, circle.schedule) for server in ("smtp", "pop3"))
    scram = circle.directory if settings.accounts.scram == "yes" else None
    tokens = token_hint(settings)

    def smtp(place: str, flavor: Flavor, implicit_tls: bool) -> SMTPServerFactory:
        return SMTPServerFactory(
            settings=settings.smtp,
            hostname=settings.hermes.hostname,
            listener=place,
            flavor=flavor,
            clock=clock,
            portal=circle.portal,
            gate=smtp_gate,
            journal=stores.spool.journal,
            server_tls=tls,
            implicit_tls=implicit_tls,
            scram=scram,
            tokens=tokens,
            digests=circle.directory.offers_digests,
            policy=circle.checks,
            visit_of=circle.visit_of,
            greeting=greeting,
            transcripts=stores.transcripts,
            turn=turn,
        )

    def pop3(place: str, implicit_tls: bool) -> POP3ServerFactory:
        return POP3ServerFactory(
            clock=clock,
            settings=settings.pop3,
            hostname=settings.hermes.hostname,
            listener=place,
            portal=circle.portal,
            gate=pop3_gate,
            journal=stores.spool.journal,
            reader=stores.reader,
            tls=tls,
            implicit_tls=implicit_tls,
            scram=scram,
            transcripts=stores.transcripts,
            tokens=tokens,
            digests=circle.directory.offers_digests,
            entry_of=lambda peer: circle.access.entry(peer, "pop3"),
            expire=lambda: expiry_before_login(settings.pop3.expire, circle.directory.expiries()),
            login_times=stores.login_times,
        )

    for key, places, flavor in (
        ("listen", settings.smtp.listen, Flavor.SMTP),
        ("submission", settings.smtp.submission, Flavor.SUBMISSION),
        ("submissions", settings.smtp.submissions, Flavor.SUBMISSION),
        ("lmtp", settings.smtp.lmtp, Flavor.LMTP),
    ):
        for place in places:
            yield Entrance("smtp", key, place, smtp(place, flavor, key == "submissions"))
    for key, places in (("listen", settings.pop3.listen), ("listen_tls", settings.pop3.listen_tls)):
        for place in places:
            yield Entrance("pop3", key, place, pop3(place, key == "listen_tls"))
