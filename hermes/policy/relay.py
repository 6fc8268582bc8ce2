"""
Who may send where: the rule that keeps Hermes from being an open relay.

Mail for an existing mailbox of ours is taken from everybody. Mail for anybody else is taken only from an account that has
logged in, or from a peer to whom ``relay_networks`` or an entry of connection control gives that right. There is no third
way: percent signs, exclamation marks, quotes and source routes in an address of ours name a user of ours, who exists or does
not (RFC 5321 3.6, appendix C, F.2).
"""

from __future__ import annotations

from ipaddress import ip_address

from zope.interface import implementer

from hermes.config.schema import Settings
from hermes.core.account import Account, Local, Redirected, Remote, Unknown
from hermes.core.address import split
from hermes.core.outcome import PASS, Verdict
from hermes.core.reply import Reply
from hermes.interfaces import IAccess, IDirectory, IMailboxes, IRelayPolicy, IRouter

# RFC 5321 4.5.1: the one mailbox that every server has, in any case of letters.
_POSTMASTER = "postmaster"

#: The setting by which a whole network may relay.
_NETWORKS = "smtp.relay_networks"

_LOGIN_FIRST = Verdict(Reply.of(530, "5.7.0", "Log in first"), "relay.login_required")
_NO_RELAY = Reply.of(550, "5.7.1", "We do not relay: that address is not ours, and you have not logged in")
_NO_DOMAIN = Verdict(Reply.of(550, "5.1.3", "The address needs a domain"), "relay.no_domain")
_NO_MAILBOX = Reply.of(550, "5.1.1", "No such mailbox here")
_DISABLED = Reply.of(550, "5.2.1", "That mailbox is disabled")
# RFC 3463 3.5: X.4.6, routing loop detected. It is a fault of ours that may be mended, so the client shall keep the message.
_LOOP = Reply.of(451, "4.4.6", "That address leads back to itself, or too far: try again later")
_NO_POSTMASTER = Verdict(
    # RFC 5321 4.5.1 demands a postmaster, so its absence is our fault and the client shall keep the message.
    Reply.of(451, "4.3.5", "The postmaster's mailbox is not set up: try again later"),
    "relay.no_postmaster",
    "[hermes] postmaster is not the address of a mailbox here",
)


@implementer(IRelayPolicy)
class RelayPolicy:
    """Judges recipients by one set of settings; others are another policy's."""

    def __init__(
        self, directory: IDirectory, router: IRouter, mailboxes: IMailboxes, access: IAccess, settings: Settings
    ) -> None:
        self._directory = directory
        self._router = router
        self._mailboxes = mailboxes
        self._access = access
        self._settings = settings

    async def recipient(
        self,
        address: str,
        *,
        peer: str,
        account: Account | None,
        authentication_required: bool,
        octets: int,
        sender: str = "",
    ) -> tuple[Verdict, str]:
        """Judge a recipient: the verdict, and the destination when it is accepted."""
        if authentication_required and account is None:
            return _LOGIN_FIRST, ""
        local_part, domain = split(address)
        is_postmaster = local_part.lower() == _POSTMASTER
        if not domain:
            # <postmaster> is the only path without a domain (RFC 5321 4.1.1.3).
            return await self._postmaster() if is_postmaster else (_NO_DOMAIN, "")
        match await self._directory.resolve(address):
            case Local(account=owner):
                # RFC 5321 4.5.1: mail for the postmaster is taken, so a full mailbox is no obstacle.
                # What is sent on takes no room here.
                verdict = (
                    PASS if is_postmaster or not owner.keeps_mail else await self._mailboxes.over_quota(owner, octets)
                )
                if not verdict.accepted:
                    return verdict, ""
                routed, destination = await self._routed(address)
                return (verdict if routed.accepted else routed), destination
            case Redirected(problem=problem):
                # Whoever may write to the address need not be allowed to relay: the administrator has said where it leads.
                return (Verdict(_LOOP, "directory.loop", problem), "") if problem else await self._routed(address)
            case Unknown(disabled=disabled):
                return await self._postmaster() if is_postmaster else (_unknown(disabled), "")
            case Remote(domain=elsewhere):
                if account is None and not self.relay_right(peer):
                    return Verdict(_NO_RELAY, "relay.denied", f"{elsewhere} is not ours, {peer} is not trusted"), ""
                return await self._routed(address, sender, account.name if account is not None else "")

    async def room(self, address: str, octets: int) -> Verdict:
        """Judge again whether an accepted local recipient has room for ``octets``."""
        match await self._directory.resolve(address):
            case Local(account=owner) if owner.keeps_mail:
                return await self._mailboxes.over_quota(owner, octets)
            case _:
                # It was here at RCPT and is gone: that is for the delivery to find.
                return PASS

    async def _postmaster(self) -> tuple[Verdict, str]:
        responsible = self._settings.hermes.postmaster
        # Only a mailbox here will do: elsewhere the address would be postmaster's again, and come back to us.
        if responsible and isinstance(await self._directory.resolve(responsible), Local | Redirected):
            return await self._routed(responsible)
        return _NO_POSTMASTER, ""

    async def _routed(self, address: str, sender: str = "", account: str = "") -> tuple[Verdict, str]:
        destination = await self._router.route(address, sender, account)
        agent, _, reason = destination.partition(":")
        if agent == "none":
            # RFC 3463 3.5: X.4.4, unable to route. For good: a server that sends nothing to others has been set up so, and a
            # client that were told to try again would keep the message for days without telling anybody.
            refusal = Reply.of(550, "5.4.4", "There is no way to send mail to that address from here")
            return Verdict(refusal, "relay.no_route", reason), ""
        return PASS, destination

    def relay_right(self, peer: str) -> str:
        """What lets this peer send to other domains without a login; empty when nothing does."""
        entry = self._access.entry(peer, "smtp")
        if entry is not None and entry.relay:
            return entry.rule
        return _NETWORKS if self._in_networks(peer) else ""

    def _in_networks(self, peer: str) -> bool:
        networks = self._settings.smtp.relay_networks
        if not networks:
            return False
        try:
            address = ip_address(peer)
        except ValueError:  # a UNIX socket has no address that could be listed
            return False
        return any(address in network for network in networks)


def _unknown(disabled: bool) -> Verdict:
    return Verdict(_DISABLED, "relay.disabled") if disabled else Verdict(_NO_MAILBOX, "relay.unknown_user")
