"""Which lines of the configuration stand behind a rule's name."""

from __future__ import annotations

from hermes.config.loader import Loaded
from hermes.config.places import accounts_places

# What an administrator would look at, and change, when one of these rules decides: settings by name.
_SETTINGS: dict[str, tuple[str, ...]] = {
    "local": ("hermes.domains",),
    "directory.loop": ("directory.aliases", "directory.depth"),
    "relay.denied": ("hermes.domains", "smtp.relay", "smtp.relay_networks"),
    "relay.no_route": ("smarthost.host", "direct.enabled"),
    "relay.unknown_user": ("hermes.domains",),
    "relay.no_postmaster": ("hermes.postmaster",),
    "relay.login_required": ("smtp.submission", "smtp.submissions"),
    "auth.required": ("smtp.submission", "smtp.submissions"),
    "tls.required": ("smtp.submission",),
    "mailbox.quota": ("mailbox.quota",),
    "size.declared": ("smtp.max_size",),
    "limit.recipients": ("smtp.max_recipients",),
    "offenders.listed": ("offenders.time", "offenders.report", "offenders.exempt"),
    "agent.smarthost": ("smarthost.host",),
    "agent.direct": ("direct.enabled",),
    "compliance.size": ("compliance.require_size",),
    "compliance.killfile": ("compliance.killfile",),
    "score": ("sender_checks.refuse_above",),
}

# Where an account itself, or its absence, decides.
_IN_ACCOUNTS = frozenset({"local", "relay.unknown_user", "relay.disabled", "mailbox.quota", "relay.no_postmaster"})


class Reasons:
    """Names places as people and editors know them: ``config.ini:12 [smtp] relay_networks``."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def of(self, rule: str) -> tuple[str, ...]:
        """The places behind a rule; empty for what the protocol itself demands."""
        kind, _, name = rule.partition(".")
        if kind == "dnsbl":
            section = f"dnsbl:{name}"
            return tuple(
                self._place(section, key) for key in ("zone", "action") if (section, key) in self._loaded.lines
            )
        if kind == "sender_checks":
            return (self._place(kind, name),)
        places = [self._place(*name.split(".")) for name in _SETTINGS.get(rule, ())]
        if rule in _IN_ACCOUNTS:
            places += accounts_places(self._loaded.settings)
            places += [self._place(f"ldap:{name}", "servers") for name in self._loaded.settings.ldap]
        return tuple(places)

    def entry(self, rule: str) -> tuple[str, ...]:
        """The places of an entry of connection control; empty when the rule is none."""
        kind, _, name = rule.partition(".")
        if kind != "access":
            return ()
        section = f"access:{name}"
        keys = [key for key in ("addresses", "action") if (section, key) in self._loaded.lines]
        return tuple(self._place(section, key) for key in keys)

    def backup(self, name: str) -> tuple[str, ...]:
        """The places of a domain for which this server is a backup."""
        section = f"backup:{name}"
        keys = [key for key in ("domains", "host", "verify") if (section, key) in self._loaded.lines]
        return tuple(self._place(section, key) for key in keys)

    def route(self, name: str) -> tuple[str, ...]:
        """The places of a route."""
        section = f"route:{name}"
        keys = ("recipients", "senders", "to", "open")
        return tuple(self._place(section, key) for key in keys if (section, key) in self._loaded.lines)

    def right(self, rule: str) -> tuple[str, ...]:
        """The places of a right to relay: ``access.NAME`` or a setting."""
        kind, _, name = rule.partition(".")
        if kind == "access":
            return (self._place(f"access:{name}", "addresses"), self._place(f"access:{name}", "relay"))
        return (self._place(kind, name),)

    def way(self, agent: str, next_hop: str) -> tuple[str, ...]:
        """The places of a way out: what chooses a smart host, and where its mail goes when it is not to be reached."""
        section = f"smarthost:{next_hop}"
        if agent != "smarthost" or next_hop not in self._loaded.settings.smarthosts:
            return self.of(f"agent.{agent}")
        keys = [
            key
            for key in ("senders", "recipients", "accounts", "host", "fallback")
            if (section, key) in self._loaded.lines
        ]
        return tuple(self._place(section, key) for key in keys)

    def _place(self, section: str, key: str) -> str:
        line = self._loaded.lines.get((section, key))
        file = self._loaded.settings.file
        return f"{file}:{line} [{section}] {key}" if line else f"{file} [{section}] {key} (default)"
