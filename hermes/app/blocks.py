"""What can be asked about those who are blocked: by ``hermes block`` over the control socket, and by hand in the manhole."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from hermes.config.schema import Settings
from hermes.core.offender import Network, Offender, network_text, parse_network
from hermes.core.printable import one_line
from hermes.core.units import format_instant
from hermes.net.login_limits import Count, LoginLimits
from hermes.policy.offenders import Offenders
from hermes.policy.rates import Rates, Usage, limits_of

#: What of an administrator's reason is kept: a line.
MAX_REASON_CHARACTERS = 200

#: Counters that are shown, those first that refuse somebody: more than anybody reads.
MAX_COUNTS = 200

#: The longest time for which something is blocked that is not blocked for good: ten years, which a clock can still add.
MAX_SECONDS = 10 * 366 * 86400

_Arguments = Mapping[str, Any]


class Blocking(Protocol):
    """What is needed of the server."""

    settings: Settings

    @property
    def offenders(self) -> Offenders:
        """The list of offenders."""

    @property
    def logins(self) -> LoginLimits:
        """Who has been guessing passwords."""

    @property
    def rates(self) -> Rates:
        """How much mail comes from whom."""


class Blocks:
    """The commands about those who are blocked, by name."""

    def __init__(self, server: Blocking) -> None:
        self._server = server
        self.commands: dict[str, Callable[[_Arguments], Awaitable[Any]]] = {
            "block.list": self._list,
            "block.add": self._add,
            "block.remove": self._remove,
            "block.clear": self._clear,
        }

    async def _list(self, arguments: _Arguments) -> dict[str, list[dict[str, object]]]:
        """Who is blocked, and whose wrong passwords are counted; and, with ``rates``, how much mail comes from whom."""
        lists: dict[str, list[dict[str, object]]] = {
            "blocked": [described(one) for one in self._server.offenders.entries()],
            "logins": [_counted(one) for one in self._server.logins.counts()[:MAX_COUNTS]],
        }
        if arguments.get("rates"):
            limits = limits_of(self._server.settings.rates)
            lists["rates"] = [_used(one) for one in self._server.rates.usages(limits)[:MAX_COUNTS]]
        return lists

    async def _add(self, arguments: _Arguments) -> dict[str, object]:
        network = parse_network(str(arguments.get("network", "")))
        seconds = arguments.get("seconds")
        if seconds is not None and not (type(seconds) is int and 0 < seconds <= MAX_SECONDS):
            raise ValueError("the time must be between one second and ten years: leave it away to block for good")
        reason = one_line(str(arguments.get("reason") or ""), MAX_REASON_CHARACTERS)
        return described(self._server.offenders.add(network, seconds, reason))

    async def _remove(self, arguments: _Arguments) -> list[str]:
        """Take an address, a network or an account off all lists; what was taken off."""
        subject = str(arguments.get("subject", ""))
        try:
            network = parse_network(subject)
        except ValueError:
            gone = self._server.logins.clear_name(subject) + self._server.rates.clear_name(subject)
        else:
            gone = self._remove_network(network)
        if not gone:
            raise LookupError(f"{subject} is not blocked, and nothing is counted against it")
        return gone

    def _remove_network(self, network: Network) -> list[str]:
        offenders = self._server.offenders
        gone = [one.network_text for one in offenders.remove(network)]
        wider = offenders.entry(str(network.network_address))
        if not gone and wider is not None:
            raise LookupError(
                f"{network_text(network)} is in {wider.network_text}, which is blocked as a whole: remove that"
            )
        return gone + self._server.logins.clear_network(network) + self._server.rates.clear_network(network)

    async def _clear(self, arguments: _Arguments) -> list[str]:
        """Take off whatever rules have put on any list; what was taken off."""
        return [one.network_text for one in self._server.offenders.clear()] + self._server.logins.clear()


def _counted(one: Count) -> dict[str, object]:
    return {
        "kind": one.kind,
        "subject": one.subject,
        "failures": math.ceil(one.failures),
        "limit": one.limit,
        "refused": one.refused,
    }


def _used(one: Usage) -> dict[str, object]:
    return {
        "kind": one.scope,
        "subject": one.subject,
        "what": one.kind,
        "used": one.used,
        "limit": str(one.rate),
        "refused": one.over,
    }


def described(one: Offender) -> dict[str, object]:
    """An entry for programs."""
    return {
        "network": one.network_text,
        "since": format_instant(one.since),
        "until": None if one.until is None else format_instant(one.until),
        "by": "administrator" if one.by_administrator else "rule",
        "rule": one.rule,
        "reason": one.reason,
        "times": one.times,
    }
