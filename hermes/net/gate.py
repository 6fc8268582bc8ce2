"""
The gate: how many connections there are, from whom, how fast they come, and who has been guessing passwords.

A refusal is said (421, RFC 5321 3.8), except to a flood under TLS (:mod:`hermes.services.turned_away`). This machine itself is
exempt unless configured otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from hermes.config.schema import LimitsSettings
from hermes.core.metric import Counts as Tally
from hermes.core.outcome import PASS, Verdict
from hermes.core.peer_address import host_of, network_of
from hermes.core.reply import Reply
from hermes.interfaces import IGate, IOffenders
from hermes.net.counts import Counts, OwnCounts
from hermes.net.login_limits import LoginLimits
from hermes.net.peer import is_loopback

#: The time in which new connections are counted for their rate.
RATE_WINDOW_SECONDS = 60.0


@implementer(IGate)
class Gate:
    """
    Counts for all servers together; ``settings`` may be replaced while it runs.

    ``counts`` and ``logins`` are given where several processes count together.
    """

    def __init__(
        self,
        settings: LimitsSettings,
        seconds: Callable[[], float],
        offenders: IOffenders | None = None,
        counts: Counts | None = None,
        logins: LoginLimits | None = None,
    ) -> None:
        self._settings = settings
        self._offenders = offenders
        self._seconds = seconds
        self._counts = OwnCounts() if counts is None else counts
        #: Who has been guessing passwords.
        self.logins = LoginLimits(settings, seconds) if logins is None else logins
        #: How often TLS has broken, by server.
        self.broken_tls = Tally("service")

    @property
    def settings(self) -> LimitsSettings:
        """How much is allowed."""
        return self._settings

    @settings.setter
    def settings(self, settings: LimitsSettings) -> None:
        self._settings = self.logins.settings = settings

    @property
    def connections(self) -> int:
        """How many connections this process has now."""
        return self._counts.own

    def admit(self, peer: str, *, exempt: bool = False) -> Verdict:
        """Judge a new connection and count it when it is accepted; who is ``exempt`` is counted and not judged."""
        if not exempt and self._offenders is not None and (listed := self._offenders.refusal(peer)) is not None:
            return listed
        address, network = host_of(peer), network_of(peer)
        if not (exempt or self._exempt(peer)):
            refusal = self._refusal(address, network)
            if refusal is not None:
                return refusal
        self._counts.enter(_address(address), _network(network))
        return PASS

    def left(self, peer: str) -> None:
        """A connection that was admitted is gone."""
        self._counts.leave(_address(host_of(peer)), _network(network_of(peer)))

    def expect(self) -> Verdict:
        """
        Count a connection of a front end whose client is not known yet; only the number of all connections is judged.

        Counted for the front end's own address, it would soon have more than its share: everybody comes through it.
        """
        if self._counts.total() >= self.settings.connections:
            return self._full()
        self._counts.enter()
        return PASS

    def expected(self) -> None:
        """The client is known now, and is judged like any other; or the connection is gone."""
        self._counts.leave()

    def login_failed(self, peer: str, name: str = "", *, exempt: bool = False) -> float:
        """Remember a wrong password; how many seconds its answer shall wait at least."""
        if exempt or self._exempt(peer):
            return 0.0
        seconds, used_up = self.logins.failed(peer, name)
        if used_up:
            self.offended(peer, "logins", f"{self.settings.login_failures} wrong passwords in ten minutes")
        return seconds

    def login_succeeded(self, peer: str, *names: str) -> None:
        """Remember who has logged in from where."""
        self.logins.succeeded(peer, *names)

    def login_verdict(self, peer: str, name: str = "", *, exempt: bool = False) -> Verdict:
        """Say whether this peer may try a password for that name now."""
        return PASS if exempt or self._exempt(peer) else self.logins.verdict(peer, name)

    def tls_failed(self, server: str = "") -> None:
        """TLS with a client of a server has broken."""
        self.broken_tls.add((server,))

    def offended(self, peer: str, cause: str, reason: str, *, exempt: bool = False) -> None:
        """A peer has gone too far: it is reported, if that is configured, unless it is exempt."""
        if self._offenders is not None and not exempt:
            self._offenders.offended(peer, cause, reason)

    def _refusal(self, address: str, network: str) -> Verdict | None:
        settings, counts = self.settings, self._counts
        if counts.total() >= settings.connections:
            return self._full()
        if counts.connections(_address(address)) >= settings.per_address:
            return _busy("limits.per_address", f"{settings.per_address} connections from {address}")
        if counts.connections(_network(network)) >= settings.per_network:
            return _busy("limits.per_network", f"{settings.per_network} connections from {network}")
        now, pause_seconds = self._seconds(), RATE_WINDOW_SECONDS / max(settings.rate, 1)
        if counts.level(address, now, pause_seconds) > settings.rate - 1:
            return _busy("limits.rate", f"more than {settings.rate} connections a minute from {address}")
        counts.happened(address, now, pause_seconds)
        return None

    def _full(self) -> Verdict:
        return _busy("limits.connections", f"{self._counts.total()} connections, all servers together")

    def _exempt(self, peer: str) -> bool:
        return self.settings.exempt_loopback and is_loopback(peer)


def _busy(rule: str, reason: str) -> Verdict:
    return Verdict(Reply.of(421, "4.7.0", "Too many connections: try again later"), rule, reason)


def _address(key: str) -> str:
    return f"address {key}"


def _network(key: str) -> str:
    # An address that is a network of its own would otherwise be counted twice.
    return f"network {key}"
