"""Attempts to deliver a message, from its trace, for its sender: who was asked, over what, and what was answered."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hermes.core.event import Event, Kind
from hermes.core.printable import one_line
from hermes.core.report import date_time
from hermes.core.report_text import quoted
from hermes.core.report_wording import Wording

#: What became of a recipient at an attempt.
ATTEMPTS = frozenset({Kind.DELIVERED, Kind.RELAYED, Kind.DEFERRED, Kind.FAILED, Kind.EXPIRED, Kind.DISCARDED})

#: Attempts that are told, the last ones: with the pauses that are built in there are about forty in five days.
MAX_ATTEMPTS = 100

#: Words of another server at one attempt, in characters.
MAX_WORDS = 1024


def attempts(events: Iterable[Event], recipients: Collection[str], wording: Wording) -> str:
    """One paragraph for each attempt for one of the recipients, in the order of the events."""
    told = [event for event in events if event.kind in ATTEMPTS and event.address in recipients]
    first = max(0, len(told) - MAX_ATTEMPTS)
    return "\n\n".join(_attempt(event, wording) for event in told[first:])


def _attempt(event: Event, wording: Wording) -> str:
    facts = event.facts
    number, name, address = str(facts.get("attempt", 1)), facts.get("host"), facts.get("address")
    lines = [wording.phrase("attempt", n=number, d=date_time(event.at)), _line("to", event.address, wording)]
    if name:
        where = f"{name} ({address})" if address else str(name)
        lines.append(_line("host", where, wording))
        lines.append(_line("tls", str(facts.get("tls") or wording.phrase("no-tls")), wording))
    lines.append(_line("result", event.kind.value, wording))
    words = facts.get("reply") or facts.get("reason")
    if words:
        lines += [f"  {wording.phrase('reply')}", *(quoted(line, MAX_WORDS, wording) for line in _few(str(words)))]
    at = facts.get("next_attempt_at")
    if isinstance(at, int | float):
        lines.append(_line("next", date_time(at), wording))
    return "\n".join(lines)


def _few(words: str) -> list[str]:
    return words[:MAX_WORDS].split("\n")


def _line(name: str, text: str, wording: Wording) -> str:
    return f"  {wording.phrase(name)} {one_line(text, 320)}"
