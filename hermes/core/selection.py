"""
Which recipients in the queue are meant: by message, address, sender, destination, age, last reply, state and account.

What is not asked for matches everybody, so an empty selection is the whole queue. The store asks the same in SQL
(:mod:`hermes.spool.selecting`); what is here says what the answer must be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from hermes.core import address_pattern
from hermes.core.destination_pattern import destination_matches, what_matches
from hermes.core.identifiers import is_queue_id
from hermes.core.message import QueuedMessage, QueuedRecipient, State

#: What may be asked of a recipient's state: ``deferred`` are those who wait and have been tried.
STATES = ("queued", "deferred", "held", "paused")

#: Ids named at once: they travel in one line to the server (16 KiB), where an id takes 16 octets.
MAX_IDS = 500


@attrs.frozen
class Selection:
    """
    What a recipient must be; empty or None where it does not matter.

    ``to`` and ``sender`` are patterns (:mod:`hermes.core.address_pattern`). ``destination`` is ``agent:next-hop`` with ``*`` and
    ``?`` for what does not matter, or one of the two alone. ``accepted_before`` and ``accepted_after`` are seconds since the
    epoch, the first one included. ``reply`` stands somewhere in the last reason. ``what`` is a destination or a recipient, as it
    can be paused (:mod:`hermes.core.pause`). Case never matters.
    """

    ids: tuple[str, ...] = ()
    to: str = ""
    sender: str = ""
    destination: str = ""
    accepted_before: float | None = None
    accepted_after: float | None = None
    reply: str = ""
    state: str = ""
    account: str = ""
    what: str = ""

    @property
    def is_everything(self) -> bool:
        """True when nothing is asked."""
        return self == Selection()

    def takes(self, message: QueuedMessage, recipient: QueuedRecipient) -> bool:
        """Whether a recipient of a message is meant."""
        return (
            (not self.ids or message.queue_id in self.ids)
            and (not self.to or address_pattern.matches(self.to, recipient.address))
            and (not self.sender or address_pattern.matches(self.sender, message.envelope.reverse_path))
            and (not self.destination or destination_matches(self.destination, recipient.destination))
            and (self.accepted_before is None or message.accepted_at <= self.accepted_before)
            and (self.accepted_after is None or message.accepted_at > self.accepted_after)
            and _lower(self.reply) in _lower(recipient.last_reason)
            and (not self.state or _is_in(self.state, recipient))
            and (not self.what or what_matches(self.what, recipient.destination, recipient.address))
            and (not self.account or _lower(message.origin.account or "") == _lower(self.account))
        )

    def as_dict(self) -> dict[str, object]:
        """What is asked, for JSON."""
        return {
            key: list(value) if key == "ids" else value
            for key, value in attrs.asdict(self).items()
            if value not in ("", (), None)
        }


def selection_of(asked: Mapping[str, Any]) -> Selection:
    """The selection that :meth:`Selection.as_dict` wrote; raise ValueError, with a remedy, for what is none."""
    unknown = sorted(set(asked) - {field.name for field in attrs.fields(Selection)})
    if unknown:
        raise ValueError(f"{unknown[0]!r} is nothing that messages can be chosen by")
    ids = asked.get("ids", [])
    if not isinstance(ids, list) or len(ids) > MAX_IDS or not all(is_queue_id(str(each)) for each in ids):
        raise ValueError(f"'ids' is a list of {MAX_IDS} queue ids at most: 'hermes queue list' shows them")
    for key in ("accepted_before", "accepted_after"):
        if not isinstance(asked.get(key), int | float | None) or isinstance(asked.get(key), bool):
            raise ValueError(f"{key!r} is a time in seconds since 1970")
    for key in ("to", "sender", "destination", "reply", "state", "account", "what"):
        if not isinstance(asked.get(key, ""), str):
            raise ValueError(f"{key!r} is a text")
    selection = Selection(**{**asked, "ids": tuple(map(str, ids))})
    if fault := fault_of(selection):
        raise ValueError(fault)
    return selection


def fault_of(selection: Selection) -> str:
    """What is wrong with a selection, with a remedy; empty when nothing is."""
    for pattern in (selection.to, selection.sender):
        if pattern and (fault := address_pattern.fault_of(pattern)):
            return fault
    if selection.state and selection.state not in STATES:
        return f"{selection.state!r} is not a state: there are {', '.join(STATES)}"
    return ""


def _is_in(state: str, recipient: QueuedRecipient) -> bool:
    if state in {"held", "paused"}:
        return recipient.state is State(state)
    return recipient.state is State.QUEUED and (state == "queued" or recipient.attempts > 0)


def _lower(text: str) -> str:
    """Lower case as the store knows it: of ASCII alone."""
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
