"""What can be paused: the mail for a domain or an address, a destination, a next hop, a whole agent, or one server of many."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hermes.core.outcome import Outcome, Result

#: Pauses at once: each is asked about each message, and one that stands for many others can be written with ``*``.
MAX_PAUSES = 1000

#: Longer than any domain or destination that people write.
MAX_WHAT = 300


#: What stands in front of the name of a server, where a name alone would be that of a domain.
HOST = "host:"


def reason_of(what: str) -> str:
    """What is said of mail that waits because of a pause; a resume finds it by this."""
    return f"{what} is paused until it is resumed"


def unpaused(host: str) -> str:
    """What keeps a server from being used: nothing."""
    return ""


def outcome_of(*pauses: str) -> Outcome:
    """What an attempt comes to that these forbid; all are named, so that whichever ends finds it."""
    # RFC 3463 3.4: 4.3.2, system not accepting network messages.
    return Outcome(Result.PAUSED, "; ".join(map(reason_of, dict.fromkeys(pauses))), "4.3.2")


def pauses_host(what: str, host: str) -> bool:
    """Whether a pause is about a server of that name, for whichever domain mail would go there."""
    return what.lower().startswith(HOST) and fnmatchcase(host.lower().rstrip("."), what.lower().removeprefix(HOST))


def fault_of(what: str) -> str:
    """Why a text names nothing that can be paused, with a remedy; empty when it does."""
    named = what.lower().removeprefix(HOST)
    # No name that mail is kept under ends as those of the DNS do; a program and its arguments, or a socket, may.
    is_full_name = named.endswith(".") and "/" not in named
    if not named or len(what) > MAX_WHAT or not what.isprintable() or what != what.strip() or is_full_name:
        ways = "example.net, host:mx1.example.net, smarthost, smarthost:NAME or joe@example.net"
        return f"{what[:MAX_WHAT]!r} names nothing to be paused: write {ways}"
    return ""
