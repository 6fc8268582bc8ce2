"""
Everything that follows from the settings alone: who is who, who may send where, which way mail goes.

A reload makes a new one and lets go of the old; what is in progress ends as it began.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import attrs
from twisted.mail.smtp import IMessageDelivery

from hermes.app.checks import Means, own_addresses
from hermes.app.routed import routed_agents
from hermes.app.rulebook import Rulebook
from hermes.app.signing import signer_of
from hermes.app.standing_checks import standing_checks
from hermes.app.stores import Stores
from hermes.app.tokens import token_checkers
from hermes.config.report_templates import wording_of
from hermes.config.schema import Settings
from hermes.config.smarthost_rules import smarthosts_of
from hermes.core.account import Account
from hermes.directory.cred import make_portal
from hermes.directory.password_change import PasswordChange, PasswordRule
from hermes.directory.recoverable import DigestChecker
from hermes.interfaces import IDeliveryAgent, IRelayManager, ISpool
from hermes.mailbox.delivery import LocalDelivery
from hermes.mailbox.public import PublicDelivery
from hermes.policy.authorship import Authorship
from hermes.policy.new_recipients import NewRecipients
from hermes.policy.pipeline import Pipeline
from hermes.queue.destinations import Concurrency
from hermes.queue.expansion import Expander
from hermes.queue.reporting import Reporting
from hermes.services.call_ahead import CallAhead
from hermes.services.collected_message import ContentChecks
from hermes.services.direct_delivery import DirectAgent
from hermes.services.incoming import Writing
from hermes.services.lmtp_delivery import CONNECTIONS, CONNECTIONS_TO_ONE, LMTPDelivery
from hermes.services.program_delivery import PROGRAMS, PROGRAMS_OF_A_COMMAND, ProgramDelivery
from hermes.services.protection import Protection, Table
from hermes.services.reception import Premises, Reception
from hermes.services.smarthost import SmarthostAgent
from hermes.services.smarthosts import Smarthosts

#: Connections to a server of which nothing is known yet: it gets more when it takes what it is given.
INITIAL_DELIVERIES = 2

#: Local deliveries are made in groups by one thread: what one fsync can serve at once.
LOCAL_DELIVERIES = 256


class Circle:
    """The rules of one set of settings (:class:`hermes.app.rulebook.Rulebook`), and the portal and agents that go by them."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        reactor: Any,
        now: Callable[[], float],
        relay: Callable[[], IRelayManager],
    ) -> None:
        hostname = settings.hermes.hostname
        self.settings = settings
        self.reporting = Reporting(settings.reports, wording_of(settings))
        resolver = stores.resolvers.resolver(settings)
        means = Means(resolver, stores.lists, stores.reader, stores.offenders.report, stores.greylist)
        own = own_addresses(settings)
        signer = signer_of(settings, stores, lambda: self.directory, lambda: self._policy, now)
        protection = Protection(settings.direct, settings.destination, resolver, stores.sts, stores.tls_results)
        self.direct = DirectAgent(
            reactor,
            settings.direct,
            hostname,
            stores.reader,
            resolver,
            own_addresses=own,
            signer=signer,
            protection=protection,
            results=stores.tls_results,
        )
        self.backup = DirectAgent(
            reactor,
            settings.direct,
            hostname,
            stores.reader,
            resolver,
            own_addresses=own,
            named=_named(settings),
            signer=signer,
            protection=protection,
            results=stores.tls_results,
        )
        self.call_ahead = CallAhead(reactor, self.backup)
        rulebook = Rulebook(
            settings,
            stores.source,
            stores.mailbox_worker,
            stores.passwords,
            now,
            means,
            stores.redirects,
            lambda: stores.secret,
            self.call_ahead,
            stores.station.count,
        )
        self.mailboxes = rulebook.mailboxes
        self.directory = rulebook.directory
        self.router = rulebook.router
        self.access = rulebook.access
        authorship = Authorship(self.directory, own_only=settings.smtp.from_must_be_own)
        new_recipients = NewRecipients(
            settings.accounts.new_recipients,
            stores.recipients,
            self.directory,
            lambda: stores.spool.journal,
            lambda: stores.secret,
            now,
        )
        # What counts recipients comes last: a recipient that another check refuses has not been reached.
        first = [*standing_checks(settings, stores), authorship]
        self.checks = Pipeline([*first, *rulebook.checks.checks(), new_recipients])
        #: For mail that is fetched from other servers: no peer of ours has sent it.
        self._content_checks = ContentChecks(rulebook.checks)
        self.visit_of = rulebook.visit_of
        self._policy = rulebook.policy
        rule = PasswordRule(settings.poppass.min_length, settings.poppass.min_different)
        makes_scram = settings.accounts.scram != "no"
        self.changing = PasswordChange(stores.source, stores.passwords, rule, makes_scram=makes_scram)
        self._stores = stores
        self._now = now
        self._relay = relay
        digests = DigestChecker(self.directory, stores.recoverable)
        checkers = (digests, *token_checkers(settings, self.directory, reactor, now))
        self.portal = make_portal(self.directory, self.mailboxes.mailbox, self._reception, checkers)
        smarthosts = smarthosts_of(settings)
        self.smarthosts = Smarthosts(
            {
                name: SmarthostAgent(
                    reactor,
                    each,
                    hostname,
                    stores.reader,
                    resolver,
                    name=name,
                    rate=stores.sending_rates.of(name),
                    tokens=stores.tokens,
                    signer=signer,
                )
                for name, each in smarthosts.items()
            },
            {name: each.fallback for name, each in smarthosts.items()},
        )
        self.agents = self._local_agents()
        if settings.directory.programs:
            self.agents["program"] = ProgramDelivery(
                reactor, self._commands, settings.hermes.data, settings.directory.program_time
            )
        self._srs = rulebook.srs
        self.lmtp = LMTPDelivery(reactor, hostname, stores.reader, resolver)
        self.agents |= routed_agents(settings, rulebook.routes, self.lmtp, reactor)
        # Mail in the queue for a way that is not configured any more is routed anew.
        if smarthosts:
            self.agents["smarthost"] = self.smarthosts
        if settings.direct.enabled:
            self.agents["direct"] = self.direct
        if settings.backup:
            self.agents["backup"] = self.backup
        self.limits = {
            **dict.fromkeys(
                ("local", "mailbox", "public"),
                Concurrency(total=LOCAL_DELIVERIES, per_destination=LOCAL_DELIVERIES),
            ),
            **dict.fromkeys(("program", "pipe"), Concurrency(total=PROGRAMS, per_destination=PROGRAMS_OF_A_COMMAND)),
            "lmtp": Concurrency(CONNECTIONS, CONNECTIONS_TO_ONE),
            "smarthost": Concurrency(
                max(1, sum(each.connections for each in smarthosts.values())),
                max((each.connections for each in smarthosts.values()), default=1),
            ),
            "direct": Concurrency(
                settings.direct.connections,
                settings.direct.connections_per_destination,
                INITIAL_DELIVERIES,
                Table(settings.destination).connections,
                settings.direct.waiting,
            ),
            "backup": Concurrency(settings.direct.connections, settings.direct.connections_per_destination),
        }

    def agents_of_adopted(self, adopted_at: float) -> dict[str, IDeliveryAgent]:
        """The agents for a shard that another process has had until then."""
        return self.agents | self._local_agents(adopted_at)

    def expander(self, spool: ISpool) -> Expander:
        """What puts recipients into the place of addresses that stand for them, for messages of one shard."""
        return Expander(
            self.directory,
            self.router,
            spool,
            self._stores.reader,
            self._now,
            hostname=self.settings.hermes.hostname,
            own_domains=self.settings.hermes.domains,
            srs=self._srs,
            answered=self._stores.answered,
        )

    def about_us(self, spool: ISpool) -> dict[str, Any]:
        """What the relay manager of a shard is told of this server, when it is made and with each reload."""
        hermes = self.settings.hermes
        return {
            "hostname": hermes.hostname,
            "postmaster": hermes.postmaster,
            "own_domains": hermes.domains,
            "expander": self.expander(spool),
            "reporting": self.reporting,
        }

    def _local_agents(self, adopted_at: float = 0.0) -> dict[str, IDeliveryAgent]:
        local = LocalDelivery(self.mailboxes, self.directory, self._stores.deposit_worker, adopted_at)
        return {
            "local": local,
            # The mailbox itself, wherever mail for its address goes: for those to whom an address was expanded.
            "mailbox": local,
            "public": PublicDelivery(self.settings.directory.public, local),
        }

    async def _commands(self) -> set[str]:
        return (await self._stores.redirects.current()).commands()

    def connections(self) -> list[dict[str, Any]]:
        """The connections to other servers that are open now."""
        agents = (self.smarthosts, self.direct, self.backup, self.call_ahead, self.lmtp)
        return [each for agent in agents for each in agent.describe()]

    async def stop(self) -> None:
        """Take leave of the servers whose connections were kept."""
        await self.smarthosts.stop()
        await self.direct.stop()
        await self.call_ahead.stop()
        await self.backup.stop()
        await self.lmtp.stop()

    def _reception(self, account: Account | None) -> IMessageDelivery:
        return Reception(account, self._premises)

    def collecting_premises(self) -> Premises:
        """The same for mail that is fetched from other servers."""
        return attrs.evolve(self._premises, checks=self._content_checks)

    @cached_property
    def _premises(self) -> Premises:
        # Not before it is needed: the relay manager is made with the agents of the first circle.
        settings = self.settings
        writing = Writing(
            settings.hermes.hostname,
            settings.queue.max_hops,
            self._now,
            self._relay(),
            transcripts=settings.reports.transcripts,
        )
        return Premises(self._stores.spool, self.directory, self._policy, self.checks, writing, settings.smtp.max_size)


def _named(settings: Settings) -> dict[str, tuple[str, int]]:
    """Host and port of the domains for which this is a backup, where they are named."""
    return {
        domain.lower(): (each.host, each.port)
        for each in settings.backup.values()
        for domain in each.domains
        if each.host
    }
