"""
What a running server is told while mail is imported: the facts for the trace, and how much fuller the mailbox is.

The messages themselves are in the maildir by then: the command puts them there, as a delivery does, and needs nobody's leave.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hermes.app.circle import Circle
from hermes.core.event import Event, Kind
from hermes.core.identifiers import IMPORTED, is_queue_id
from hermes.interfaces import ISpool


def importing_commands(
    spool: ISpool, in_force: Callable[[], Circle], *, here: bool
) -> dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]]:
    """The commands by name; with several workers the one that is ``here`` keeps the facts."""

    async def record(arguments: Mapping[str, Any]) -> int:
        name, octets, told = arguments.get("account"), arguments.get("octets"), arguments.get("events")
        if not isinstance(name, str) or not isinstance(octets, int) or not isinstance(told, list):
            raise ValueError("expected 'account', 'octets' and 'events'")
        events = [_event(name, each) for each in told]
        circle = in_force()
        account = await circle.directory.account(name)
        if account is not None:
            circle.mailboxes.count(account, octets)
        await spool.record(events)
        return len(events)

    return {"import.record": record} if here else {}


def told(event: Event) -> dict[str, object]:
    """A fact as it goes over the control socket."""
    return {"at": event.at, "id": event.queue_id, "message_id": event.message_id, "facts": dict(event.facts)}


def _event(account: str, words: Any) -> Event:
    try:
        at, queue_id, message_id, facts = (words[key] for key in ("at", "id", "message_id", "facts"))
    except (KeyError, TypeError):
        raise ValueError("each event has 'at', 'id', 'message_id' and 'facts'") from None
    known = isinstance(at, int | float) and isinstance(message_id, str) and isinstance(facts, dict)
    if not known or not is_queue_id(str(queue_id)) or not queue_id.startswith(IMPORTED):
        raise ValueError("this is no fact about an imported message")
    return Event(float(at), Kind.IMPORTED, queue_id, account, None, message_id, facts)
