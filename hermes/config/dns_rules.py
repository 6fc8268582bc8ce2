"""What the settings about the DNS must be together."""

from __future__ import annotations

from collections.abc import Iterator

from hermes.config.catalog import SECTIONS
from hermes.config.finding import Finding
from hermes.config.host_names import is_address
from hermes.config.listener import parse_listener
from hermes.config.schema import Settings
from hermes.core.sender_test import parse_consequence

#: A client waits in the meantime, and RFC 5321 4.5.3.2 has it wait for 5 minutes at most for the answer to MAIL or RCPT.
MAX_TIMEOUT_SECONDS = 60

#: A message may not be kept busy with more than this: RFC 7208 4.6.4 wants about 30 for SPF at the worst, and a few lists come
#: to it.
MAX_LOOKUPS = 500

#: With room for the little that an answer takes, 100 MB.
MAX_CACHE = 200_000


def dns_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about ``[dns]`` that are broken."""
    for section, servers in (("dns", settings.dns.nameservers), ("direct", settings.direct.nameservers)):
        yield from _servers(section, servers)
    dns, direct = settings.dns.nameservers, settings.direct.nameservers
    if dns and direct and dns != direct:
        about = (("direct", "nameservers"), ("dns", "nameservers"))
        yield Finding(about, "there is one resolver, and [dns] nameservers says otherwise: remove one of the two")
    for key, most in (("timeout", MAX_TIMEOUT_SECONDS), ("lookups", MAX_LOOKUPS), ("cache", MAX_CACHE)):
        value = getattr(settings.dns, key)
        if value > most:
            yield Finding((("dns", key),), f"{value} is out of reason: write {most} at most")
    yield from _tests(settings)


def nameservers(settings: Settings) -> tuple[str, ...]:
    """The name servers that are in force; empty for those of the system."""
    return settings.dns.nameservers or settings.direct.nameservers


def _servers(section: str, servers: tuple[str, ...]) -> Iterator[Finding]:
    for text in servers:
        if is_address(text):
            continue
        try:
            listener = parse_listener(text)
        except ValueError:
            listener = None
        if listener is None or listener.kind != "tcp" or listener.host == "*" or not listener.port:
            about = ((section, "nameservers"),)
            yield Finding(about, f"{text!r} is not a name server: write an address, or 192.0.2.53:5353 or [::1]:5353")


def _tests(settings: Settings) -> Iterator[Finding]:
    for key, setting in SECTIONS["sender_checks"].settings.items():
        if setting.kind == "text":
            try:
                parse_consequence(getattr(settings.sender_checks, key))
            except ValueError as error:
                yield Finding((("sender_checks", key),), str(error))
