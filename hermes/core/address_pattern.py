"""Patterns that name mail addresses, as an administrator writes them into a list."""

from __future__ import annotations

from hermes.core.address import is_null

#: The null reverse-path as a pattern: the sender of reports (RFC 5321 4.5.5).
NULL_SENDER = "<>"


def fault_of(pattern: str) -> str:
    """Why a text is no pattern, with a remedy; empty when it is one."""
    if pattern in (NULL_SENDER, "*"):
        return ""
    local_part, at, domain = pattern.rpartition("@")
    name = domain.removeprefix("*.")
    if not name or "*" in name or "@" in name or (at and (not local_part or "*" in local_part.replace("*", "", 1))):
        return (
            f"{pattern!r} names no addresses: write joe@example.org, *@example.org, example.org, *.example.org (all below it), "
            "* (all) or <> (the sender of reports)"
        )
    return ""


def matches(pattern: str, address: str) -> bool:
    """
    Whether a pattern names an address; case does not matter, in the local part neither.

    ``example.org`` and ``*@example.org`` are all addresses of that domain, ``*.example.org`` all of the domains below it; in a
    local part one ``*`` stands for any characters, or none. ``*`` is everybody but the null sender, whom only ``<>`` names.
    """
    if is_null(address):
        return pattern == NULL_SENDER
    if pattern in (NULL_SENDER, "*"):
        return pattern == "*"
    wanted, at, domain = pattern.lower().rpartition("@")
    local_part, has_domain, own_domain = address.lower().rpartition("@")
    if not has_domain:
        return False  # <postmaster> alone
    if domain.startswith("*."):
        right_domain = own_domain.endswith(domain[1:]) and own_domain != domain[1:]
    else:
        right_domain = own_domain == domain
    if not right_domain or not at:
        return right_domain
    start, star, end = wanted.partition("*")
    if not star:
        return local_part == wanted
    return len(local_part) >= len(start) + len(end) and local_part.startswith(start) and local_part.endswith(end)


def any_matches(patterns: tuple[str, ...], address: str) -> bool:
    """Whether one of the patterns names the address; an empty list names everybody."""
    return not patterns or any(matches(pattern, address) for pattern in patterns)
