"""What can be paused: the mail for a domain or an address, a destination, a next hop, or a whole agent."""

from __future__ import annotations

#: Pauses at once: each is asked about each message, and one that stands for many others can be written with ``*``.
MAX_PAUSES = 1000

#: Longer than any domain or destination that people write.
MAX_WHAT = 300


def fault_of(what: str) -> str:
    """Why a text names nothing that can be paused, with a remedy; empty when it does."""
    if not what or len(what) > MAX_WHAT or not what.isprintable() or what != what.strip():
        return f"{what[:MAX_WHAT]!r} names nothing to be paused: write example.net, smarthost, smarthost:NAME or joe@example.net"
    return ""
