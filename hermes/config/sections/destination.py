"""The table of destinations: what is different on the way to some domains; the sections ``[destination:NAME]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

import attrs

from hermes.config.finding import Finding
from hermes.config.host_names import domain_fault
from hermes.config.setting import setting


@attrs.frozen
class DestinationSettings:
    """
    What is different on the way to some domains, when mail is delivered directly. One section for each group, any number.

    A domain by its own name comes before a *.example.org that it fits, and a longer one of these before a shorter one.
    """

    domains: tuple[str, ...] = setting(
        "words", (), "The domains of the recipients: example.org, or *.example.org for all below it. *: all others."
    )
    tls: str = setting(
        "choice",
        "policy",
        "policy: as [direct] and the policies of the domain say. none: never. opportunistic: where it is offered, whatever the "
        "domain's policies say. required: always. verified: with a certificate that is valid for the host. dane: with one that "
        "the DNS vouches for.",
        choices=("policy", "none", "opportunistic", "required", "verified", "dane"),
    )
    hosts: tuple[str, ...] = setting(
        "words",
        (),
        "The only servers that mail may go to: mx.example.org, or *.example.org for one label. Empty: whom the DNS names.",
    )
    source_address: tuple[str, ...] = setting(
        "words",
        (),
        "The address of this machine to connect from; one of IPv4, one of IPv6, or both. Empty: the system's choice.",
    )
    socks5: str = setting("text", "", "SOCKS5 proxy to connect through, HOST:PORT. Empty: none.")
    socks5_username: str = setting("text", "", "Login name at the proxy. Empty: no login.")
    socks5_password: str = setting("secret", "", "Password at the proxy.")
    connections: int = setting(
        "number", 0, "Connections at once to one of these domains. 0: direct.connections_per_destination."
    )


def proxy_place(text: str) -> tuple[str, int]:
    """Read ``HOST:PORT`` or ``[ADDRESS]:PORT``; raise ValueError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is not a place: write HOST:PORT")
    return host, int(port)


def destination_findings(destinations: Mapping[str, DestinationSettings]) -> Iterator[Finding]:
    """All rules about ``[destination:NAME]`` that are broken."""
    first: dict[str, str] = {}
    for name, each in destinations.items():
        section = f"destination:{name}"
        for key in ("domains", "hosts"):
            for domain in map(str.lower, getattr(each, key)):
                if not (key == "domains" and domain == "*") and (fault := domain_fault(domain.removeprefix("*."))):
                    yield Finding(((section, key),), fault)
                elif key == "domains" and first.setdefault(domain, section) != section:
                    about = ((section, "domains"), (first[domain], "domains"))
                    yield Finding(about, f"{domain} stands in [{first[domain]}] too: remove it from one of the two")
        versions = []
        for text in each.source_address:
            try:
                versions.append(ip_address(text).version)
            except ValueError:
                yield Finding(((section, "source_address"),), f"{text!r} is not an address of this machine")
        if len(set(versions)) < len(versions):
            yield Finding(
                ((section, "source_address"),), "there are two of one kind: write one of IPv4 and one of IPv6"
            )
        yield from _proxy(section, each)


def _proxy(section: str, each: DestinationSettings) -> Iterator[Finding]:
    if each.socks5:
        try:
            proxy_place(each.socks5)
        except ValueError as error:
            yield Finding(((section, "socks5"),), str(error))
    if bool(each.socks5_username) != bool(each.socks5_password):
        about = ((section, "socks5_username"), (section, "socks5_password"))
        yield Finding(about, "username and password belong together: set both, or none")
    # RFC 1929 2: each has its length in one octet.
    if max(len(each.socks5_username.encode()), len(each.socks5_password.encode())) > 255:
        yield Finding(((section, "socks5_password"),), "username and password have 255 octets at most")
