"""
What happened to messages, as people read it: one paragraph a message, one line a fact, the other side's words in full.

Facts that this page does not know by name are printed too, as ``key=value``: nothing that the trace holds is hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hermes.cli.output import local_time
from hermes.core.event import Event, Kind
from hermes.core.received import path

#: What each kind of event says, before who and how.
_WORDS = {
    Kind.RECEIVED: "received",
    Kind.REFUSED: "refused",
    Kind.DELIVERED: "delivered to the mailbox",
    Kind.RELAYED: "handed on",
    Kind.DEFERRED: "not yet delivered, will be tried again",
    Kind.FAILED: "failed for good",
    Kind.EXPIRED: "given up, its time is over",
    Kind.RETURNED: "a report went back to the sender",
    Kind.RETRIEVED: "fetched by a reader",
    Kind.DELETED: "deleted by a reader",
    Kind.HELD: "held",
    Kind.RELEASED: "released",
    Kind.REMOVED: "removed from the queue",
    Kind.RETRIED: "an attempt was asked for",
    Kind.LOGIN: "login",
}

#: Facts that are told in words of their own, below.
_TOLD = frozenset(
    {"peer", "hello", "protocol", "tls", "account", "size_octets", "host", "address", "reply", "reason", "rule"}
)

_INDENT = " " * 4

#: Below the time of day: where the other side's words stand.
_DEEP_INDENT = " " * 31


def timeline(events: Sequence[Event]) -> Iterator[str]:
    """The lines of all messages and of the facts that stand alone, in the order in which they began."""
    groups: dict[str, list[Event]] = {}
    for event in events:
        groups.setdefault(event.queue_id, []).append(event)
    for number, (queue_id, group) in enumerate(groups.items()):
        if number:
            yield ""
        yield _heading(queue_id, group)
        for event in group:
            yield from _lines(event)


def _heading(queue_id: str, group: Sequence[Event]) -> str:
    if not queue_id:
        return "Without a message in the queue:"
    words = [queue_id]
    reverse_path = next((event.reverse_path for event in group if event.reverse_path is not None), None)
    if reverse_path is not None:
        words.append(f"from {path(reverse_path)}")
    message_id = next((event.message_id for event in group if event.message_id), "")
    if message_id:
        words.append(f"Message-ID {message_id}")
    return "  ".join(words)


def _lines(event: Event) -> Iterator[str]:
    words = [_subject(event), _WORDS[event.kind], *_circumstances(event)]
    yield f"{_INDENT}{local_time(event.at)}  {' '.join(word for word in words if word)}"
    if event.facts.get("rule"):
        yield f"{_DEEP_INDENT}by the rule {event.facts['rule']}"
    for key in ("reply", "reason"):
        text = str(event.facts.get(key) or "")
        # The reason often is the reply, in a sentence: then the sentence is enough.
        if text and not (key == "reply" and text in str(event.facts.get("reason") or "")):
            for line in text.split("\n"):
                yield f"{_DEEP_INDENT}{line}"
    rest = [f"{key}={_plain(value)}" for key, value in event.facts.items() if key not in _TOLD and value is not None]
    if rest:
        yield f"{_DEEP_INDENT}{' '.join(rest)}"


def _subject(event: Event) -> str:
    if not event.address:
        return ""
    if event.kind is Kind.LOGIN:
        return f"{event.address}:"
    # A refusal without a message has no paragraph that names the sender.
    if not event.queue_id and event.reverse_path is not None:
        return f"{path(event.reverse_path)} to {path(event.address)}:"
    return f"{path(event.address)}:"


def _circumstances(event: Event) -> Iterator[str]:
    facts = event.facts
    if facts.get("peer"):
        yield f"from {facts.get('hello') or 'a client'} ({facts['peer']})"
    if facts.get("host") or facts.get("address"):
        host, address = facts.get("host"), facts.get("address")
        yield f"by {host} ({address})" if host and address else f"by {host or address}"
    if facts.get("protocol"):
        yield f"with {facts['protocol']}"
    if facts.get("tls"):
        yield f"over {facts['tls']}"
    elif "tls" in facts and (facts.get("peer") or facts.get("host") or facts.get("address")):
        yield "in the clear"
    if facts.get("account"):
        yield f"as {facts['account']}"
    if facts.get("size_octets") is not None:
        yield f"{facts['size_octets']} octets"


def _plain(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
