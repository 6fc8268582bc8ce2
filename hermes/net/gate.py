"""
The gate: how many connections there are, from whom, how fast they come, and who has been guessing passwords.

A refusal is said (421, RFC 5321 3.8), except to a flood under TLS (:mod:`hermes.services.turned_away`). This machine itself is
exempt unless configured otherwise.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address, ip_network

from zope.interface import implementer

from hermes.config.schema import LimitsSettings
from hermes.core.outcome import PASS, Verdict
from hermes.core.reply import Reply
from hermes.interfaces import IGate, IOffenders
from hermes.net.peer import UNIX_PEER, is_loopback

#: Peers whose rate and failures are remembered: an attacker with many addresses must not fill the memory. The ones seen
#: longest ago are forgotten first; 20,000 entries take some 5 MB.
MAX_REMEMBERED = 20_000

#: The time in which wrong passwords are counted, and after which they are forgotten.
FAILURE_WINDOW_SECONDS = 600.0


class _Bucket:
    """Counts what happens; what has been counted drains away evenly over the window."""

    __slots__ = ("at", "level")

    def __init__(self, now: float) -> None:
        self.level = 0.0
        self.at = now

    def drain(self, now: float, capacity: int, window_seconds: float) -> float:
        self.level = max(0.0, self.level - (now - self.at) * capacity / window_seconds)
        self.at = now
        return self.level


class _Memory:
    """Buckets by peer, bounded."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def bucket(self, key: str, now: float) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(now)
            if len(self._buckets) > MAX_REMEMBERED:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket

    def known(self, key: str) -> bool:
        return key in self._buckets


@implementer(IGate)
class Gate:
    """Counts for all servers together; ``settings`` may be replaced while it runs."""

    def __init__(
        self, settings: LimitsSettings, seconds: Callable[[], float], offenders: IOffenders | None = None
    ) -> None:
        self.settings = settings
        self._offenders = offenders
        self._seconds = seconds
        self._total = 0
        self._addresses: dict[str, int] = {}
        self._networks: dict[str, int] = {}
        self._rates = _Memory()
        self._failures = _Memory()

    @property
    def connections(self) -> int:
        """How many connections are counted now."""
        return self._total

    def admit(self, peer: str, *, exempt: bool = False) -> Verdict:
        """Judge a new connection and count it when it is accepted; who is ``exempt`` is counted and not judged."""
        if not exempt and self._offenders is not None and (listed := self._offenders.refusal(peer)) is not None:
            return listed
        address, network = host_of(peer), network_of(peer)
        if not (exempt or self._exempt(peer)):
            refusal = self._refusal(address, network)
            if refusal is not None:
                return refusal
        self._total += 1
        self._addresses[address] = self._addresses.get(address, 0) + 1
        self._networks[network] = self._networks.get(network, 0) + 1
        return PASS

    def left(self, peer: str) -> None:
        """A connection that was admitted is gone."""
        self._total -= 1
        _decrease(self._addresses, host_of(peer))
        _decrease(self._networks, network_of(peer))

    def expect(self) -> Verdict:
        """
        Count a connection of a front end whose client is not known yet; only the number of all connections is judged.

        Counted for the front end's own address, it would soon have more than its share: everybody comes through it.
        """
        if self._total >= self.settings.connections:
            return self._full()
        self._total += 1
        return PASS

    def expected(self) -> None:
        """The client is known now, and is judged like any other; or the connection is gone."""
        self._total -= 1

    def login_failed(self, peer: str, *, exempt: bool = False) -> None:
        """Remember a wrong password."""
        if not (exempt or self._exempt(peer)):
            now = self._seconds()
            bucket = self._failures.bucket(host_of(peer), now)
            bucket.drain(now, self.settings.login_failures, FAILURE_WINDOW_SECONDS)
            bucket.level += 1
            if bucket.level > self.settings.login_failures - 1:
                self.offended(peer, "logins", f"{self.settings.login_failures} wrong passwords in ten minutes")

    def login_verdict(self, peer: str, *, exempt: bool = False) -> Verdict:
        """Say whether this peer may try a password now."""
        key = host_of(peer)
        if exempt or self._exempt(peer) or not self._failures.known(key):
            return PASS
        now = self._seconds()
        level = self._failures.bucket(key, now).drain(now, self.settings.login_failures, FAILURE_WINDOW_SECONDS)
        # What has drained away since the last failure is less than one: round it up again.
        if level > self.settings.login_failures - 1:
            reply = Reply.of(454, "4.7.0", "Too many wrong passwords from your address: try again in some minutes")
            return Verdict(reply, "limits.login_failures", f"more than {self.settings.login_failures} in ten minutes")
        return PASS

    def offended(self, peer: str, cause: str, reason: str, *, exempt: bool = False) -> None:
        """A peer has gone too far: it is reported, if that is configured, unless it is exempt."""
        if self._offenders is not None and not exempt:
            self._offenders.offended(peer, cause, reason)

    def _refusal(self, address: str, network: str) -> Verdict | None:
        settings = self.settings
        if self._total >= settings.connections:
            return self._full()
        if self._addresses.get(address, 0) >= settings.per_address:
            return _busy("limits.per_address", f"{settings.per_address} connections from {address}")
        if self._networks.get(network, 0) >= settings.per_network:
            return _busy("limits.per_network", f"{settings.per_network} connections from {network}")
        now = self._seconds()
        bucket = self._rates.bucket(address, now)
        if bucket.drain(now, settings.rate, 60.0) > settings.rate - 1:
            return _busy("limits.rate", f"more than {settings.rate} connections a minute from {address}")
        bucket.level += 1
        return None

    def _full(self) -> Verdict:
        return _busy("limits.connections", f"{self._total} connections, all servers together")

    def _exempt(self, peer: str) -> bool:
        return self.settings.exempt_loopback and is_loopback(peer)


def _busy(rule: str, reason: str) -> Verdict:
    return Verdict(Reply.of(421, "4.7.0", "Too many connections: try again later"), rule, reason)


def _decrease(counts: dict[str, int], key: str) -> None:
    count = counts.get(key, 0) - 1
    if count > 0:
        counts[key] = count
    else:
        counts.pop(key, None)


def host_of(peer: str) -> str:
    """What counts as one address: an IPv4 address, an IPv6 /64 (which is what one customer gets at least)."""
    return _prefix(peer, 32, 64)


def network_of(peer: str) -> str:
    """What counts as one network: IPv4 /24, IPv6 /48."""
    return _prefix(peer, 24, 48)


@lru_cache(4096)
def _prefix(peer: str, ipv4_bits: int, ipv6_bits: int) -> str:
    if peer == UNIX_PEER:
        return peer
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    bits = ipv4_bits if address.version == 4 else ipv6_bits
    return str(address) if bits == address.max_prefixlen else str(ip_network((address, bits), strict=False))
