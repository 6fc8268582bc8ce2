"""As many open files as the settings let in."""

from __future__ import annotations

from twisted.logger import Logger

from hermes.config.schema import Settings
from hermes.config.smarthost_rules import smarthosts_of
from hermes.net.descriptors import allow
from hermes.net.dns_turns import MAX_RUNNING, MAX_SLOW

#: Open files beside those of connections: listeners, stores, logs, mailboxes that are open and messages being put into them.
BESIDE = 256

_log = Logger()


def allow_open_files(settings: Settings) -> None:
    """Ask the system for them; what it does not allow is told."""
    limits, direct = settings.limits, settings.direct
    smarthosts = sum(each.connections for each in smarthosts_of(settings).values())
    # A backup delivers as [direct] says, beside it.
    ways = int(direct.enabled) + bool(settings.backup)
    outgoing = ways * (direct.connections + direct.waiting) + smarthosts
    # Each connection may have a message under way that is large enough to be a file.
    wanted = 2 * limits.connections + outgoing + MAX_RUNNING + MAX_SLOW + BESIDE
    allowed = allow(wanted)
    if allowed < wanted:
        _log.warn(
            "The system allows {allowed} open files, and limits.connections = {connections} may need {wanted}:"
            " raise the hard limit (ulimit -Hn, or LimitNOFILE= of the unit)",
            allowed=allowed,
            connections=limits.connections,
            wanted=wanted,
        )
