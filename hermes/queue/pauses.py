"""
What is paused, and the agent for ``pause:WHAT``.

Mail for it is not tried: it waits in a state of its own, in which it neither expires nor is looked at, until somebody resumes.
The list is a file beside the spool, so that a pause outlives a restart, and is seen when the server is down.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence

from zope.interface import implementer

from hermes.core.address import domain_of
from hermes.core.destination_pattern import is_plain, names_of, what_matches
from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome
from hermes.core.pause import HOST, MAX_PAUSES, outcome_of, pauses_host
from hermes.interfaces import IDeliveryAgent

#: The agent's name in destinations.
PAUSE = "pause"


class Pauses:
    """``write`` makes the whole list durable, and returns when it is."""

    def __init__(self, write: Callable[[bytes], Awaitable[object]] | None = None) -> None:
        self._write = write
        self._since: dict[str, float] = {}
        #: Those that are asked for by name, in lower case, and those that have to be tried one after the other.
        self._named: dict[str, str] = {}
        self._patterns: list[str] = []

    def load(self, octets: bytes) -> None:
        """Take the list from what was written; raise ValueError when it is none."""
        self._since = read_pauses(octets)
        self._sort()

    def _sort(self) -> None:
        self._named = {what.lower(): what for what in self._since}
        self._patterns = [what for what in self._since if not is_plain(what)]

    @property
    def any(self) -> bool:
        """Whether something is paused."""
        return bool(self._since)

    def __contains__(self, what: str) -> bool:
        return what in self._since

    async def add(self, what: str, now: float) -> None:
        """Pause something, durably; raise ValueError when there are too many already."""
        if what not in self._since and len(self._since) >= MAX_PAUSES:
            raise ValueError(f"{MAX_PAUSES} are paused already: resume one of them, or pause several with *")
        known = what in self._since
        self._since.setdefault(what, now)
        self._sort()
        try:
            await self._keep()
        except OSError:
            # Who asked is told that it failed, and it would be gone after a restart.
            if not known:
                self._since.pop(what, None)
                self._sort()
            raise

    async def remove(self, what: str) -> None:
        """Resume it, durably."""
        since = self._since.pop(what, None)
        self._sort()
        try:
            await self._keep()
        except OSError:
            if since is not None:
                self._since[what] = since
                self._sort()
            raise

    async def _keep(self) -> None:
        if self._write is not None:
            await self._write(json.dumps(self._since, indent=1).encode("ascii") + b"\n")

    def matching(self, recipient: QueuedRecipient) -> str:
        """What keeps a recipient from being tried; empty when nothing does."""
        if recipient.drained:
            return ""
        address = recipient.address
        for name in (*names_of(recipient.destination), address.lower(), domain_of(address)):
            if what := self._named.get(name):
                return what
        return next((what for what in self._patterns if what_matches(what, recipient.destination, address)), "")

    def of_host(self, host: str) -> str:
        """What keeps a server from being used; empty when nothing does."""
        named = self._named.get(f"{HOST}{host.lower().rstrip('.')}", "")
        return named or next((what for what in self._patterns if pauses_host(what, host)), "")


def read_pauses(octets: bytes) -> dict[str, float]:
    """What is paused, and since when; raise ValueError when that is not what was written."""
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the list of pauses is damaged: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(since, int | float) for since in found.values()):
        raise ValueError("the list of pauses is damaged: it is not a table of times")
    return found


@implementer(IDeliveryAgent)
class Pausing:
    """Delivers to nobody while something is paused."""

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """Paused, all of them; the next hop is what was paused."""
        return [outcome_of(next_hop)] * len(recipients)
