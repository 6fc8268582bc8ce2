"""The greylist as a part of the server: how it is read when it is switched on, and what can be asked over the control socket."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hermes.config.places import greylist_file
from hermes.config.schema import Settings
from hermes.policy.greylist import Contents, Greylist, network_of


async def contents_for(settings: Settings, greylist: Greylist) -> Contents | None:
    """What a greylist that these settings switch on goes on from; ValueError, for the administrator, when it cannot be read."""
    if not settings.greylist.enabled:
        return None
    try:
        return await greylist.read()
    except (OSError, sqlite3.Error) as error:
        why = f"{greylist_file(settings)}: {error.strerror}" if isinstance(error, OSError) and error.strerror else error
        raise ValueError(f"[greylist] enabled: {why}") from error


def greylist_commands(greylist: Greylist) -> dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]]:
    """The commands by name."""

    async def remove(arguments: Mapping[str, Any]) -> str:
        subject = str(arguments.get("subject", ""))
        try:
            network = network_of(subject.partition("/")[0])
        except ValueError:
            raise ValueError(f"{subject!r} is not an address: write one like 192.0.2.7") from None
        await greylist.open()
        if not greylist.remove(network):
            raise LookupError(f"{network} is not on the greylist")
        return network

    return {"greylist.remove": remove}
