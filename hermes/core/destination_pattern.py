"""Patterns that name destinations, and what is on its way to them."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hermes.core import address_pattern


def destination_matches(pattern: str, destination: str) -> bool:
    """Whether a pattern names a destination: as a whole, or its agent, or its next hop."""
    pattern = pattern.lower()
    names = names_of(destination)
    # Brackets stand in patterns, and in the addresses that mail can be sent to (RFC 5321 4.1.3).
    return pattern in names or (not is_plain(pattern) and any(fnmatchcase(name, pattern) for name in names))


def names_of(destination: str) -> tuple[str, str, str]:
    """By what a destination can be named, in lower case: as a whole, by its agent, by its next hop."""
    destination = destination.lower()
    agent, _, next_hop = destination.partition(":")
    return destination, agent, next_hop


def is_plain(pattern: str) -> bool:
    """True for a pattern that names nothing but itself."""
    return not any(sign in pattern for sign in "*?[")


def what_matches(what: str, destination: str, address: str) -> bool:
    """Whether ``what`` names a destination, or the recipient or the recipient's domain (:mod:`hermes.core.address_pattern`)."""
    return destination_matches(what, destination) or (
        not address_pattern.fault_of(what) and address_pattern.matches(what, address)
    )
