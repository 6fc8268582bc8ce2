"""A POP3 server in memory, with everything around it under the test's control."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.cred.portal import Portal
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from hermes.config.schema import POP3Settings
from hermes.protocols.sasl import TokenHint
from hermes.services.pop3_server import POP3ServerFactory
from hermes.services.pop3_session import POP3Session
from hermes.services.pop3_submission import Submissions
from tests.support.mailbox import MailboxRealm, MemoryReader, Passwords
from tests.support.scram import MemoryKeys
from tests.support.surroundings import ListJournal, OpenGate


class Wire(StringTransport):
    """
    A connection whose other end is the test.

    With ``lingering`` the peer does not close when the server does. ``starts`` lists the contexts with which TLS was begun,
    and ``clear_text`` is what had been written until then.
    """

    def __init__(self, peer: str = "192.0.2.7", *, lingering: bool = False) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", peer, 40000))
        self.session: POP3Session | None = None
        self.lingering = lingering
        self.starts: list[object] = []
        self.clear_text = b""
        self.lost = False
        self.aborted = False

    def startTLS(self, context: object) -> None:
        """Note it."""
        self.starts.append(context)
        self.clear_text = self.value()
        self.clear()

    def loseConnection(self) -> None:
        """Closing: the other end follows at once, unless it lingers."""
        self.disconnecting = True
        if not self.lingering:
            self.drop()

    def abortConnection(self) -> None:
        """Cut."""
        self.aborted = True
        self.drop()

    def drop(self) -> None:
        """The connection is gone."""
        if not self.lost and self.session is not None:
            self.lost = True
            self.session.connectionLost(Failure(ConnectionDone()))


@attrs.define
class Site:
    """A factory with its surroundings; accounts are the keyword arguments of the realm, passwords are ``secret``."""

    realm: MailboxRealm
    clock: Clock = attrs.field(factory=Clock)
    gate: OpenGate = attrs.field(factory=OpenGate)
    journal: ListJournal = attrs.field(factory=ListJournal)
    scram: MemoryKeys | None = None
    tokens: TokenHint | None = None
    digests: Callable[[], bool] | None = None
    submissions: Submissions | None = None
    reader: MemoryReader = attrs.field(factory=MemoryReader)
    checker: Passwords = attrs.field(init=False)
    factory: POP3ServerFactory = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.checker = Passwords(dict.fromkeys(self.realm.avatars, "secret"))
        self.factory = POP3ServerFactory(
            clock=self.clock,
            settings=POP3Settings(auth_without_tls="loopback"),
            hostname="mail.example.org",
            listener="pop3",
            portal=Portal(self.realm, [self.checker]),
            gate=self.gate,
            journal=self.journal,
            reader=self.reader,
            scram=self.scram,
            tokens=self.tokens,
            digests=self.digests,
            submissions=self.submissions,
        )

    def connect(self, wire: Wire | None = None) -> Client:
        """A connection from this machine, or over ``wire``."""
        return Client(self, wire if wire is not None else Wire("127.0.0.1"))

    def log_in(self, name: str = "ada", wire: Wire | None = None) -> Client:
        """A connection that has logged in."""
        client = self.connect(wire)
        assert client.say(f"USER {name}", "PASS secret").endswith(b"+OK mailbox open\r\n")
        return client


class Client:
    """The client's end of a connection."""

    def __init__(self, site: Site, wire: Wire) -> None:
        self.wire = wire
        self.clock = site.clock
        session = site.factory.buildProtocol(None)
        self.session = session
        wire.session = session
        session.makeConnection(wire)
        self.greeting = self.take()

    def take(self) -> bytes:
        """What the server has sent since the last call."""
        octets: bytes = self.wire.value()
        self.wire.clear()
        return octets

    def send(self, octets: bytes) -> bytes:
        """Send octets; what comes back."""
        if not self.wire.lost:
            self.session.dataReceived(octets)
        self.clock.pump([0] * 3)
        return self.take()

    def say(self, *lines: str) -> bytes:
        """Send lines; what comes back."""
        return self.send("".join(line + "\r\n" for line in lines).encode())
