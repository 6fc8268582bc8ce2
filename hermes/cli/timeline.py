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
    Kind.RECEIVED: "received and queued",
    Kind.REFUSED: "refused",
    Kind.DELIVERED: "delivered to the mailbox",
    Kind.RELAYED: "handed on",
    Kind.DEFERRED: "not delivered yet",
    Kind.FAILED: "failed for good",
    Kind.EXPIRED: "given up, its time is over",
    Kind.RETURNED: "a report went back to the sender",
    Kind.UNREPORTED: "no report went back",
    Kind.DISCARDED: "thrown away by a rule",
    Kind.RETRIEVED: "fetched by a reader",
    Kind.DELETED: "deleted by a reader",
    Kind.HELD: "held",
    Kind.RELEASED: "released",
    Kind.REMOVED: "removed from the queue",
    Kind.RETRIED: "an attempt was asked for",
    Kind.REROUTED: "sent by another way",
    Kind.EXPIRY: "is tried until another time",
    Kind.PAUSED: "waits until its way is resumed",
    Kind.RESUMED: "its way is resumed",
    Kind.PASSWORD: "password",
    Kind.EXPANDED: "stands for others",
    Kind.FORWARDED: "sent on as a message of its own",
    Kind.ANSWERED: "answered with a text instead of being delivered",
    Kind.IMPORTED: "imported into the mailbox",
    Kind.LOGIN: "login",
}

#: Facts that are told in words of their own, below.
_TOLD = frozenset(
    {
        *("peer", "hello", "protocol", "tls", "account", "size_octets", "recipients", "host", "address"),
        *("result", "mechanism", "reply", "reason", "rule", "next_attempt_at", "report", "message", "sent_on_from"),
    }
)

#: The protocol of what came from no client: reports of our own.
_OWN = "local"
_SENT_ON = "forward"

#: Where it is worth saying that there was no TLS: octets of a message, or a password, went over the wire.
_CARRIES = frozenset({Kind.RECEIVED, Kind.RELAYED, Kind.LOGIN})

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
            words = [_subject(event), _what(event), *_circumstances(event)]
            yield f"{_INDENT}{local_time(event.at)}  {' '.join(word for word in words if word)}"
            yield from (f"{_DEEP_INDENT}{line}" for line in _particulars(event))


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


def _subject(event: Event) -> str:
    if event.kind is Kind.RECEIVED:
        return ""
    if not event.address:
        # Only a refusal without a message has no heading that names the sender.
        return f"{path(event.reverse_path)}:" if event.reverse_path is not None and not event.queue_id else ""
    # The account of a login, or of a reader, is a name and no address.
    about = path(event.address) if "@" in event.address else event.address
    if not event.queue_id and event.reverse_path is not None:
        return f"{path(event.reverse_path)} to {about}:"
    return f"{about}:"


def _what(event: Event) -> str:
    if event.kind is Kind.RECEIVED and event.facts.get("protocol") == _SENT_ON:
        return "sent on by this server and queued"
    if event.kind is Kind.RECEIVED and event.facts.get("protocol") == _OWN:
        return "written by this server and queued"
    if event.kind is Kind.RETURNED and event.address != event.reverse_path:
        return "a report went to the postmaster"
    return _WORDS[event.kind]


def _circumstances(event: Event) -> Iterator[str]:
    facts = event.facts
    if facts.get("result"):
        yield str(facts["result"])
    if facts.get("mechanism"):
        yield f"by {facts['mechanism']}"
    if facts.get("peer"):
        yield f"from {facts['hello']} ({facts['peer']})" if facts.get("hello") else f"from {facts['peer']}"
    host, address = facts.get("host"), facts.get("address")
    if host or address:
        where = f"{host} ({address})" if host and address else f"{host or address}"
        yield f"to {where}" if event.kind is Kind.RELAYED else f"at {where}"
    if facts.get("protocol") and facts["protocol"] not in (_OWN, _SENT_ON):
        yield f"with {facts['protocol']}"
    if facts.get("tls"):
        yield f"over {facts['tls']}"
    elif event.kind in _CARRIES and (facts.get("peer") or host or address):
        yield "in the clear"
    if facts.get("account"):
        yield f"as {facts['account']}"
    measures = []
    if facts.get("size_octets") is not None:
        measures.append(f"{facts['size_octets']} octets")
    if isinstance(count := facts.get("recipients"), int):
        measures.append(_recipients(event, count))
    if measures:
        yield f"({' '.join(measures)})"


def _recipients(event: Event, count: int) -> str:
    # A reception is about all recipients, of whom the event names the first.
    if event.kind is Kind.RECEIVED and event.address:
        return f"for {path(event.address)}{f' and {count - 1} more' if count > 1 else ''}"
    return f"for {count} recipient{'' if count == 1 else 's'}"


def _particulars(event: Event) -> Iterator[str]:
    """What stands below an event: why, in whose words, what next, and whatever else is known."""
    facts = event.facts
    reason, reply = str(facts.get("reason") or ""), str(facts.get("reply") or "")
    if reason:
        yield from reason.split("\n")
    # The reason often is the reply, in a sentence: then the sentence is enough.
    if reply and reply not in reason:
        yield from reply.split("\n")
    # Every accepted login was allowed by "default", which says nothing.
    if facts.get("rule") and facts["rule"] != "default":
        yield f"by the rule {facts['rule']}"
    if isinstance(at := facts.get("next_attempt_at"), int | float):
        yield f"next attempt at {local_time(at)}"
    if facts.get("report"):
        yield f"the report is {facts['report']}"
    if facts.get("message"):
        yield f"the message is {facts['message']}"
    if facts.get("sent_on_from"):
        yield f"it comes from the message {facts['sent_on_from']}"
    rest = [f"{key}={_plain(value)}" for key, value in facts.items() if key not in _TOLD and value is not None]
    if rest:
        yield " ".join(rest)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
