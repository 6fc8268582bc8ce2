"""Names and addresses of hosts, and addresses at them, as they stand in settings."""

from __future__ import annotations

import ipaddress
import re

# sub-domain = Let-dig [Ldh-str]   (RFC 5321 4.1.2); a label has 63 octets at most (RFC 1035 2.3.4)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z", re.IGNORECASE | re.ASCII)

#: RFC 5321 4.5.3.1.2 gives a domain 255 octets, of which the DNS leaves 253 to its text.
_MAX_DOMAIN_OCTETS = 253

# A name that is this machine on every machine (RFC 6761 6.3).
_LOCALHOST = "localhost"


def domain_fault(domain: str) -> str:
    """Why a text is not a domain name, with a remedy; empty when it is one."""
    if not domain:
        return "a domain is missing: write one like example.org"
    if not domain.isascii():
        try:
            return f"{domain!r} is not ASCII: write it as {domain.encode('idna').decode()}"
        except UnicodeError:
            return f"{domain!r} is not a domain name: write one like example.org"
    labels = domain.split(".")
    if len(domain) > _MAX_DOMAIN_OCTETS or not all(_LABEL.match(label) for label in labels):
        return f"{domain!r} is not a domain name: write one like example.org"
    # A last label of digits alone is an address, never a name (RFC 1123 2.1).
    if labels[-1].isdigit():
        return f"{domain!r} is an address: write a name like mail.example.org"
    return ""


def is_address(text: str) -> bool:
    """True for an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_mail_address(text: str) -> bool:
    """True for an address that mail can be sent to, without a name beside it."""
    local_part, _, domain = text.rpartition("@")
    return bool(local_part) and not re.search(r"[\s<>,]", text) and not domain_fault(domain)


def is_loopback_host(host: str) -> bool:
    """True when a host name or address is surely this machine, whatever the DNS says."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == _LOCALHOST
