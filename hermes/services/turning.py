"""
ETRN (RFC 1985): a server that is not always there asks for the mail that waits for it.

It gets the mail by the way that the mail goes anyhow, from us and at an address that it has not named: so whoever asks can learn
how much there is and have it tried now, and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hermes.config.host_names import domain_fault
from hermes.core.order import Action, Done, Order
from hermes.core.reply import Reply
from hermes.core.selection import Selection

#: A way through the queue takes a tenth of a second for 100,000 messages; nobody has it gone more often for one node.
PAUSE_SECONDS = 60.0

#: Nodes that are remembered so long; with more, the oldest is forgotten.
MAX_NODES = 1000


class Relay(Protocol):
    """Who carries out orders, see :class:`hermes.interfaces.IRelayManager`."""

    async def carry_out(self, order: Order) -> Done:
        """Do what the order says."""


class Turning:
    """``relays`` are those of this process; ``tell`` has those of others asked."""

    _log = Logger()

    def __init__(
        self,
        seconds: Callable[[], float],
        relays: Callable[[], Sequence[Relay]],
        tell: Callable[[str, tuple[str, ...]], None] | None = None,
    ) -> None:
        self._seconds = seconds
        self._relays = relays
        self._tell = tell
        self._asked: dict[str, float] = {}

    async def turn(self, node: str) -> Reply:
        """Try what waits for a node: a domain, ``@`` and a domain with all below it, or ``#`` and a destination."""
        option, name = (node[0], node[1:]) if node[:1] in "@#" else ("", node)
        if not name or (option != "#" and domain_fault(name)) or "*" in name or "?" in name:
            return Reply.of(501, "5.5.4", "Use ETRN with a domain, @ and a domain, or # and a destination")
        now, key = self._seconds(), node.lower()
        if now - self._asked.get(key, -PAUSE_SECONDS) < PAUSE_SECONDS:
            return Reply.of(458, "4.7.0", f"That has been asked for within {PAUSE_SECONDS:.0f} seconds")
        self._asked.pop(key, None)
        self._asked[key] = now
        if len(self._asked) > MAX_NODES:
            del self._asked[next(iter(self._asked))]
        names = (name, f"*.{name}") if option == "@" else (name,)
        if self._tell is not None:
            self._tell("drain", names)
        count = await self._drain(names)
        if not count:
            # Other processes may have some; how many they do not say in time.
            return Reply.of(251 if self._tell is None else 250, "2.0.0", "No messages are waiting for that node")
        return Reply.of(253, "2.0.0", f"{count} pending message{'' if count == 1 else 's'} for that node started")

    async def _drain(self, names: Sequence[str]) -> int:
        count = 0
        for what in names:
            for relay in self._relays():
                count += (await relay.carry_out(Order(Action.DRAIN, Selection(what=what)))).messages
        return count

    def hear(self, *names: str) -> None:
        """Another process was asked."""
        _ = Deferred.fromCoroutine(self._heard(names))

    async def _heard(self, names: Sequence[str]) -> None:
        with self._log.failuresHandled("What another worker was asked for by ETRN could not be tried"):
            await self._drain(names)


#: What a session is given for those who may ask.
Turn = Callable[[str], Awaitable[Reply]]
