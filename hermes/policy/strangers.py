"""Who is checked at all: strangers are, and clients of ours and mail for the postmaster are not."""

from __future__ import annotations

from functools import lru_cache

from hermes.core.address import split
from hermes.core.peer_address import address_of
from hermes.core.policy import Case
from hermes.core.visit import Visit


def is_stranger(visit: Visit) -> bool:
    """True for a client about whom the DNS is asked: nobody who has logged in, may relay, is exempt, or is this machine."""
    if visit.trusted or visit.submission:
        return False
    if visit.entry is not None and (visit.entry.exempt or visit.entry.unfiltered):
        return False
    return not _is_here(visit.peer)


def is_for_postmaster(case: Case) -> bool:
    """True for mail to the one who can help those that are refused by mistake (RFC 5321 4.5.1)."""
    return case.recipient is not None and split(case.recipient.address)[0].lower() == "postmaster"


@lru_cache(4096)
def _is_here(peer: str) -> bool:
    # None is of a UNIX socket; or of a client whose front end does not know it, about whom nothing can be asked.
    address = address_of(peer)
    return address is None or address.is_loopback
