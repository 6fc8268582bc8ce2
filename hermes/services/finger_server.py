"""
Mercury F: the finger server. It tells of people who want to be told of (RFC 1288).

Somebody wants that when there is a profile file of theirs. All others, those who do not exist among them, are answered alike.
Nothing is asked of other hosts (3.2.1), the list of everybody is told only where that is configured (3.2.2), and no octet goes
out that is not printable (3.3).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory
from twisted.protocols import finger
from typing_extensions import override

from hermes.config.sections.finger import FingerSettings
from hermes.core.account import Account
from hermes.core.event import Event, Kind
from hermes.core.outcome import Verdict
from hermes.core.peer_address import host_of
from hermes.core.units import format_instant
from hermes.interfaces import IDirectory, ISpool, TooBusyError, UnavailableError
from hermes.net.peer import is_loopback
from hermes.net.turns import Engine
from hermes.protocols.finger import FingerServer, Query, Unreadable
from hermes.services.line_connection import LineConnection, LineServer
from hermes.services.lookups import Lookups
from hermes.services.query_rate import QueryRate

#: Of a profile as much is told, and as many people are looked at and told of in one answer.
MAX_PROFILE_OCTETS = 16 * 1024
MAX_PROFILES = 1000
MAX_MATCHES = 20

#: Facts of an account that are looked through for its last login: some days of a client that looks every few minutes.
MAX_EVENTS = 500

#: How long it holds when somebody has logged in last. It is looked up where messages are recorded, and these shall not wait for
#: whoever asks again and again.
REMEMBER_SECONDS = 60.0

_SUFFIX = ".txt"

# What accounts are called; nothing else can be a file of ours.
_NAME = re.compile(r"[a-z0-9_+][a-z0-9._+-]{0,63}\Z")

# RFC 1288 3.3: 7-bit printable characters, TAB and line ends.
_UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e]")

NOT_HERE = "There is nobody of that name to be told of here."
DENIED_FORWARDING = "Finger forwarding service denied"
DENIED_LIST = "Finger online user list denied"
UNREADABLE = "That is no query: say a name, and end the line"
TOO_OFTEN = "Too many queries: try again in a minute"
_LATER = "That cannot be looked up now: try again later"
_FAULT = "Something went wrong here: try again later"


class LastLogins:
    """When accounts have logged in last, each looked up once a minute at most."""

    def __init__(self, spool: ISpool) -> None:
        self._spool = spool
        self._began = float("-inf")
        # Of people with a profile, and no more of them than there are.
        self._known: dict[str, float | None] = {}

    async def of(self, name: str, now: float) -> float | None:
        """When, in seconds since the epoch as ``now`` is; None when that is not known."""
        if not 0 <= now - self._began < REMEMBER_SECONDS:
            self._began = now
            self._known = {}
        if name not in self._known:
            events: Sequence[Event] = await self._spool.track(name, MAX_EVENTS)
            times = [
                event.at
                for event in events
                if event.kind is Kind.LOGIN and event.address == name and event.facts.get("result") == "accepted"
            ]
            self._known[name] = max(times, default=None)
        return self._known[name]


@attrs.frozen
class Profiles:
    """Where what is told comes from."""

    directory: IDirectory
    last_logins: LastLogins
    lookups: Lookups
    settings: FingerSettings

    async def names(self) -> list[str]:
        """Everybody who has a profile, in order."""
        return await self.lookups.do(lambda: _names(self.settings.profiles))

    async def text(self, name: str) -> str:
        """Somebody's profile."""
        path = os.path.join(self.settings.profiles, name + _SUFFIX)
        return await self.lookups.do(lambda: _read(path))

    async def people(self, query: str) -> list[Account]:
        """Those whom a query means: by login name, or by a part of their name."""
        wanted = query.lower()
        people = []
        for name in await self.names():
            account = await self.directory.account(name)
            if account is not None and not account.disabled and _means(wanted, account):
                people.append(account)
                if len(people) == MAX_MATCHES:
                    break
        return people


