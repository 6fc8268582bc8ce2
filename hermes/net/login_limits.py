"""
How many wrong passwords are too many: for an account, an address and a network, at all servers together.

Each failure is counted three times, for the name that was typed, whether there is such an account or not, for the address
and for its network, and its answer waits: the longer, the more there were. Above a limit passwords are not looked at any more,
right or wrong, until enough time has passed.

A stranger could lock the owner out of an account that way. So who has logged in to an account from an address lately is known
there: such a pair of name and address is judged by its own failures alone, and these count for nobody else. The owner gets in
while strangers are guessing, and an office is not locked out by the one telephone that still has an old password. What a
stranger gains who comes from the owner's address is one further allowance, as small as any address has.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from ipaddress import ip_network

import attrs

from hermes.config.schema import LimitsSettings
from hermes.core.offender import Network
from hermes.core.outcome import PASS, Verdict
from hermes.core.peer_address import host_of, network_of
from hermes.core.printable import one_line
from hermes.core.reply import Reply
from hermes.net import buckets
from hermes.net.buckets import Buckets

#: The time in which wrong passwords from an address or a network are counted, and after which they are forgotten.
WINDOW_SECONDS = 600.0

#: The same for an account: who guesses from thousands of addresses is short of nothing but time.
ACCOUNT_WINDOW_SECONDS = 3600.0

#: How long an address is known from which somebody has logged in: a holiday, and longer than any mail program is silent.
KNOWN_SECONDS = 30 * 86400.0

#: What of a name is remembered; names of accounts are shorter.
_MAX_NAME_CHARACTERS = 128

_FROM = " from "


@attrs.frozen
class Count:
    """
    The failures that count against a subject now.

    ``kind`` is ``address``, ``network``, ``account``, or ``login`` for an account at an address that it is known from;
    ``refused`` says that no passwords are looked at.
    """

    kind: str
    subject: str
    failures: float
    limit: int
    refused: bool


@attrs.frozen
class _Kind:
    """One way of counting: its name, its rule, how much it allows, in which time, and what is said above that."""

    name: str
    window_seconds: float
    limit: Callable[[LimitsSettings], int]
    rule: str
    text: str
    counts: Buckets = attrs.field(factory=Buckets)

    def level(self, key: str, now: float, settings: LimitsSettings) -> float:
        return self.counts.bucket(key, now).drain(now, self.limit(settings), self.window_seconds)

    def over(self, level: float, settings: LimitsSettings) -> bool:
        # What has drained away since the last failure is less than one: round it up again.
        return level > self.limit(settings) - 1


class LoginLimits:
    """``settings`` may be replaced while it runs; ``seconds`` is a clock that never goes back."""

    def __init__(self, settings: LimitsSettings, seconds: Callable[[], float]) -> None:
        self.settings = settings
        self._seconds = seconds
        self._known: OrderedDict[str, float] = OrderedDict()
        self._address = _Kind(
            "address",
            WINDOW_SECONDS,
            lambda limits: limits.login_failures,
            "limits.login_failures",
            "from your address",
        )
        self._network = _Kind(
            "network",
            WINDOW_SECONDS,
            lambda limits: limits.login_failures_network,
            "limits.login_failures_network",
            "from your network",
        )
        self._account = _Kind(
            "account",
            ACCOUNT_WINDOW_SECONDS,
            lambda limits: limits.login_failures_account,
            "limits.login_failures_account",
            "for that name",
        )
        self._login = _Kind(
            "login", WINDOW_SECONDS, lambda limits: limits.login_failures, "limits.login_failures", "for that name"
        )
        self._kinds = (self._address, self._network, self._account, self._login)

    def verdict(self, peer: str, name: str) -> Verdict:
        """Say whether a password for that name may be tried from there now; it is 454 when not (RFC 4954 6)."""
        now = self._seconds()
        for kind, key in self._counted(peer, name, now):
            if kind.counts.known(key) and kind.over(kind.level(key, now, self.settings), self.settings):
                minutes = f"{kind.limit(self.settings)} in {kind.window_seconds / 60:.0f} minutes"
                reply = Reply.of(454, "4.7.0", f"Too many wrong passwords {kind.text}: try again in some minutes")
                return Verdict(reply, kind.rule, f"{minutes} for {kind.name} {one_line(key, 200)}")
        return PASS

    def failed(self, peer: str, name: str) -> tuple[float, bool]:
        """
        Count a wrong password: how many seconds its answer shall wait, and whether the address has used up what it is allowed.

        An address from which somebody has logged in lately never has: there are honest people behind it.
        """
        now, settings, most, used_up = self._seconds(), self.settings, 0.0, False
        for kind, key in self._counted(peer, name, now):
            level = kind.level(key, now, settings) + 1
            kind.counts.bucket(key, now).level = level
            # A network holds many: its failures are nobody's alone until they are more than one address may have.
            most = max(most, level - settings.login_failures if kind is self._network else level)
            used_up = used_up or (kind is self._address and kind.over(level, settings) and not self._is_known(key, now))
        # Half a minute is reached at the sixth failure; the exponent is bounded so that the power is.
        return min(2.0 ** min(most - 1, 20.0), settings.login_delay) if most > 0 else 0.0, used_up

    def succeeded(self, peer: str, *names: str) -> None:
        """Somebody has logged in from there, under these names of one account."""
        now, host = self._seconds(), host_of(peer)
        for name in names:
            pair = _pair(name, host)
            self._known[pair] = now
            self._known.move_to_end(pair)
        # Of the address too, for whatever name.
        self._known[host] = now
        self._known.move_to_end(host)
        while len(self._known) > buckets.MAX_REMEMBERED:
            self._known.popitem(last=False)

    def counts(self) -> list[Count]:
        """What counts against whom just now, most first."""
        now, settings = self._seconds(), self.settings
        found = []
        for kind in self._kinds:
            limit = kind.limit(settings)
            for key, bucket in kind.counts:
                level = bucket.drain(now, limit, kind.window_seconds)
                if level <= 0:
                    kind.counts.forget(key)
                    continue
                found.append(Count(kind.name, key, level, limit, kind.over(level, settings)))
        return sorted(found, key=lambda count: (not count.refused, -count.failures))

    def clear_name(self, name: str) -> list[str]:
        """Begin anew with an account; what was cleared."""
        key = _name(name)
        return self._clear(lambda kind, subject: kind in ("account", "login") and subject.partition(_FROM)[0] == key)

    def clear_network(self, network: Network) -> list[str]:
        """Begin anew with an address, or with all addresses of a network; what was cleared."""
        return self._clear(lambda kind, subject: _is_within(subject.rpartition(_FROM)[2], network))

    def clear(self) -> list[str]:
        """Begin anew with everybody; what was cleared."""
        return self._clear(lambda kind, subject: True)

    def _clear(self, meant: Callable[[str, str], bool]) -> list[str]:
        gone = [count for count in self.counts() if meant(count.kind, count.subject)]
        for kind in self._kinds:
            for count in gone:
                if count.kind == kind.name:
                    kind.counts.forget(count.subject)
        return [f"{count.kind} {count.subject}" for count in gone]

    def _counted(self, peer: str, name: str, now: float) -> Iterator[tuple[_Kind, str]]:
        """Where a login of that name from there counts."""
        host = host_of(peer)
        pair = _pair(name, host)
        if self._is_known(pair, now):
            yield self._login, pair
            return
        yield self._address, host
        yield self._network, network_of(peer)
        if name:
            yield self._account, _name(name)

    def _is_known(self, key: str, now: float) -> bool:
        at = self._known.get(key)
        return at is not None and now - at < KNOWN_SECONDS


def _name(name: str) -> str:
    # Names are compared without regard to case (see the directory), and people put blanks around them.
    return name[:_MAX_NAME_CHARACTERS].strip().casefold()


def _pair(name: str, host: str) -> str:
    # An address has no blank in it, so what stands behind the last one is never a part of a name.
    return f"{_name(name)}{_FROM}{host}"


def _is_within(subject: str, network: Network) -> bool:
    try:
        own = ip_network(subject)
    except ValueError:
        return False
    return own.version == network.version and own.prefixlen >= network.prefixlen and own.network_address in network
