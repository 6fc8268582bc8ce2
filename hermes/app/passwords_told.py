"""What a running server is told of a password that an administrator has set: it records that, and the account's sessions end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hermes.app.circle import Circle
from hermes.core.event import Event, Kind
from hermes.interfaces import ISpool

#: Facts of the event.
CHANGED: Mapping[str, str] = {"result": "changed", "by": "administrator"}


def password_commands(
    spool: ISpool,
    in_force: Callable[[], Circle],
    now: Callable[[], float],
    end_sessions: Callable[[str], int],
    *,
    here: bool,
) -> dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]]:
    """The command by name; with several workers the one that is ``here`` is told, and tells the others."""

    async def changed(arguments: Mapping[str, Any]) -> int:
        name = arguments.get("account")
        if not isinstance(name, str) or not 0 < len(name) <= 64:
            raise ValueError("expected 'account'")
        await spool.record([Event(now(), Kind.PASSWORD, address=name, facts=CHANGED)])
        return end_sessions(name) if in_force().settings.poppass.end_sessions else 0

    return {"password.changed": changed} if here else {}
