"""
What a connection of a front end begins with: the header of the PROXY protocol, which says whose connection it really is.

It is required and never guessed: a front end that were taken for a client whenever it sends none would lend its own rights, and
its own place in every count, to everybody behind it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.interfaces import IGate
from hermes.net.peer import normal, peer_of
from hermes.net.quick_socket import make_quick
from hermes.protocols.proxy import Header, HeaderReader, MalformedHeaderError

#: A front end sends its header with the first octets, so the time is that of a lost segment which is sent again.
HEADER_SECONDS = 10

_NO_HEADER = Reply.of(421, "4.7.0", "A front end must begin with a PROXY header")
_TOO_LATE = Verdict(_NO_HEADER, "proxy.timeout", f"no header has come within {HEADER_SECONDS} s")


class Introduction:
    """
    Waits for the header of one connection, which meanwhile counts among all connections.

    ``introduced`` is called once with the header, or ``failed`` once with a verdict, and then it is over. :meth:`stop` ends it
    before.
    """

    def __init__(
        self,
        clock: IReactorTime,
        gate: IGate,
        introduced: Callable[[Header], None],
        failed: Callable[[Verdict], None],
    ) -> None:
        self._clock = clock
        self._gate = gate
        self._reader = HeaderReader()
        self._introduced = introduced
        self._failed = failed
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to wait, if there is room for one more connection."""
        verdict = self._gate.expect()
        if not verdict.accepted:
            self._failed(verdict)
            return
        self._timer = self._clock.callLater(HEADER_SECONDS, self._late)

    def received(self, data: bytes) -> None:
        """Take octets from the front end."""
        try:
            header = self._reader.receive(data)
        except MalformedHeaderError as error:
            self.stop()
            self._failed(Verdict(_NO_HEADER, "proxy.header", str(error)))
            return
        if header is not None:
            self.stop()
            self._introduced(header)

    def stop(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            if self._timer.active():
                self._timer.cancel()
            self._timer = None
            self._gate.expected()

    def _late(self) -> None:
        # A server that was busy for so long hears of the time before it reads what has come meanwhile: that goes first.
        self._timer = self._clock.callLater(0, self._too_late)

    def _too_late(self) -> None:
        self.stop()
        self._failed(_TOO_LATE)


class Fronted:
    """
    A connection that may be a front end's, which says first whose it really is: mixed into the class of a protocol.

    ``peer`` is the client, and ``via`` the front end that said so; empty when nobody has.
    """

    transport: Any

    def __init__(self) -> None:
        self.peer = ""
        self.via = ""
        self._introduction: Introduction | None = None
        self._waiting_room: set[Any] = set()

    @abstractmethod
    def _begin(self) -> None:
        """Begin the session: it is known who the peer is."""

    @abstractmethod
    def _not_introduced(self, verdict: Verdict) -> None:
        """Say why nothing is done for a front end that has not said who its client is."""

    def _arrive(self, clock: IReactorTime, gate: IGate, sessions: set[Any], believes: Callable[[str], bool]) -> None:
        """The connection is there. Who is to be believed has to begin with the header, and is in ``sessions`` meanwhile."""
        make_quick(self.transport)
        self.peer = peer_of(self.transport)
        if not believes(self.peer):
            self._begin()
            return
        self._waiting_room = sessions
        sessions.add(self)
        self._introduction = Introduction(clock, gate, self._introduced, self._refused_introduction)
        self._introduction.start()

    def _introduced(self, header: Header) -> None:
        """The header has come: from here on the connection is that of the client."""
        self._leave_waiting_room()
        if header.client is not None:
            self.via, self.peer = self.peer, normal(header.client)
        self._begin()
        if header.behind:
            # TLS may have begun meanwhile, and then they are its.
            self.transport.protocol.dataReceived(header.behind)

    def _refused_introduction(self, verdict: Verdict) -> None:
        self._leave_waiting_room()
        self._not_introduced(verdict)

    def _leave_waiting_room(self) -> None:
        """The header is not waited for any more; harmless when it never was."""
        if self._introduction is not None:
            self._introduction.stop()
            self._introduction = None
            self._waiting_room.discard(self)
