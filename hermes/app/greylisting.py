"""What can be asked about the greylist over the control socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hermes.policy.greylist import Greylist, network_of


def greylist_commands(greylist: Greylist) -> dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]]:
    """The commands by name."""

    async def remove(arguments: Mapping[str, Any]) -> str:
        subject = str(arguments.get("subject", ""))
        try:
            network = network_of(subject.partition("/")[0])
        except ValueError:
            raise ValueError(f"{subject!r} is not an address: write one like 192.0.2.7") from None
        if not greylist.remove(network):
            raise LookupError(f"{network} is not on the greylist")
        return network

    return {"greylist.remove": remove}
