"""A site for SMTP sessions: accounts, domains, a portal and a listener, all in memory, and a client's end of a connection."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.cred.checkers import AllowAnonymousAccess
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.mail import smtp
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.config.schema import AccessSettings, HermesSettings, Settings, SMTPSettings
from hermes.core.account import Account, Local, Remote, Resolution, Unknown
from hermes.core.address import domain_of, key
from hermes.core.message import QueuedMessage
from hermes.core.outcome import FITS, PASS, Verdict
from hermes.core.reply import Reply
from hermes.core.visit import Visit
from hermes.interfaces import ICheck, IMailboxes, IProvedAccount, IScramKeys, TooBusyError
from hermes.policy.access import Access
from hermes.policy.pipeline import Pipeline
from hermes.policy.relay import RelayPolicy
from hermes.protocols.sasl import TokenHint
from hermes.protocols.smtp.events import Flavor
from hermes.services.incoming import Writing
from hermes.services.reception import Premises, Reception
from hermes.services.smtp_server import SMTPServerFactory
from hermes.services.smtp_session import SMTPSession
from hermes.services.turning import Turn
from tests.support.spool import MemorySpool
from tests.support.surroundings import ListJournal, OpenGate, TokenTLS

HOSTNAME = "mx.example.org"

#: Noon of a day in 2026, UTC.
NOON = 1_768_478_400.0

ALICE = Account("alice", ("alice@example.org", "al@example.org"), "Alice")
BOB = Account("bob", ("bob@example.org",), "Bob")
PASSWORD = "correct horse"


#: What a mailbox of the tests says that has no room.
FULL = Verdict(Reply.of(452, "4.2.2", "The mailbox is full"), "mailbox.quota")


class MemoryDirectory:
    """Two accounts in example.org; ``gone@example.org`` is disabled and ``sales@example.org`` an alias of alice."""

    def __init__(self) -> None:
        self.domains = {"example.org"}
        self.mailboxes: dict[str, Account] = {each: account for account in (ALICE, BOB) for each in account.addresses}
        self.mailboxes["sales@example.org"] = ALICE
        self.disabled = {"gone@example.org"}
        self.asked: list[str] = []

    async def resolve(self, address: str) -> Resolution:
        """Say what an address is."""
        self.asked.append(address)
        if domain_of(address) not in self.domains:
            return Remote(domain_of(address))
        account = self.mailboxes.get(key(address))
        return Local(account) if account else Unknown(address, key(address) in self.disabled)

    async def account(self, name: str) -> Account | None:
        """The account of that name."""
        return {"alice": ALICE, "bob": BOB}.get(name.lower())

    async def verify(self, name: str, password: str) -> Account | None:
        """The account when the password is right."""
        return await self.account(name) if password == PASSWORD else None


class MemoryRouter:
    """Local mail to mailboxes, the rest to the smart host; ``nowhere.test`` has no route."""

    def __init__(self, directory: MemoryDirectory) -> None:
        self._directory = directory

    async def route(self, address: str, sender: str = "", account: str = "") -> str:
        """The destination."""
        match await self._directory.resolve(address):
            case Local(account=account):
                return f"local:{account.name}"
            case Remote(domain="nowhere.test"):
                return "none:no smart host, and direct delivery is off"
            case _:
                return "smarthost:main"


class MemoryMailboxes:
    """Room for everybody, unless the test gives a verdict for an account, or says how many octets it has room for."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self.rooms: dict[str, int] = {}
        self.asked: list[tuple[str, int]] = []

    async def over_quota(self, account: Account, octets: int) -> Verdict:
        """Say what the test says."""
        self.asked.append((account.name, octets))
        if account.name in self.rooms:
            return FITS if octets <= self.rooms[account.name] else FULL
        return self.verdicts.get(account.name, PASS)

    async def owners(self) -> list[str]:
        """Nobody reads here."""
        return []

    def mailbox(self, account: Account) -> Any:
        """Nobody reads here."""
        raise NotImplementedError


class ListRelayManager:
    """Keeps what was accepted; fails when the test says so."""

    def __init__(self) -> None:
        self.messages: list[QueuedMessage] = []
        self.fault: Exception | None = None

    def accepted(self, message: QueuedMessage) -> None:
        """Keep one."""
        if self.fault is not None:
            raise self.fault
        self.messages.append(message)

    def wake(self) -> None:
        """Nothing waits here."""


class Checker:
    """Passwords of the directory; ``answer`` is what a test makes it wait for or fail with."""

    credentialInterfaces = (IUsernamePassword, IProvedAccount)

    def __init__(self, directory: MemoryDirectory) -> None:
        self._directory = directory
        self.busy = False
        self.fault: Exception | None = None
        self.waits_for: Deferred[None] | None = None
        self.tried: list[tuple[bytes, bytes]] = []
        self.proved: list[str] = []

    def requestAvatarId(self, credentials: Any) -> Deferred[str]:
        """Judge name and password, or let in who has proved an account's."""
        if IProvedAccount.providedBy(credentials):
            self.proved.append(credentials.account)
            if self.fault is not None:
                return fail(self.fault)
            return succeed(credentials.account)
        return Deferred.fromCoroutine(self._judge(credentials.username, credentials.password))

    async def _judge(self, name: bytes, password: bytes) -> str:
        self.tried.append((name, password))
        if self.waits_for is not None:
            await self.waits_for
        if self.busy:
            raise TooBusyError
        if self.fault is not None:
            raise self.fault
        account = await self._directory.verify(name.decode("utf-8"), password.decode("utf-8"))
        if account is None:
            raise UnauthorizedLogin("wrong")
        return account.name


