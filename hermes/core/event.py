"""Facts about messages: what the trace stores and the mail log prints, one event a fact."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs


class Kind(enum.Enum):
    """The names of events. They are an interface for log readers: add to them, do not change them."""

    RECEIVED = "received"  #: accepted and durable
    REFUSED = "refused"  #: a command was refused by a rule, or a transaction failed
    DELIVERED = "delivered"  #: put into a mailbox of ours
    RELAYED = "relayed"  #: another server took responsibility
    DEFERRED = "deferred"  #: an attempt failed and will be repeated
    FAILED = "failed"  #: an attempt failed for good
    EXPIRED = "expired"  #: it was tried for as long as configured
    RETURNED = "returned"  #: a report went back to the sender
    UNREPORTED = "unreported"  #: a report did not go back: the address has had too many
    DISCARDED = "discarded"  #: accepted, and thrown away by a rule
    RETRIEVED = "retrieved"  #: a reader fetched it
    DELETED = "deleted"  #: a reader deleted it
    HELD = "held"  #: an administrator stopped it
    RELEASED = "released"  #: an administrator let it go on
    REMOVED = "removed"  #: an administrator took it out of the queue
    RETRIED = "retried"  #: an administrator asked for an attempt now
    REROUTED = "rerouted"  #: an administrator said by which way it goes
    EXPIRY = "expiry"  #: an administrator said until when it is tried
    PAUSED = "paused"  #: its way was paused
    RESUMED = "resumed"  #: its way was resumed, or drained
    PASSWORD = "password"  # noqa: S105 #: somebody changed a password, or tried to
    EXPANDED = "expanded"  #: an address was replaced by those that it stands for
    FORWARDED = "forwarded"  #: sent on as a message of its own, to another server or with more header fields
    ANSWERED = "answered"  #: the sender was sent a text, and the message was not delivered
    IMPORTED = "imported"  #: put into a mailbox of ours by an administrator, from where it was kept before
    LOGIN = "login"  #: somebody authenticated, or failed to


@attrs.frozen
class Event:
    """
    One fact.

    ``at`` is seconds since the epoch; ``queue_id`` is empty for what never got one; ``address`` is the recipient (or, for
    logins, the account) it is about, or empty. ``facts`` are further words for people and programs: text, numbers, booleans;
    never a password, never a body.
    """

    at: float
    kind: Kind
    queue_id: str = ""
    address: str = ""
    reverse_path: str | None = None
    message_id: str = ""
    facts: Mapping[str, str | int | float | bool | None] = attrs.field(factory=dict)
