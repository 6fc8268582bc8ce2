"""A network on a clock, whose hosts accept nothing, say nothing, fall silent in the middle, or are SMTP servers that are well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.error import ConnectionDone, TimeoutError, UserError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

#: What hosts do: nothing answers; they let connect, and say nothing; MAIL has no answer; the message has none; all is well.
NOTHING, NO_GREETING, NO_MAIL, NO_FINAL, WELL = "nothing", "no greeting", "MAIL", ".", "well"

#: Seconds between what is said and its answer.
DISTANCE_SECONDS = 0.1


@attrs.define(eq=False)
class Connection:
    """One attempt to connect, and what became of it: the transport and the connector of the client."""

    network: SilentNetwork
    address: str
    kind: str
    factory: Any
    protocol: Any = None
    timer: Any = None
    open: bool = False
    over: bool = False
    in_message: bool = False
    octets: bytes = b""

    def begin(self, timeout: float) -> None:
        """Let it be made, or not."""
        self.factory.startedConnecting(self)
        if self.kind == NOTHING:
            self.timer = self.network.clock.callLater(timeout, self.fail, TimeoutError())
        else:
            self.timer = self.network.clock.callLater(DISTANCE_SECONDS, self.connect)

    def connect(self) -> None:
        """It is made."""
        self.open = True
        self.protocol = self.factory.buildProtocol(None)
        self.protocol.makeConnection(self)
        if self.kind != NO_GREETING:
            self.say("220 mx.test")

    def fail(self, error: Exception) -> None:
        """It is not."""
        self.finish()
        self.factory.clientConnectionFailed(self, Failure(error))

    def finish(self) -> None:
        """It takes no place any more."""
        self.over = True
        self.open = False
        self.network.under_way.discard(self)

    def getDestination(self) -> str:
        """Where to."""
        return self.address

    def stopConnecting(self) -> None:
        """The client has lost patience."""
        self.timer.cancel()
        self.fail(UserError())

    def say(self, line: str) -> None:
        """An answer arrives after a while, if somebody is there by then."""
        self.network.clock.callLater(
            DISTANCE_SECONDS, lambda: self.protocol.dataReceived(f"{line}\r\n".encode()) if self.open else None
        )

    def write(self, data: bytes) -> None:
        """Answer it, line by line."""
        self.octets += data
        while self.open and b"\r\n" in self.octets:
            line, self.octets = self.octets.split(b"\r\n", 1)
            self.take(line)

    def take(self, line: bytes) -> None:
        """A command, or a line of the message."""
        verb = line[:4].upper().decode()
        if self.in_message:
            if line == b".":
                self.in_message = False
                self.network.taken.append(self.address)
                if self.kind != NO_FINAL:
                    self.say("250 taken")
        elif verb == self.kind:
            pass
        elif verb == "DATA":
            self.in_message = True
            self.say("354 go on")
        else:
            self.say("221 bye" if verb == "QUIT" else "250 mx.test")

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing is delayed here."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Everything is taken at once."""

    def loseConnection(self) -> None:
        """The client hangs up."""
        if self.open:
            self.finish()
            self.network.clock.callLater(0, self.protocol.connectionLost, Failure(ConnectionDone()))

    def abortConnection(self) -> None:
        """The same, at once."""
        self.loseConnection()


class SilentNetwork:
    """A reactor with the clock's time; ``kind_of`` says what the host at an address does. ``taken`` has who took a message."""

    def __init__(self, clock: Clock, kind_of: Callable[[str], str]) -> None:
        self.clock = clock
        self.kind_of = kind_of
        self.under_way: set[Connection] = set()
        self.most = 0
        self.taken: list[str] = []

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: object = None
    ) -> Connection:
        """Begin a connection."""
        connection = Connection(self, host, self.kind_of(host), factory)
        self.under_way.add(connection)
        self.most = max(self.most, len(self.under_way))
        connection.begin(timeout)
        return connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self.clock, name)
