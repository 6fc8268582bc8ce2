"""
By which way mail for an address goes: the rules of routing, and the agent for mail that has no way.

A destination is ``agent:next-hop``. ``none:`` stands for mail that cannot be sent on as things are; its next hop is the
reason, in words fit for the sender.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from zope.interface import implementer

from hermes.core import address as addresses
from hermes.core.account import Local, Redirected, Remote, Resolution, Unknown
from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome
from hermes.core.route import RouteTable, whose
from hermes.interfaces import IDeliveryAgent, IDirectory, IRouter
from hermes.queue.smarthost_choice import SmarthostRule, choose

#: The agent of mail without a way.
NO_WAY = "none"

#: The destination of what could not be routed because the directory failed: it is routed again at the next attempt.
UNROUTED = "unrouted:the directory could not say where mail for this address goes"

NO_SUCH_ADDRESS = f"{NO_WAY}:there is no such address here"
DISABLED = f"{NO_WAY}:the mailbox is disabled"
NO_POSTMASTER = f"{NO_WAY}:no postmaster is configured"
NO_WAY_OUT = f"{NO_WAY}:no way out is configured: this server sends nothing to other domains"

#: The message has been sent on from the same address before (RFC 3463 3.5: X.4.6, routing loop detected).
FORWARDING_LOOP = f"{NO_WAY}:the message has been sent on from this address before: it goes round in a loop"

#: The agent of addresses that stand for others: the queue puts these in their place before anything is delivered.
EXPAND = "expand"

#: The agent of accounts' mailboxes.
LOCAL = "local"

#: Agents whose destinations stay what they are, whatever the directory says of the address now: those of expanded recipients.
KEPT = frozenset({"mailbox", "public", "program"})

#: What will not get better by waiting (RFC 3463 3.2, 3.3). The rest is the configuration's fault, and may be mended.
_FINAL = {NO_SUCH_ADDRESS: "5.1.1", DISABLED: "5.2.1", FORWARDING_LOOP: "5.4.6"}

#: RFC 5321 4.5.1: this local part is known at every domain, in any case.
_POSTMASTER = "postmaster"


@implementer(IRouter)
class Router:
    """
    Routes by the directory and the configured ways out; a smart host comes before direct delivery.

    The first of ``smarthosts`` that takes a message has it; ``smarthost`` is the name of the one for all others, or empty;
    ``postmaster`` the address of the person in charge, or empty; ``backups`` the domains for which this is a backup.
    """

    def __init__(
        self,
        directory: IDirectory,
        *,
        smarthost: str = "",
        smarthosts: Sequence[SmarthostRule] = (),
        direct_enabled: bool = False,
        postmaster: str = "",
        backups: Collection[str] = (),
        routes: RouteTable | None = None,
    ) -> None:
        self._directory = directory
        self._smarthost = smarthost
        self._smarthosts = smarthosts
        self._direct_enabled = direct_enabled
        self._postmaster = postmaster
        self._backups = frozenset(backups)
        self.routes = routes or RouteTable()

    async def route(self, address: str, sender: str = "", account: str = "", *, released: bool = False) -> str:
        """The destination for an address, of a message from this reverse-path and account; see :class:`IRouter`."""
        local_part, domain = addresses.split(address)
        is_postmaster = local_part.lower() == _POSTMASTER
        if is_postmaster and not domain:
            return await self._to_postmaster()
        resolution = await self._directory.resolve(address)
        route = self.routes.choose(address, sender, whose(resolution), released=released)
        if route is not None:
            return route.destination(domain.lower())
        if isinstance(resolution, Unknown) and is_postmaster:
            # Mail for the postmaster is never refused at a domain of ours (RFC 5321 4.5.1).
            return await self._to_postmaster()
        if isinstance(resolution, Remote) and resolution.domain.lower() in self._backups:
            # Whatever the ways out for other mail are: a smart host would only bring it back.
            return f"backup:{resolution.domain.lower()}"
        if isinstance(resolution, Remote) and (name := choose(self._smarthosts, address, sender, account)):
            return f"smarthost:{name}"
        return self._destination(address, resolution)

    async def _to_postmaster(self) -> str:
        """The way to the person in charge, whose own address is not replaced once more."""
        if not self._postmaster:
            return NO_POSTMASTER
        return self._destination(self._postmaster, await self._directory.resolve(self._postmaster))

    def _destination(self, address: str, resolution: Resolution) -> str:
        match resolution:
            case Local(account):
                return f"{EXPAND}:{address}" if account.forward else f"{LOCAL}:{account.name}"
            case Redirected():
                return f"{EXPAND}:{address}"
            case Remote(domain):
                if self._smarthost:
                    return f"smarthost:{self._smarthost}"
                return f"direct:{domain}" if self._direct_enabled else NO_WAY_OUT
            case Unknown(_, disabled):
                return DISABLED if disabled else NO_SUCH_ADDRESS


@implementer(IDeliveryAgent)
class NoWay:
    """
    The agent for ``none:`` and ``unrouted:``.

    Mail gets here when its way has vanished after it was accepted. An address that is gone fails; a fault of the
    configuration or of the directory waits to be mended, until the message expires.
    """

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """The same outcome for all."""
        status = _FINAL.get(f"{NO_WAY}:{next_hop}")
        # RFC 3463 3.4: 4.3.5, system incorrectly configured.
        outcome = Outcome.failed(next_hop, status) if status else Outcome.deferred(next_hop, "4.3.5")
        return [outcome] * len(recipients)
