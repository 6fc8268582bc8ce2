"""What an administrator can have done to the messages that a selection names."""

from __future__ import annotations

import enum

import attrs

from hermes.core.event import Kind
from hermes.core.selection import Selection


class Action(enum.Enum):
    """The words of ``hermes queue``."""

    RETRY = "retry"  #: try them now; held ones stay held
    HOLD = "hold"  #: stop them until they are released
    RELEASE = "release"  #: let held ones go on, now, whatever rule would hold them
    REMOVE = "remove"  #: delete them and tell nobody
    RETURN = "return"  #: give them up and tell their senders
    PAUSE = "pause"  #: keep all mail for something from being tried, also what comes later
    RESUME = "resume"  #: let it be tried again
    DRAIN = "drain"  #: try all that waits for something now, although it is paused
    REROUTE = "reroute"  #: send them another way, now
    EXPIRE = "expire"  #: let them be given up at another time


#: The fact that each leaves in the trace; a return leaves those of its deliveries that failed.
KINDS = {
    Action.RETRY: Kind.RETRIED,
    Action.HOLD: Kind.HELD,
    Action.RELEASE: Kind.RELEASED,
    Action.REMOVE: Kind.REMOVED,
    Action.PAUSE: Kind.PAUSED,
    Action.RESUME: Kind.RESUMED,
    Action.DRAIN: Kind.RESUMED,
    Action.REROUTE: Kind.REROUTED,
    Action.EXPIRE: Kind.EXPIRY,
}


@attrs.frozen
class Order:
    """
    An action for a selection.

    ``destination`` is the way for a reroute as the router would write it, empty for the way that the configuration says, and
    ``direct`` for each recipient's own domain; ``expires_at`` the time for an expire, in seconds since the epoch, None for what
    the configuration says. ``pinned`` says that a reroute holds for the attempts to come. ``by`` is who wants it, for the trace.
    """

    action: Action
    selection: Selection
    destination: str = ""
    expires_at: float | None = None
    pinned: bool = True
    by: str = "administrator"


@attrs.frozen
class Chosen:
    """
    One step through a selection: the ordinals of the recipients that were found, by message.

    ``after`` is where to go on, None when there is no more; ``gone`` are messages that have left the queue by this.
    """

    recipients: dict[str, list[int]]
    after: str | None
    gone: tuple[str, ...] = ()


@attrs.frozen
class Done:
    """How much an order was carried out on."""

    messages: int = 0
    recipients: int = 0
