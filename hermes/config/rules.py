"""
What the settings must be together: rules that one value alone cannot break.

Each rule looks at settings that were understood and yields what it finds, in words that say what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from hermes.config.access_rules import access_findings
from hermes.config.catalog import SECTIONS, sections_of, value_of
from hermes.config.collector_rules import collector_findings
from hermes.config.directory_rules import directory_findings
from hermes.config.dns_rules import dns_findings
from hermes.config.dnsbl_rules import dnsbl_findings
from hermes.config.finding import Finding
from hermes.config.host_names import domain_fault, is_mail_address
from hermes.config.ldap_rules import ldap_findings
from hermes.config.listener import Listener, parse_listener
from hermes.config.oauth_client_rules import oauth_client_findings
from hermes.config.oauth_rules import oauth_findings
from hermes.config.phonebook_rules import phonebook_findings
from hermes.config.schema import HermesSettings, Settings
from hermes.config.sections.backup import backup_findings
from hermes.config.sections.certificate import certificate_findings
from hermes.config.sections.destination import destination_findings
from hermes.config.sections.dkim import dkim_findings
from hermes.config.sections.filters import filters_findings
from hermes.config.sections.greylist import greylist_findings
from hermes.config.sections.offenders import offenders_findings
from hermes.config.sections.rates import rates_findings
from hermes.config.sections.reports import reports_findings
from hermes.config.sections.routes import route_findings
from hermes.config.sections.schedule import schedule_findings
from hermes.config.sections.summary import summary_findings
from hermes.config.sections.tls_reports import tls_reports_findings
from hermes.config.sections.transcripts import TRANSCRIBED
from hermes.config.smarthost_rules import smarthost_findings, smarthosts_of
from hermes.config.worker_rules import worker_findings
from hermes.core.reading_profile import SECONDS_A_DAY

_MAX_PORT = 65535


def normalized(hermes: HermesSettings) -> HermesSettings:
    """The same with names in lower case: domains are compared without regard to case (RFC 5321 2.4)."""
    return attrs.evolve(
        hermes, hostname=hermes.hostname.lower(), domains=tuple(domain.lower() for domain in hermes.domains)
    )


def findings(settings: Settings) -> Iterator[Finding]:
    """All rules that are broken."""
    yield from _counts(settings)
    yield from _names(settings)
    yield from _postmaster(settings)
    yield from _certificate(settings)
    yield from route_findings(settings.route, smarthosts_of(settings), settings.direct.enabled)
    yield from backup_findings(settings.backup, settings.hermes.domains, settings.hermes.hostname)
    yield from certificate_findings(settings.certificate, has_default=bool(settings.tls.certificate))
    yield from _listeners(settings)
    yield from _relaying(settings)
    yield from access_findings(settings)
    yield from offenders_findings(settings)
    yield from rates_findings(settings)
    yield from filters_findings(settings)
    yield from _front_ends(settings)
    yield from smarthost_findings(settings)
    yield from collector_findings(settings)
    yield from phonebook_findings(settings)
    yield from oauth_client_findings(settings)
    yield from destination_findings(settings.destination)
    yield from tls_reports_findings(settings.tls_reports, settings.hermes.postmaster)
    yield from summary_findings(settings.summary)
    yield from dkim_findings(settings.dkim, settings.dkim_domains)
    yield from dns_findings(settings)
    yield from dnsbl_findings(settings, domain_fault)
    yield from greylist_findings(settings)
    yield from _queue(settings)
    yield from reports_findings(settings)
    yield from _transcripts(settings)
    yield from _pop3(settings)
    yield from schedule_findings(settings)
    yield from oauth_findings(settings)
    yield from directory_findings(settings)
    yield from worker_findings(settings)
    yield from ldap_findings(settings)


#: Numbers that are not 0 by default, and where 0 means that there is no limit, or midnight.
_ZERO_IS_NONE = {("accounts", "new_recipients"), ("summary", "hour"), ("hermes", "long_turn_ms")}


def _counts(settings: Settings) -> Iterator[Finding]:
    for section in sections_of(settings):
        for setting in section.settings.values():
            value: Any = value_of(settings, setting)
            about = ((section.name, setting.key),)
            if setting.key == "port":
                if not 1 <= value <= _MAX_PORT:
                    yield Finding(about, f"{value} is not a port: ports go from 1 to {_MAX_PORT}")
            elif setting.kind in ("number", "time") and value < 1 and setting.default and about[0] not in _ZERO_IS_NONE:
                yield Finding(about, "0 would stop everything: write 1 or more")
            elif setting.kind == "times" and not all(value):
                yield Finding(about, "a time of 0 stands in the list: write 1s or more")
    if settings.smtp.max_size < 1:
        yield Finding((("smtp", "max_size"),), "0 would refuse every message: write 64K or more")


def _names(settings: Settings) -> Iterator[Finding]:
    hermes = settings.hermes
    if fault := domain_fault(hermes.hostname):
        yield Finding((("hermes", "hostname"),), fault)
    for domain in hermes.domains:
        if fault := domain_fault(domain):
            yield Finding((("hermes", "domains"),), fault)


def _postmaster(settings: Settings) -> Iterator[Finding]:
    hermes = settings.hermes
    about = (("hermes", "postmaster"), ("hermes", "domains"))
    if not hermes.postmaster:
        if hermes.domains:
            # RFC 5321 4.5.1: every domain has a postmaster.
            example = f"postmaster = NAME@{hermes.domains[0]}"
            yield Finding(about, f"domains need a postmaster: write {example}")
        return
    if not is_mail_address(hermes.postmaster):
        yield Finding(about, f"{hermes.postmaster!r} is not a mail address: write NAME@example.org")


def _certificate(settings: Settings) -> Iterator[Finding]:
    tls = settings.tls
    if tls.certificate and not tls.key:
        yield Finding(
            (("tls", "key"), ("tls", "certificate")), "a certificate needs its key: write the PEM file's path"
        )
    if tls.key and not tls.certificate:
        yield Finding(
            (("tls", "certificate"), ("tls", "key")), "a key needs its certificate: write the PEM file's path"
        )
    if tls.certificate or tls.key:
        return
    remedy = "set certificate and key in [tls]"
    for section, key, values in (
        ("smtp", "submissions", settings.smtp.submissions),
        ("pop3", "listen_tls", settings.pop3.listen_tls),
        ("poppass", "listen_tls", settings.poppass.listen_tls),
    ):
        if values:
            yield Finding(((section, key), ("tls", "certificate")), f"TLS needs a certificate: {remedy}")
    submission = [parse_listener(item) for item in settings.smtp.submission]
    in_the_clear = settings.smtp.auth_without_tls == "loopback" and all(item.is_private for item in submission)
    if submission and not in_the_clear:
        # Submission requires a login (RFC 6409 4.3), and a login requires TLS.
        yield Finding(
            (("smtp", "submission"), ("tls", "certificate")), f"a login needs TLS, so a certificate: {remedy}"
        )


def _listeners(settings: Settings) -> Iterator[Finding]:
    seen: list[tuple[Listener, str, str]] = []
    for section in SECTIONS.values():
        for setting in section.settings.values():
            if setting.kind != "listeners":
                continue
            for text in getattr(getattr(settings, section.name), setting.key):
                listener = parse_listener(text)
                for other, other_section, other_key in seen:
                    if listener.overlaps(other):
                        text_ = f"{listener} cannot stand beside {other} of [{other_section}] {other_key}: remove one"
                        yield Finding(((section.name, setting.key), (other_section, other_key)), text_)
                seen.append((listener, section.name, setting.key))
    for text in settings.manhole.listen:
        if not parse_listener(text).is_private:
            yield Finding(
                (("manhole", "listen"),), f"{text} may be reached by others: use 127.0.0.1, [::1] or unix:PATH"
            )
    for text in settings.smtp.lmtp:
        listener = parse_listener(text)
        # LMTP asks nobody for a login and has no place on the open network (RFC 2033 5).
        if listener.kind == "tcp" and not listener.is_private:
            yield Finding((("smtp", "lmtp"),), f"{text} may be reached by others: use 127.0.0.1, [::1] or unix:PATH")


def _relaying(settings: Settings) -> Iterator[Finding]:
    for network in settings.smtp.relay_networks:
        if network.prefixlen == 0:
            yield Finding((("smtp", "relay_networks"),), f"{network} is everybody: name the networks that are yours")


def _front_ends(settings: Settings) -> Iterator[Finding]:
    for section, server in (("smtp", settings.smtp), ("pop3", settings.pop3)):
        front_ends, proxy_protocol = (section, "front_ends"), (section, "proxy_protocol")
        for network in server.front_ends:
            if network.prefixlen == 0:
                # Everybody could call itself anybody, and so relay and guess passwords without limit.
                yield Finding(
                    (front_ends,), f"{network} is everybody: name the machines that stand in front of this server"
                )
        if server.proxy_protocol and not server.front_ends:
            text = "there are no front ends that would use it: name them in front_ends, or write no"
            yield Finding((proxy_protocol, front_ends), text)
    if settings.pop3.front_ends and not settings.pop3.proxy_protocol:
        text = "POP3 has no other way to say who a client is: write proxy_protocol = yes, or remove them"
        yield Finding((("pop3", "front_ends"), ("pop3", "proxy_protocol")), text)


def _queue(settings: Settings) -> Iterator[Finding]:
    if not settings.queue.retry:
        yield Finding((("queue", "retry"),), "the list is empty: write at least one time, like 10m")


def _pop3(settings: Settings) -> Iterator[Finding]:
    if 0 < settings.pop3.expire < SECONDS_A_DAY:
        # RFC 2449 6.7: it is told in days, and 0 would say that no mail can be left here at all.
        yield Finding((("pop3", "expire"),), "is less than a day: write 1d or more, or 0 for never")


def _transcripts(settings: Settings) -> Iterator[Finding]:
    for service in settings.transcripts.services:
        if service not in TRANSCRIBED:
            text = f"{service!r} is not a server: there are {' and '.join(TRANSCRIBED)}"
            yield Finding((("transcripts", "services"),), text)
