"""
Events as lines of the mail log: ``key=value`` words, or one JSON object.

Whatever a peer said, a line stays one line: values with spaces, quotes or control characters are quoted and escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from hermes.core.event import Event
from hermes.core.units import format_instant

_Value = str | int | float | bool | None

#: What may stand without quotes; a shell takes it for one word too.
_PLAIN = re.compile(r"[!#-&(-<>-\[\]-~]+\Z", re.ASCII)

#: What is escaped inside quotes: control characters of every kind, line separators, marks that change the direction of writing
#: (a terminal would show another line than this one), and what ends or escapes the quotes.
_SPECIAL = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')


def as_text(event: Event) -> str:
    """One line without its end: ``2026-01-31T12:00:00.123Z received id=... from=<...> to=<...> key=value ...``."""
    words = [format_instant(event.at), event.kind.value]
    words += [f"{key}={_word(value)}" for key, value in _facts(event)]
    return " ".join(words)


def as_json(event: Event) -> str:
    """One line without its end: an object with ``at``, ``event`` and the same keys as :func:`as_text`."""
    return json.dumps(
        {"at": format_instant(event.at), "event": event.kind.value, **dict(_facts(event))}, separators=(",", ":")
    )


def _facts(event: Event) -> Iterator[tuple[str, _Value]]:
    if event.queue_id:
        yield "id", event.queue_id
    if event.reverse_path is not None:
        yield "from", f"<{event.reverse_path}>"
    if event.address:
        yield "to", f"<{event.address}>"
    if event.message_id:
        yield "message_id", event.message_id
    for key, value in event.facts.items():
        if isinstance(value, float) and key.endswith("_at"):
            yield key, format_instant(value)
        elif value is not None:
            yield key, value


def _word(value: _Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return text if _PLAIN.match(text) else f'"{_SPECIAL.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character in '"\\':
        return "\\" + character
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"