@implementer(IRealm)
class Realm:
    """Gives receptions."""

    def __init__(self, directory: MemoryDirectory, premises: Premises) -> None:
        self._directory = directory
        self._premises = premises
        self.present = 0

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Deferred[Any]:
        """Find the account and its reception."""
        if smtp.IMessageDelivery not in interfaces:
            raise NotImplementedError(interfaces)
        return Deferred.fromCoroutine(self._avatar(avatarId))

    async def _avatar(self, avatar_id: Any) -> Any:
        account = await self._directory.account(avatar_id) if avatar_id else None
        self.present += 1
        return smtp.IMessageDelivery, Reception(account, self._premises), self._left

    def _left(self) -> None:
        self.present -= 1


class Wire(StringTransport):
    """The server's transport, with what StringTransport lacks."""

    def __init__(self, peer: str, port: int) -> None:
        kind = IPv6Address if ":" in peer else IPv4Address
        super().__init__(peerAddress=kind("TCP", peer, port))
        self.aborted = False
        self.protocol: Any = None
        self.tls: list[object] = []
        #: What had been written when TLS began.
        self.before_tls = b""

    def startTLS(self, contextFactory: object) -> None:
        """Remember that TLS began."""
        self.tls.append(contextFactory)
        self.before_tls = self.value()

    def abortConnection(self) -> None:
        """Remember it."""
        self.aborted = True

    @property
    def paused(self) -> bool:
        """True while nothing is read."""
        return self.producerState == "paused"


class Client:
    """The client's end of a connection."""

    def __init__(self, site: Site, session: SMTPSession, wire: Wire) -> None:
        self.site = site
        self.session = session
        self.wire = wire
        self.connected = True
        wire.protocol = session
        session.makeConnection(wire)

    def say(self, *lines: str) -> list[str]:
        """Send lines, and return the replies that have come."""
        return self.send("".join(f"{line}\r\n" for line in lines).encode("utf-8"))

    def send(self, data: bytes) -> list[str]:
        """Send octets, and return the replies that have come."""
        self.session.dataReceived(data)
        self.site.clock.advance(0)
        return self.heard()

    def heard(self) -> list[str]:
        """The lines that have come since the last look."""
        text = self.wire.value().decode("utf-8")
        self.wire.clear()
        return text.split("\r\n")[:-1]

    def leave(self) -> None:
        """Close from the client's side."""
        self.connected = False
        self.session.connectionLost(Failure(ConnectionDone()))


class Site:
    """Everything behind one listener; settings may be given by name."""

    def __init__(
        self,
        *,
        flavor: Flavor = Flavor.SMTP,
        tls: bool = True,
        implicit_tls: bool = False,
        max_hops: int = 30,
        transcripts: bool = False,
        portal: Portal | None = None,
        postmaster: str = "bob@example.org",
        access: Mapping[str, AccessSettings] | None = None,
        mailboxes: IMailboxes | None = None,
        scram: IScramKeys | None = None,
        tokens: TokenHint | None = None,
        digests: Callable[[], bool] | None = None,
        checks: Sequence[ICheck] = (),
        visit_of: Callable[[str], Visit] = Visit,
        turn: Turn | None = None,
        **smtp_settings: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(NOON)
        self.directory = MemoryDirectory()
        self.mailboxes = MemoryMailboxes()
        self.spool = MemorySpool()
        self.journal = ListJournal()
        self.gate = OpenGate()
        self.relay_manager = ListRelayManager()
        self.settings = Settings(
            hermes=HermesSettings(hostname=HOSTNAME, domains=("example.org",), postmaster=postmaster),
            smtp=SMTPSettings(**smtp_settings),
            access=access or {},
        )
        router = MemoryRouter(self.directory)
        self.policy = RelayPolicy(
            self.directory, router, mailboxes or self.mailboxes, Access(self.settings.access), self.settings
        )
        writing = Writing(HOSTNAME, max_hops, self.clock.seconds, self.relay_manager, transcripts)
        self.checks = Pipeline(checks)
        self.premises = Premises(
            self.spool, self.directory, self.policy, self.checks, writing, self.settings.smtp.max_size
        )
        self.checker = Checker(self.directory)
        self.realm = Realm(self.directory, self.premises)
        self.portal = portal or Portal(self.realm, [self.checker, AllowAnonymousAccess()])
        self.factory = SMTPServerFactory(
            settings=self.settings.smtp,
            hostname=HOSTNAME,
            listener=flavor.value.lower(),
            flavor=flavor,
            clock=self.clock,
            portal=self.portal,
            gate=self.gate,
            journal=self.journal,
            server_tls=TokenTLS() if tls else None,
            implicit_tls=implicit_tls,
            scram=scram,
            tokens=tokens,
            digests=digests,
            policy=self.checks,
            visit_of=visit_of,
            turn=turn,
        )

    def connect(self, peer: str = "192.0.2.7", greet: str | None = "EHLO client.example.com") -> Client:
        """Connect, and say hello unless ``greet`` is None."""
        client = Client(self, self.factory.buildProtocol(None), Wire(peer, 40000))
        if greet is not None:
            client.say(greet)
        return client


def plain(name: str = "alice", password: str = PASSWORD, authorization: str = "") -> str:
    """The initial response of AUTH PLAIN (RFC 4616)."""
    return base64.b64encode(f"{authorization}\0{name}\0{password}".encode()).decode("ascii")


def body_of(octets: bytes) -> bytes:
    """What stands behind the lines that the server itself wrote."""
    lines = octets.split(b"\n")
    position = 1
    while lines[position].startswith((b"Received:", b"\t")):
        position += 1
        if not lines[position].startswith(b"\t"):
            break
    return b"\n".join(lines[position:])


def codes(replies: Sequence[str]) -> list[str]:
    """The codes of replies, one for each."""
    return [line[:3] for line in replies if line[3:4] == " "]
