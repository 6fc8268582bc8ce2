"""Whom no rule puts on the list of offenders: this machine, and those whom the administrator trusts or has named."""

from __future__ import annotations

from collections.abc import Iterable

from hermes.config.schema import ACCESS_SERVERS, Settings
from hermes.config.setting import Network
from hermes.core.peer_address import address_of
from hermes.interfaces import IAccess


class Exemptions:
    """As one set of settings has them."""

    def __init__(self, settings: Settings, access: IAccess) -> None:
        self._access = access
        self._networks: tuple[tuple[str, tuple[Network, ...]], ...] = (
            ("smtp.relay_networks", settings.smtp.relay_networks),
            # It speaks for others: what they do is not its doing, and without it they could not come at all.
            ("smtp.front_ends", settings.smtp.front_ends),
            ("offenders.exempt", settings.offenders.exempt),
        )

    def why(self, peer: str) -> str:
        """What exempts a peer: ``loopback``, a setting, ``access.NAME``; empty when nothing does."""
        address = address_of(peer)
        if address is None:
            # A UNIX socket, or a client whose address its front end does not know: there is nothing that could be listed.
            return "no address"
        if address.is_loopback:
            return "loopback"
        for name, networks in self._networks:
            if networks and any(address in network for network in networks):
                return name
        return self._by_access(peer, ACCESS_SERVERS)

    def _by_access(self, peer: str, servers: Iterable[str]) -> str:
        for server in servers:
            entry = self._access.entry(peer, server)
            if entry is not None and entry.exempt:
                return entry.rule
        return ""
