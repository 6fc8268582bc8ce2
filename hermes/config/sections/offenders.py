"""``[offenders]``: who is put on the list of offenders, for how long, and who never is."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

import attrs

from hermes.config.finding import Finding
from hermes.config.setting import setting

if TYPE_CHECKING:
    from hermes.config.schema import Settings

Network = IPv4Network | IPv6Network

#: What can put an address on the list: the word of the setting, and the rule by which the list and the trace know it.
REPORTED = {
    "logins": "limits.login_failures",
    "recipients": "smtp.max_unknown_recipients",
    "relaying": "smtp.max_relay_attempts",
    "errors": "smtp.max_errors",
}


@attrs.frozen
class OffendersSettings:
    """The list of offenders: addresses that may not connect for a while, at any server. See hermes block."""

    time: int = setting("time", 1800, "How long an address that offends is blocked.")
    report: tuple[str, ...] = setting(
        "words",
        ("logins", "relaying"),
        "What puts an address on the list: logins (limits.login_failures), recipients (smtp.max_unknown_recipients), "
        "relaying (smtp.max_relay_attempts), errors (smtp.max_errors). Empty: nothing but administrators and rules that say so "
        "themselves.",
    )
    exempt: tuple[Network, ...] = setting(
        "networks",
        (),
        "Who is never on it, beside this machine, smtp.relay_networks, smtp.front_ends, and those whom an access entry exempts.",
    )


def offenders_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about ``[offenders]`` that are broken."""
    for word in settings.offenders.report:
        if word not in REPORTED:
            close = difflib.get_close_matches(word, REPORTED, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"write some of {', '.join(REPORTED)}"
            yield Finding((("offenders", "report"),), f"{word!r} is none of the reasons: {remedy}")
