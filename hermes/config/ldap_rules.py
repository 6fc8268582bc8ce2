"""What the settings of ``[ldap:NAME]`` must be together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from hermes.config.finding import Finding
from hermes.config.host_names import is_loopback_host
from hermes.config.schema import Settings
from hermes.config.sections.ldap import LDAPSettings

_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")

#: Without what separates it from the name of an account, in whatever way somebody may think it does.
_WINDOWS_DOMAIN = re.compile(r"[^\s\\/@]+\Z")

#: Threads that wait for directory servers: more than a server wants to have open for one client.
MAX_CONNECTIONS = 64


def ldap_findings(settings: Settings) -> Iterator[Finding]:
    """All rules that are broken."""
    for name, ldap in settings.ldap.items():
        for key, text in _faults(ldap):
            yield Finding(((f"ldap:{name}", key),), text)


def _faults(ldap: LDAPSettings) -> Iterator[tuple[str, str]]:
    if not ldap.servers:
        yield "servers", "no server is named: write one like ldaps://ldap.example.org"
    for server in ldap.servers:
        fault = _server_fault(server, starttls=ldap.starttls)
        if fault:
            yield "servers", fault
    if bool(ldap.bind_dn) != bool(ldap.bind_password):
        yield (
            "bind_password",
            "bind_dn and bind_password go together: without a password the directory would take us for nobody",
        )
    if ldap.profile == "nds":
        if ldap.base:
            yield "base", "nds has contexts: write base = ou=sales,o=acme as contexts = /sales.acme"
        if not ldap.contexts:
            yield "contexts", "no context is named: write contexts = /[root] for the whole tree"
    else:
        if not ldap.base:
            yield "base", "it is missing: write where people are, like base = ou=people,dc=example,dc=org"
        if ldap.contexts:
            yield "contexts", "only nds has contexts: write base"
    if ldap.filter and not (ldap.filter.startswith("(") and ldap.filter.endswith(")")):
        yield "filter", f"{ldap.filter!r} is not a filter: write one in parentheses, like (employeeType=staff)"
    for key in ("login_attribute", "forward_attribute"):
        if (name := getattr(ldap, key)) and not _ATTRIBUTE.match(name):
            yield key, f"{name!r} is not an attribute"
    for key in ("address_attributes", "synonym_attributes"):
        for name in getattr(ldap, key):
            if not _ATTRIBUTE.match(name):
                yield key, f"{name!r} is not an attribute"
    for name in ldap.windows_domains:
        if not _WINDOWS_DOMAIN.match(name):
            yield "windows_domains", f"{name!r} is not a domain: write what stands before the backslash, like EXAMPLE"
    if ldap.connections > MAX_CONNECTIONS:
        yield "connections", f"more than {MAX_CONNECTIONS} do not make a directory quicker"


def _server_fault(server: str, *, starttls: bool) -> str:
    remedy = "write ldaps://HOST or ldap://HOST"
    try:
        url = urlsplit(server)
        port = url.port
    except ValueError:
        return f"{server!r} is not a server: {remedy}"
    if url.scheme not in {"ldap", "ldaps"} or not url.hostname or url.path.strip("/") or url.query or url.username:
        return f"{server!r} is not a server: {remedy}"
    if port == 0:
        return f"{server!r} has no port that could be reached"
    if url.scheme == "ldap" and not starttls and not is_loopback_host(url.hostname):
        return f"{server} would get passwords in the clear: write ldaps://, or starttls = yes"
    return ""
