"""The one resolver, from one set of settings to the next."""

from __future__ import annotations

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.resolvers import Resolvers
from hermes.config.schema import DirectSettings, Settings
from hermes.config.sections.dns import DNSSettings
from hermes.config.sections.queue import QueueSettings


class ResolversTests(SynchronousTestCase):
    """When there is a new one."""

    def test_kept(self) -> None:
        """It stays as long as its settings do, wherever the name servers stand, and another is in force when it is used."""
        resolvers = Resolvers(Clock())
        self.assertEqual(resolvers.describe(), {})
        settings = Settings()
        first = resolvers.resolver(settings)
        resolvers.use(first, settings)
        self.assertIs(resolvers.resolver(attrs.evolve(settings, queue=QueueSettings(expire=1))), first)
        other = attrs.evolve(settings, direct=DirectSettings(nameservers=("192.0.2.53",)))
        second = resolvers.resolver(other)
        self.assertIsNot(second, first)
        self.assertIs(resolvers.current, first)
        self.assertIs(resolvers.resolver(settings), first)
        resolvers.use(second, other)
        self.assertIs(resolvers.current, second)
        moved = attrs.evolve(settings, dns=DNSSettings(nameservers=("192.0.2.53",), lookups=5))
        self.assertIs(resolvers.resolver(moved), second)
        self.assertEqual(second._name_servers._configured, [("192.0.2.53", 53)])
        self.assertIsNot(resolvers.resolver(attrs.evolve(moved, dns=DNSSettings(cache=5))), second)
        self.assertEqual(resolvers.describe()["questions"], 0)
