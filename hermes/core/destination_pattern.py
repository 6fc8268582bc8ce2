"""Patterns that name destinations, and what is on its way to them."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hermes.core import address_pattern


def destination_matches(pattern: str, destination: str) -> bool:
    """Whether a pattern names a destination: as a whole, or its agent, or its next hop."""
    pattern, destination = pattern.lower(), destination.lower()
    agent, _, next_hop = destination.partition(":")
    return any(fnmatchcase(part, pattern) for part in (destination, agent, next_hop))


def what_matches(what: str, destination: str, address: str) -> bool:
    """Whether ``what`` names a destination, or the recipient or the recipient's domain (:mod:`hermes.core.address_pattern`)."""
    return destination_matches(what, destination) or (
        not address_pattern.fault_of(what) and address_pattern.matches(what, address)
    )
