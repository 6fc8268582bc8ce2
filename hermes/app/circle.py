"""
Everything that follows from the settings alone: who is who, who may send where, which way mail goes.

A reload makes a new one and lets go of the old; what is in progress ends as it began.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import attrs
from twisted.mail.smtp import IMessageDelivery

from hermes.app.checks import Means
from hermes.app.known_files import KnownFiles
from hermes.app.outgoing import Outgoing
from hermes.app.routed import routed_agents
from hermes.app.rulebook import Rulebook
from hermes.app.signing import signer_of
from hermes.app.standing_checks import standing_checks
from hermes.app.stores import Stores
from hermes.app.token_keeping import clients_of
from hermes.app.tokens import token_checkers
from hermes.config.report_templates import wording_of
from hermes.config.schema import Settings
from hermes.core.account import Account
from hermes.directory.cred import make_portal
from hermes.directory.password_change import PasswordChange, PasswordRule
from hermes.directory.recoverable import DigestChecker
from hermes.interfaces import IDeliveryAgent, IRelayManager, ISchedule, ISpool
from hermes.mailbox.delivery import LocalDelivery
from hermes.mailbox.public import PublicDelivery
from hermes.policy.authorship import Authorship
from hermes.policy.dnsbl import zone_of
from hermes.policy.new_recipients import NewRecipients
from hermes.policy.pipeline import Pipeline
from hermes.queue.destinations import Concurrency
from hermes.queue.expansion import Expander
from hermes.queue.reporting import Reporting
from hermes.queue.rule_sets import RuleSets
from hermes.services.collected_message import ContentChecks
from hermes.services.incoming import Writing
from hermes.services.program_delivery import PROGRAMS, PROGRAMS_OF_A_COMMAND, ProgramDelivery
from hermes.services.reception import Premises, Reception
from hermes.services.scheduled_delivery import ScheduledDelivery

#: Local deliveries are made in groups by one thread: what one fsync can serve at once.
LOCAL_DELIVERIES = 256


class Circle:
    """
    The rules of one set of settings (:class:`hermes.app.rulebook.Rulebook`), and the portal and agents that go by them.

    ``known`` has the files of rules that have been read already.
    """

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        reactor: Any,
        now: Callable[[], float],
        relay: Callable[[], IRelayManager],
        schedule: ISchedule | None = None,
        known: KnownFiles | None = None,
    ) -> None:
        self.schedule = schedule
        self.settings = settings
        self._stores = stores
        self._now = now
        self._relay = relay
        self.reporting = Reporting(settings.reports, wording_of(settings))
        self.resolver = resolver = stores.resolvers.resolver(settings)
        signer = signer_of(settings, stores, lambda: self.directory, lambda: self._policy, now)
        self._outgoing = outgoing = Outgoing(settings, stores, reactor, resolver, signer)
        means = Means(resolver, stores.lists, stores.reader, stores.offenders.report, stores.greylist)
        rulebook = Rulebook(
            settings,
            stores.source,
            stores.mailbox_worker,
            stores.passwords,
            now,
            means,
            stores.redirects,
            lambda: stores.secret,
            outgoing.call_ahead,
            stores.station.count,
            known,
        )
        self.mailboxes = rulebook.mailboxes
        self.directory = rulebook.directory
        self.router = rulebook.router
        self._rules = RuleSets(stores.rules_worker, self.directory.account)
        self.access = rulebook.access
        self.visit_of = rulebook.visit_of
        self.edited = rulebook.edited
        self._policy = rulebook.policy
        self._srs = rulebook.srs
        self.checks = self._all_checks(rulebook)
        #: For mail that is fetched from other servers: no peer of ours has sent it.
        self._content_checks = ContentChecks(rulebook.checks)
        rule = PasswordRule(settings.poppass.min_length, settings.poppass.min_different)
        makes_scram = settings.accounts.scram != "no"
        self.changing = PasswordChange(
            stores.source, stores.passwords, rule, makes_scram=makes_scram, changed=stores.password_changed
        )
        digests = DigestChecker(self.directory, stores.recoverable)
        checkers = (digests, *token_checkers(settings, self.directory, reactor, now))
        self.portal = make_portal(
            self.directory, self.mailboxes.mailbox, self._reception, checkers, stores.app_passwords
        )
        self.agents = {
            **self._local_agents(),
            **self._programs(reactor),
            **routed_agents(settings, rulebook.routes, outgoing.lmtp, reactor),
            **_scheduled(outgoing.agents(), schedule, now),
        }
        self.limits = _limits(outgoing)

    def come_into_force(self) -> None:
        """Have what outlives a reload go by these settings; until then nobody notices that they have been read."""
        settings, stores = self.settings, self._stores
        stores.resolvers.use(self.resolver, settings)
        stores.lists.keep([(name, zone_of(one)) for name, one in settings.dnsbl.items()])
        stores.offenders.reconfigure(settings, self.access)
        stores.tokens.clients = clients_of(settings)
        asked = any(entry.log for entry in settings.access.values())
        stores.transcripts.reconfigure(settings.transcripts, self.access if asked else None)

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
            rules=self._rules,
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
        directory = self.settings.directory
        local = LocalDelivery(self.mailboxes, self.directory, self._stores.deposit_worker, adopted_at)
        return {
            "local": local,
            # The mailbox itself, wherever mail for its address goes: for those to whom an address was expanded.
            "mailbox": local,
            "public": PublicDelivery(directory.public, local, self.mailboxes.quota, directory.public_quota),
        }

    def _programs(self, reactor: Any) -> dict[str, IDeliveryAgent]:
        directory = self.settings.directory
        if not directory.programs:
            return {}
        return {"program": ProgramDelivery(reactor, self._commands, self.settings.hermes.data, directory.program_time)}

    async def _commands(self) -> set[str]:
        return (await self._stores.redirects.current()).commands()

    def _all_checks(self, rulebook: Rulebook) -> Pipeline:
        """Those of the rulebook, and those that count, or know who has logged in."""
        settings, stores = self.settings, self._stores
        authorship = Authorship(self.directory, own_only=settings.smtp.from_must_be_own)
        new_recipients = NewRecipients(
            settings.accounts.new_recipients,
            stores.recipients,
            self.directory,
            lambda: stores.spool.journal,
            lambda: stores.secret,
            self._now,
        )
        # What counts recipients comes last: a recipient that another check refuses has not been reached.
        return Pipeline([*standing_checks(settings, stores), authorship, *rulebook.checks.checks(), new_recipients])

    def connections(self) -> list[dict[str, Any]]:
        """The connections to other servers that are open now."""
        return self._outgoing.connections()

    async def stop(self) -> None:
        """Take leave of the servers whose connections were kept."""
        await self._outgoing.stop()

    def _reception(self, account: Account | None) -> IMessageDelivery:
        return Reception(account, self._premises)

    def premises(self) -> Premises:
        """What messages of the SMTP server go through, for those that come by another way."""
        return self._premises

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


def _limits(outgoing: Outgoing) -> dict[str, Concurrency]:
    """How many deliveries each agent makes at once."""
    local = Concurrency(total=LOCAL_DELIVERIES, per_destination=LOCAL_DELIVERIES)
    programs = Concurrency(total=PROGRAMS, per_destination=PROGRAMS_OF_A_COMMAND)
    return {
        **dict.fromkeys(("local", "mailbox", "public"), local),
        **dict.fromkeys(("program", "pipe"), programs),
        **outgoing.limits(),
    }


def _scheduled(
    agents: Mapping[str, IDeliveryAgent], schedule: ISchedule | None, now: Callable[[], float]
) -> dict[str, IDeliveryAgent]:
    """The agents that send to other servers, kept to the schedule if there is one."""
    if schedule is None:
        return dict(agents)
    return {client: ScheduledDelivery(schedule, client, agent, now) for client, agent in agents.items()}
