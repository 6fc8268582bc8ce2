"""Orders for the queue as they come in over the control socket, and the ways that mail can be sent by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hermes.config.schema import Settings
from hermes.config.sections.routes import lmtp_place
from hermes.config.smarthost_rules import smarthosts_of
from hermes.core.order import Action, Order
from hermes.core.pause import fault_of
from hermes.core.selection import Selection, selection_of

#: Ways as an administrator writes them.
AS_CONFIGURED = "auto"
DIRECT = "direct"
SMARTHOST = "smarthost:"
DISCARD = "discard"
LMTP = "lmtp:"

_ARGUMENTS = frozenset({"action", "selection", "way", "expires_at"})


def order_of(arguments: Mapping[str, Any], settings: Settings) -> Order:
    """The order that a client has written as JSON; raise ValueError, with a remedy, for what is none."""
    if unknown := sorted(set(arguments) - _ARGUMENTS):
        # Passed over, a condition that is in the wrong place would mean everything.
        raise ValueError(f"{unknown[0]!r} is no part of an order: there are {', '.join(sorted(_ARGUMENTS))}")
    try:
        action = Action(arguments.get("action"))
    except ValueError:
        raise ValueError(f"'action' is one of {', '.join(each.value for each in Action)}") from None
    chosen = arguments.get("selection")
    if not isinstance(chosen, Mapping):
        raise ValueError("'selection' is an object, an empty one for the whole queue: see 'hermes queue --help'")
    selection: Selection = selection_of(chosen)
    if action in {Action.PAUSE, Action.RESUME, Action.DRAIN} and (fault := fault_of(selection.what)):
        raise ValueError(fault)
    if action is Action.REROUTE:
        return Order(action, selection, destination=destination_of(str(arguments.get("way", "")), settings))
    if action is Action.EXPIRE:
        expires_at = arguments.get("expires_at")
        if not isinstance(expires_at, int | float | None) or isinstance(expires_at, bool):
            raise ValueError("'expires_at' is a time in seconds since 1970, or null")
        return Order(action, selection, expires_at=expires_at)
    return Order(action, selection)


def destination_of(way: str, settings: Settings) -> str:
    """The destination for a way as an administrator writes it; raise ValueError for one that does not exist."""
    if way == AS_CONFIGURED:
        return ""
    if way == DISCARD:
        return "discard:the administrator"
    if way == DIRECT:
        if not settings.direct.enabled:
            raise ValueError("nothing is delivered directly here: write enabled = yes in [direct]")
        return DIRECT
    if way.startswith(LMTP):
        lmtp_place(way.removeprefix(LMTP))
        if way not in {each.to for each in settings.route.values()}:
            raise ValueError(f"{way} is in no [route:NAME]: only what the configuration names is delivered to")
        return way
    known = smarthosts_of(settings)
    if way.startswith(SMARTHOST):
        name = way.removeprefix(SMARTHOST)
        if name not in known:
            raise ValueError(f"there is no smart host {name!r}: there are {', '.join(known) or 'none'}")
        return way
    raise ValueError(
        f"{way!r} is not a way: write {AS_CONFIGURED}, {DIRECT}, {SMARTHOST}NAME, {LMTP}HOST:PORT or {DISCARD}"
    )
