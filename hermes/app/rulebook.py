"""
The rules that follow from the settings: who may connect, who is who, who may send where, which way mail goes.

The server goes by them, and ``hermes explain`` reads them without a server: both are given the same answers by the same objects.
No store is opened here; accounts and mailboxes are looked at when something is asked.
"""

from __future__ import annotations

from collections.abc import Callable

from hermes.app.checks import Means, checks
from hermes.app.file_checks import Edited
from hermes.app.known_files import KnownFiles
from hermes.app.redirects import rules_of, srs_of
from hermes.config.schema import POP3Settings, Settings
from hermes.config.sections.routes import routes_of
from hermes.config.smarthost_rules import default_smarthost
from hermes.core.dns_answer import Budget
from hermes.core.reading_profile import ReadingProfile
from hermes.core.srs import SRS
from hermes.core.visit import Visit
from hermes.directory.directory import AccountSource, Directory
from hermes.directory.passwords import Passwords
from hermes.directory.redirects import RedirectSource
from hermes.interfaces import ICallAhead, IGroupWorker
from hermes.mailbox.store import Mailboxes
from hermes.policy.access import Access
from hermes.policy.pipeline import Pipeline
from hermes.policy.relay import RelayPolicy, backup_domains
from hermes.queue.router import Router
from hermes.queue.smarthost_choice import SmarthostRule


class Rulebook:
    """
    ``reader`` is a worker that calls each item; ``now`` gives seconds since the epoch; ``secret`` the server's own, when it has
    been read, else nothing.

    ``means`` are there in a living server: without them there are only the checks that go by the settings alone.
    Files of rules beside ``config.ini`` are read when this is made, but for those that are ``known``; ConfigError tells what is
    wrong with them.
    """

    def __init__(
        self,
        settings: Settings,
        source: AccountSource,
        reader: IGroupWorker,
        passwords: Passwords,
        now: Callable[[], float],
        means: Means | None = None,
        redirects: RedirectSource | None = None,
        secret: Callable[[], bytes] = bytes,
        call_ahead: ICallAhead | None = None,
        processes: int = 1,
        known: KnownFiles | None = None,
    ) -> None:
        self._dns = settings.dns
        hermes = settings.hermes
        self._settings = settings
        self._secret = secret
        self._srs: SRS | None = None
        self.access = Access(settings.access)
        self.mailboxes = Mailboxes(
            settings.mailbox.directory,
            reader,
            default_quota=settings.mailbox.quota,
            hostname=hermes.hostname,
            now=now,
            processes=processes,
            reading=_reading(settings.pop3),
        )
        self.directory = Directory(
            source,
            hermes.domains,
            hermes.postmaster,
            passwords,
            rules=rules_of(settings),
            redirects=redirects,
            makes_scram=settings.accounts.scram != "no",
            srs=self.srs,
            now=now,
        )
        self.routes = routes_of(settings.route)
        self.router = Router(
            self.directory,
            smarthost=default_smarthost(settings),
            smarthosts=smarthost_rules(settings),
            direct_enabled=settings.direct.enabled,
            postmaster=hermes.postmaster,
            backups=backup_domains(settings),
            routes=self.routes,
        )
        self.policy = RelayPolicy(
            self.directory, self.router, self.mailboxes, self.access, settings, call_ahead, self.routes
        )
        edited = Edited(reader, now, known or {})
        self.checks = Pipeline(checks(settings, edited, means))
        #: The files that the checks go by.
        self.edited = edited.files

    def visit_of(self, peer: str) -> Visit:
        """What the checks of the SMTP server are told of a peer."""
        return Visit(
            peer,
            entry=self.access.entry(peer, "smtp"),
            relays=self.policy.relay_right(peer),
            budget=Budget(self._dns.lookups, self._dns.timeout),
        )

    def srs(self) -> SRS | None:
        """What senders are rewritten with, if they are; not before the server has its secret."""
        if self._srs is None:
            self._srs = srs_of(self._settings, self._secret())
        return self._srs


def smarthost_rules(settings: Settings) -> list[SmarthostRule]:
    """The smart hosts that choose their mail, in the order of the file."""
    return [
        SmarthostRule(name, each.senders, each.recipients, each.accounts)
        for name, each in settings.smarthosts.items()
        if each.chooses
    ]


def _reading(pop3: POP3Settings) -> ReadingProfile:
    """How mailboxes are read whose accounts say nothing about it."""
    return ReadingProfile(
        mark_read=pop3.mark_read,
        show_read=pop3.show_read,
        show_status=pop3.show_status,
        no_delete=pop3.no_delete,
        delete_is_final=pop3.delete_is_final,
        expire_seconds=pop3.expire,
    )
