"""
Who may send where: the rule that keeps Hermes from being an open relay.

Mail for an existing mailbox of ours is taken from everybody, and so is mail for a domain for which we are a backup. Mail for
anybody else is taken only from an account that has logged in, or from a peer to whom ``relay_networks`` or an entry of
connection control gives that right; ``[smtp] relay`` may take one of these away, or add senders of ours in private networks.
There is no other way: percent signs, exclamation marks, quotes and source routes in an address of ours name a user of ours, who
exists or does not (RFC 5321 3.6, appendix C, F.2).
"""

from __future__ import annotations

from ipaddress import ip_network

from zope.interface import implementer

from hermes.config.schema import Settings
from hermes.core.account import Account, Local, Redirected, Remote, Unknown
from hermes.core.address import split
from hermes.core.outcome import PASS, Result, Verdict
from hermes.core.peer_address import address_of
from hermes.core.reply import Reply
from hermes.core.route import RouteTable, whose
from hermes.interfaces import IAccess, ICallAhead, IDirectory, IMailboxes, IRelayPolicy, IRouter

# RFC 5321 4.5.1: the one mailbox that every server has, in any case of letters.
_POSTMASTER = "postmaster"

#: The setting by which a whole network may relay.
_NETWORKS = "smtp.relay_networks"

_LOGIN_FIRST = Verdict(Reply.of(530, "5.7.0", "Log in first"), "relay.login_required")
#: Signs by which an address asks for being sent on (RFC 5321 appendix C, F.2). To the server of a domain for which we are a
#: backup we are hardly a stranger: what it would not send on for others, it might for us.
_ROUTED = frozenset("%!@")

#: ``ipaddress`` calls more private than comes from a network of one's own: shared addresses of providers, and those of examples.
_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))

#: The rule of an account that has logged in, and that of relay = normal.
_LOGIN = "login"
_NORMAL = "smtp.relay"

_NO_RELAY = Reply.of(550, "5.7.1", "We do not relay: that address is not ours, and you have not logged in")
_NOT_ASKED = Reply.of(451, "4.4.1", "The server of that domain cannot be asked now: try again later")
_NO_ROUTES = Verdict(
    Reply.of(550, "5.7.1", "We do not relay: that address asks the server of its domain to send the mail on"),
    "backup.routing",
)
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
    """
    Judges recipients by one set of settings; others are another policy's.

    ``call_ahead`` asks other servers about their recipients; without it what they would say is not known, and they are accepted.
    """

    def __init__(
        self,
        directory: IDirectory,
        router: IRouter,
        mailboxes: IMailboxes,
        access: IAccess,
        settings: Settings,
        call_ahead: ICallAhead | None = None,
        routes: RouteTable | None = None,
    ) -> None:
        self._directory = directory
        self._router = router
        self._mailboxes = mailboxes
        self._access = access
        self._settings = settings
        self._call_ahead = call_ahead
        self._backups = backup_domains(settings)
        self._routes = routes or RouteTable()

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
        resolution = await self._directory.resolve(address)
        name = account.name if account is not None else ""
        route = self._routes.choose(address, sender, whose(resolution))
        match resolution:
            case Local() | Unknown() | Redirected() if route is not None:
                return await self._routed(address, sender, name)
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
                backup = self._backups.get(elsewhere.lower(), "") if route is None else ""
                is_open = bool(backup) or (route is not None and route.open_to_all)
                if (not is_open or _ROUTED.intersection(local_part)) and not await self.right(peer, account, sender):
                    if is_open:
                        return _NO_ROUTES, ""
                    return Verdict(_NO_RELAY, "relay.denied", self._why_not(elsewhere, peer, account)), ""
                verdict = await self._asked(backup, address) if backup else PASS
                return await self._routed(address, sender, name) if verdict.accepted else (verdict, "")

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
        if agent == "refuse" and (route := self._routes.named(reason)) is not None:
            return Verdict(Reply.of(550, "5.7.1", route.argument), route.rule), ""
        return PASS, destination

    async def right(self, peer: str, account: Account | None, sender: str) -> str:
        """What lets this client send to other domains; empty when nothing does."""
        mode = self._settings.smtp.relay
        if account is not None and mode != "strict":
            return _LOGIN
        right = self.relay_right(peer)
        if right or mode != "normal" or not is_private(peer):
            return right
        # The address that a stranger gives proves nothing: it counts only where no stranger comes from.
        return _NORMAL if sender and isinstance(await self._directory.resolve(sender), Local) else ""

    def backup_of(self, domain: str) -> str:
        """The name of the section that makes this server a backup for a domain; empty when there is none."""
        return self._backups.get(domain.lower(), "")

    def asks(self, name: str) -> bool:
        """True when the server of a backup's domains is asked about each recipient."""
        return self._settings.backup[name].verify

    async def _asked(self, name: str, address: str) -> Verdict:
        """A recipient of a domain for which this is a backup: as its own server would have it."""
        settings = self._settings.backup[name]
        if not settings.verify or self._call_ahead is None:
            return PASS
        outcome = await self._call_ahead.ask(address)
        if outcome.result is Result.FAILED:
            status = outcome.status if outcome.status.startswith("5.") else "5.1.1"
            refusal = Reply.of(550, status, "The server of that domain does not accept this recipient")
            return Verdict(refusal, f"backup.{name}", outcome.reason)
        if outcome.result is Result.DEFERRED and settings.when_down == "defer":
            return Verdict(_NOT_ASKED, f"backup.{name}", outcome.reason)
        return PASS

    def _why_not(self, domain: str, peer: str, account: Account | None) -> str:
        mode = self._settings.smtp.relay
        if account is not None:
            return f"{domain} is not ours, and with relay = strict a login gives no right"
        if mode == "only-authenticated":
            return f"{domain} is not ours, and relay = only-authenticated wants a login"
        return f"{domain} is not ours, {peer} is not trusted"

    def relay_right(self, peer: str) -> str:
        """What lets this peer send to other domains without a login, whatever its sender; empty when nothing does."""
        if self._settings.smtp.relay == "only-authenticated":
            return ""
        entry = self._access.entry(peer, "smtp")
        if entry is not None and entry.relay:
            return entry.rule
        return _NETWORKS if self._in_networks(peer) else ""

    def _in_networks(self, peer: str) -> bool:
        networks = self._settings.smtp.relay_networks
        if not networks:
            return False
        # A UNIX socket has no address that could be listed.
        address = address_of(peer)
        return address is not None and any(address in network for network in networks)


def _unknown(disabled: bool) -> Verdict:
    return Verdict(_DISABLED, "relay.disabled") if disabled else Verdict(_NO_MAILBOX, "relay.unknown_user")


def backup_domains(settings: Settings) -> dict[str, str]:
    """The domains for which this server is a backup, in small letters, with the names of their sections."""
    return {domain.lower(): name for name, each in settings.backup.items() for domain in each.domains}


def is_private(peer: str) -> bool:
    """True for addresses that do not come from the open Internet: private networks (RFC 1918, RFC 4193), and this machine."""
    address = address_of(peer)
    return address is not None and (address.is_loopback or any(address in network for network in _PRIVATE))