class FingerSession(LineConnection, finger.Finger):
    """One query and its answer."""

    def __init__(self, server: LineServer, profiles: Profiles, rate: QueryRate) -> None:
        super().__init__(server)
        self._profiles = profiles
        self._rate = rate

    @override
    def _begin(self) -> Engine:
        return FingerServer()

    @override
    def _greet(self) -> None:
        """Nothing: the client speaks first."""

    @override
    def _no(self, verdict: Verdict) -> bytes:
        return _octets(verdict.reply.text if verdict.reply is not None else NOT_HERE)

    @override
    async def _answer(self, event: Query | Unreadable) -> None:
        try:
            self._say(_octets(await self._told(event)))
        except CancelledError:
            # Whoever asked has left.
            raise
        except (TooBusyError, UnavailableError) as error:
            self._log.debug("A query of {peer} has to wait: {error}", peer=self.peer, error=error)
            self._say(_octets(_LATER))
        except Exception:
            self._log.failure("A query of {peer} could not be answered", peer=self.peer)
            self._say(_octets(_FAULT))
        self._end()

    async def _told(self, query: Query | Unreadable) -> str:
        settings = self._profiles.settings
        if not is_loopback(self.peer) and not self._rate.allows(host_of(self.peer), self._server.clock.seconds()):
            return self._refused("finger.rate", TOO_OFTEN)
        if isinstance(query, Unreadable):
            return self._refused("protocol.syntax", UNREADABLE)
        if query.hosts:
            return self._refused("finger.forwarding", DENIED_FORWARDING)
        if not query.name:
            return await self._list() if settings.list else self._refused("finger.list", DENIED_LIST)
        people = await self._profiles.people(query.name)
        if not people:
            return self._refused("finger.unknown", NOT_HERE)
        return "\n\n".join([await self._about(account, verbose=query.verbose) for account in people])

    def _refused(self, rule: str, text: str) -> str:
        self.record_refusal(Verdict(None, rule), "query")
        return text

    async def _list(self) -> str:
        lines = []
        for name in await self._profiles.names():
            account = await self._profiles.directory.account(name)
            if account is not None and not account.disabled:
                lines.append(_head(account))
        return "\n".join(lines) or NOT_HERE

    async def _about(self, account: Account, *, verbose: bool) -> str:
        lines = [_head(account)]
        if verbose and account.addresses:
            lines.append(f"Mail: {', '.join(account.addresses)}")
        if self._profiles.settings.last_login:
            at = await self._profiles.last_logins.of(account.name, self._server.clock.seconds())
            lines.append(f"Last login: {format_instant(at)}" if at is not None else "Last login: not known")
        profile = (await self._profiles.text(account.name)).strip()
        lines += ["", "Profile information:", profile] if profile else ["", "[No profile information]"]
        return "\n".join(lines)


class FingerServerFactory(ServerFactory):
    """Makes the sessions of one listener."""

    noisy = False

    def __init__(self, server: LineServer, profiles: Profiles) -> None:
        self.sessions = server.sessions
        self._server = server
        self._profiles = profiles
        self._rate = QueryRate(profiles.settings.rate)

    @override
    def buildProtocol(self, addr: IAddress | None) -> FingerSession:
        session = FingerSession(self._server, self._profiles, self._rate)
        session.factory = self
        return session


def _head(account: Account) -> str:
    return f"Login: {account.name}   Name: {account.full_name}".rstrip()


def _means(wanted: str, account: Account) -> bool:
    return wanted == account.name or wanted in account.full_name.lower().split()


def _octets(text: str) -> bytes:
    lines = _UNPRINTABLE.sub("?", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _names(directory: str) -> list[str]:
    try:
        found = os.listdir(directory)
    except FileNotFoundError:
        return []
    names = sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX))
    return [name for name in names if _NAME.match(name)][:MAX_PROFILES]


def _read(path: str) -> str:
    try:
        # A profile that is a link could lead to anybody's secrets.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_PROFILE_OCTETS).decode("utf-8", "replace")
