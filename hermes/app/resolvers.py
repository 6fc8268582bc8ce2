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
        self._goes_by: object = None
        self._resolver: Resolver | None = None

    def resolver(self, settings: Settings) -> Resolver:
        """The resolver for these settings: that of the moment, unless they ask for another, which then is nobody's yet."""
        if self._resolver is not None and _terms(settings) == self._goes_by:
            return self._resolver
        servers, max_cached, trusted = _terms(settings)
        return Resolver(self._reactor, servers, max_cached=max_cached, trusted=trusted)

    def use(self, resolver: Resolver, settings: Settings) -> None:
        """Have it be that of the moment: these settings, for which it was made, are in force."""
        self._resolver, self._goes_by = resolver, _terms(settings)

    @property
    def current(self) -> Resolver:
        """The resolver of the moment; there is one as soon as there are settings in force."""
        assert self._resolver is not None
        return self._resolver

    def describe(self) -> dict[str, int]:
        """Counters of the resolver."""
        return self._resolver.describe() if self._resolver is not None else {}


def _terms(settings: Settings) -> tuple[tuple[str, ...], int, bool]:
    return nameservers(settings), settings.dns.cache, settings.dns.trusted
