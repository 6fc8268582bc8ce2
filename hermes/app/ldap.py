"""Directory services of one set of settings."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence

import attrs

from hermes.config.sections.ldap import LDAPSettings
from hermes.directory.ldap.book import MAX_WAITING as MAX_WAITING_FOR_BOOK
from hermes.directory.ldap.book import LDAPBook
from hermes.directory.ldap.entries import Place, Terms
from hermes.directory.ldap.names import domain_of, nds_context
from hermes.directory.ldap.profiles import PROFILES, Profile
from hermes.directory.ldap.servers import Access, Servers
from hermes.directory.ldap.source import MAX_WAITING, LDAPSource
from hermes.directory.ldap.threads import Threads
from hermes.interfaces import IGroupWorker


def ldap_source(
    name: str,
    section: LDAPSettings,
    workers: Callable[[str, int], Sequence[IGroupWorker]],
    now: Callable[[], float],
    wall: Callable[[], float],
) -> LDAPSource:
    """
    The source of one section; ``workers`` gives so many for a name.

    ValueError, with a text for the administrator, when the section cannot be used.
    """
    terms = terms_of(name, section)
    threads = Threads(servers_of(name, section), workers(name, section.connections), MAX_WAITING)
    own = Threads(servers_of(name, section), workers(f"{name}-book", 1), MAX_WAITING_FOR_BOOK)
    return LDAPSource(
        terms,
        threads,
        LDAPBook(terms, own, wall),
        now,
        wall,
        remember_seconds=section.remember,
        grace_seconds=section.grace,
    )


def servers_of(name: str, section: LDAPSettings) -> Servers:
    """How the servers are reached; ValueError when the authority cannot be read."""
    access = Access(
        section.servers,
        section.starttls,
        section.authority,
        section.bind_dn,
        section.bind_password,
        section.timeout,
    )
    try:
        return Servers(access)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"[ldap:{name}] authority: {section.authority}: {error.strerror or error}") from error


def terms_of(name: str, section: LDAPSettings) -> Terms:
    """What is asked, and what the answers mean; ValueError when a name of the directory is none."""
    try:
        places = _places(section)
    except ValueError as error:
        raise ValueError(f"[ldap:{name}] contexts: {error}") from None
    return Terms(
        name,
        _profile(section),
        places,
        filter=section.filter,
        full_names=section.names == "full",
        groups=section.groups,
        no_mail=section.no_mail,
        mail_users=section.mail_users,
        deliver_also=section.deliver_also,
        windows_domains=_windows_domains(section),
    )


def _places(section: LDAPSettings) -> tuple[Place, ...]:
    if section.profile != "nds":
        return (Place(section.base),)
    places = []
    for text in section.contexts:
        context, _, domain = (part.strip() for part in text.partition(":"))
        places.append(Place(nds_context(context.removeprefix("/")), context.startswith("/"), domain.lower()))
    return tuple(places)


def _windows_domains(section: LDAPSettings) -> frozenset[str]:
    if section.windows_domains or section.profile != "ad":
        return frozenset(name.lower() for name in section.windows_domains)
    domain = domain_of(section.base)
    # The short name of a domain is the first label of its DNS name unless somebody has chosen another one.
    return frozenset({domain, domain.partition(".")[0]} - {""})


def _profile(section: LDAPSettings) -> Profile:
    profile = PROFILES[section.profile]
    if section.login_attribute:
        profile = attrs.evolve(profile, login=section.login_attribute, also_login=())
    if section.address_attributes:
        profile = attrs.evolve(profile, addresses=tuple((each, "") for each in section.address_attributes))
    if section.synonym_attributes:
        profile = attrs.evolve(profile, synonyms=section.synonym_attributes)
    if section.forward_attribute:
        profile = attrs.evolve(profile, forward=section.forward_attribute)
    return profile
