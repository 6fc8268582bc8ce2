"""The one resolver of a server: it, and what it remembers, outlive a reload that does not change its settings."""

from __future__ import annotations

from typing import Any

from hermes.config.dns_rules import nameservers
from hermes.config.schema import Settings
from hermes.net.resolver import Resolver


class Resolvers:
    """Gives the resolver that goes by the settings."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._goes_by: tuple[object, ...] = ()
        self._resolver: Resolver | None = None

    def resolver(self, settings: Settings) -> Resolver:
        """The resolver for these settings: the same as before, unless they ask for another."""
        goes_by = nameservers(settings), settings.dns.cache, settings.dns.trusted
        if self._resolver is None or goes_by != self._goes_by:
            servers, max_cached, trusted = goes_by
            self._resolver = Resolver(self._reactor, servers, max_cached=max_cached, trusted=trusted)
            self._goes_by = goes_by
        return self._resolver

    @property
    def current(self) -> Resolver:
        """The resolver of the moment; there is one as soon as there are settings in force."""
        assert self._resolver is not None
        return self._resolver

    def describe(self) -> dict[str, int]:
        """Counters of the resolver."""
        return self._resolver.describe() if self._resolver is not None else {}
