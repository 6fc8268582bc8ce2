"""
The agents that carry mail to other servers, and how much each may do at once.

They follow from the settings alone, and keep connections: whoever lets go of them takes leave of the servers.
"""

from __future__ import annotations

from typing import Any

from hermes.app.checks import own_addresses
from hermes.app.stores import Stores
from hermes.config.schema import Settings
from hermes.config.smarthost_rules import smarthosts_of
from hermes.interfaces import IDeliveryAgent, ISigner
from hermes.net.resolver import Resolver
from hermes.queue.destinations import Concurrency
from hermes.services.call_ahead import CallAhead
from hermes.services.direct_delivery import DirectAgent
from hermes.services.lmtp_delivery import CONNECTIONS, CONNECTIONS_TO_ONE, LMTPDelivery
from hermes.services.protection import Protection, Table
from hermes.services.smarthost import SmarthostAgent
from hermes.services.smarthosts import Smarthosts

#: Connections to a server of which nothing is known yet: it gets more when it takes what it is given. With two, those that hang
#: would be twice as many.
INITIAL_DELIVERIES = 1


class Outgoing:
    """All of them; ``call_ahead`` asks the servers for which this one is a backup."""

    def __init__(
        self, settings: Settings, stores: Stores, reactor: Any, resolver: Resolver, signer: ISigner | None
    ) -> None:
        self._settings = settings
        self._smarthosts_of = smarthosts_of(settings)
        hostname = settings.hermes.hostname
        protection = Protection(settings.direct, settings.destination, resolver, stores.sts, stores.tls_results)

        def direct(named: dict[str, tuple[str, int]] | None = None) -> DirectAgent:
            return DirectAgent(
                reactor,
                settings.direct,
                hostname,
                stores.reader,
                resolver,
                own_addresses=own_addresses(settings),
                named=named,
                signer=signer,
                protection=protection,
                results=stores.tls_results,
                paused=stores.pauses.of_host,
            )

        self.direct = direct()
        self.backup = direct(_named(settings))
        self.call_ahead = CallAhead(reactor, self.backup)
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
                    derive=stores.derive,
                    paused=stores.pauses.of_host,
                )
                for name, each in self._smarthosts_of.items()
            },
            {name: each.fallback for name, each in self._smarthosts_of.items()},
        )
        self.lmtp = LMTPDelivery(reactor, hostname, stores.reader, resolver, stores.pauses.of_host)

    def agents(self) -> dict[str, IDeliveryAgent]:
        """Those that are configured, but for routes; mail in the queue for a way that is not any more is routed anew."""
        settings = self._settings
        agents: dict[str, IDeliveryAgent] = {}
        if self._smarthosts_of:
            agents["smarthost"] = self.smarthosts
        if settings.direct.enabled:
            agents["direct"] = self.direct
        if settings.backup:
            agents["backup"] = self.backup
        return agents

    def limits(self) -> dict[str, Concurrency]:
        """How many deliveries each may make at once."""
        settings = self._settings
        connections = {name: each.connections for name, each in self._smarthosts_of.items()}
        # Each has its own, and takes none from the others: in twice their sum there is always room for one more.
        together = max(1, 2 * sum(connections.values()))
        # A server for which this is a backup is likely to be down: it shall not keep those of others from their mail either.
        direct = Concurrency(
            settings.direct.connections,
            settings.direct.connections_per_destination,
            INITIAL_DELIVERIES,
            Table(settings.destination).connections,
            settings.direct.waiting,
            strangers=True,
        )
        return {
            # As many that hang as there are connections: a house has a handful of stores.
            "lmtp": Concurrency(CONNECTIONS, CONNECTIONS_TO_ONE, INITIAL_DELIVERIES, waiting=CONNECTIONS),
            "smarthost": Concurrency(together, 1, most_of=lambda name: connections.get(name, 0)),
            "direct": direct,
            "backup": direct,
        }

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


def _named(settings: Settings) -> dict[str, tuple[str, int]]:
    """Host and port of the domains for which this is a backup, where they are named."""
    return {
        domain.lower(): (each.host, each.port)
        for each in settings.backup.values()
        for domain in each.domains
        if each.host
    }
