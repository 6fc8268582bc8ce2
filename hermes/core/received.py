"""
The lines that Hermes itself writes at the head of a message: where it has been, and where reports about it go.

``Return-Path:`` and ``Received:`` (RFC 5321 4.4), and what a submission may lack: ``Date:`` and ``Message-ID:`` (RFC 6409 8).
"""

from __future__ import annotations

import re
from email.utils import formatdate
from functools import lru_cache

from hermes.core.envelope import Origin

#: RFC 5322 2.1.1: lines should be no longer than this, without their end.
MAX_COLUMNS = 78

# A tab, with which continuation lines begin, is shown eight columns wide.
_TAB_COLUMNS = 8

# Domain = sub-domain *("." sub-domain)   (RFC 5321 4.1.2; the underscore is what many machines really say)
_DOMAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*\.?\Z")

# address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]"   (RFC 5321 4.1.3)
_LITERAL = re.compile(r"\[[A-Za-z0-9:.-]+\]\Z")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def path(address: str) -> str:
    """
    The address as a path with its brackets (RFC 5321 4.1.2); the null path for an empty address.

    Addresses keep their quotes inside Hermes, so there is nothing to add; whatever one holds, the path is one line.
    """
    return f"<{address}>" if address.isprintable() else f"<{_CONTROL.sub('?', address)}>"


def return_path(reverse_path: str) -> str:
    """The ``Return-Path:`` field, without line end."""
    return f"Return-Path: {path(reverse_path)}"


def received(origin: Origin, hostname: str, queue_id: str, recipient: str | None, at: float) -> list[str]:
    """
    The ``Received:`` field in folded lines, without line ends.

    ``recipient`` is given only when there is no other: naming one of several would tell each of them about the rest
    (RFC 5321 7.2). ``at`` is in seconds since the epoch.
    """
    by_way = f"with {origin.protocol}"
    if origin.tls:
        by_way += f" ({origin.tls})"
    hello, peer = _client(origin)
    clauses = [f"({peer})", f"by {hostname}", by_way, f"id {queue_id}"]
    if recipient is not None:
        clauses.append(f"for {path(recipient)}")
    clauses[-1] += ";"
    clauses.append(date(at))
    lines = [f"Received: from {hello}"]
    columns = len(lines[0])
    for clause in clauses:
        columns += 1 + len(clause)
        if columns > MAX_COLUMNS:
            lines.append(f"\t{clause}")
            columns = _TAB_COLUMNS + len(clause)
        else:
            lines[-1] += f" {clause}"
    return lines


def _client(origin: Origin) -> tuple[str, str]:
    """What the client calls itself, and where it is: ``Extended-Domain = Domain FWS "(" TCP-info ")"`` in two parts."""
    # A name that is no name is not repeated into a header; the trace has it.
    hello = origin.hello if _DOMAIN.match(origin.hello) or _LITERAL.match(origin.hello) else "unknown"
    # TCP-info = address-literal / ( Domain FWS address-literal ); for what is not TCP it is a comment that says so.
    if ":" in origin.peer:
        return hello, f"[IPv6:{origin.peer}]"
    if "." in origin.peer:
        return hello, f"[{origin.peer}]"
    return hello, origin.peer or "local"


def date(at: float) -> str:
    """A date-time of RFC 5322 3.3: local time with its offset, as RFC 5321 4.4 prefers."""
    return _date(int(at))


@lru_cache(maxsize=4)
def _date(second: int) -> str:
    return formatdate(second, localtime=True)


def message_id(queue_id: str, hostname: str) -> str:
    """A Message-ID for a message that came without one: the queue id is unique here, and the host name elsewhere."""
    return f"<{queue_id}@{hostname}>"
