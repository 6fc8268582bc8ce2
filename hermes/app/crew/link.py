"""
The link between the parent and one worker: values, one after the other, and open sockets beside them.

Both ends are processes of one program, forked from one another: a value is pickled, and nobody else can write to the socket.
"""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.interfaces import IFileDescriptorReceiver
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from hermes.config.schema import Settings

#: Settings with a list of 10,000 networks take some 2 MB, the answer about a full house of sessions less.
MAX_OCTETS = 64 * 1024**2


# From the parent


@attrs.frozen
class Begin:
    """Start, as one of ``count``; the listening sockets of ``places`` come with it."""

    settings: Settings
    count: int
    places: tuple[str, ...]


@attrs.frozen
class Ask:
    """Carry out a command, and send an :class:`Answer` with this number."""

    number: int
    command: str
    arguments: Mapping[str, Any]


@attrs.frozen
class Prepare:
    """Get ready to go by other settings, and answer."""

    number: int
    settings: Settings


@attrs.frozen
class Change:
    """Go by them, and answer; the sockets of new ``places`` come with it."""

    number: int
    places: tuple[str, ...]


@attrs.frozen
class Forget:
    """They will not come into force: another worker cannot go by them."""


@attrs.frozen
class Adopt:
    """Take care of a shard, and answer."""

    number: int
    shard: int


@attrs.frozen
class Open:
    """Accept connections: all others are ready too."""


@attrs.frozen
class Stop:
    """Stop in order."""


# From the worker, and from the parent to all the others


@attrs.frozen
class Echo:
    """Something was counted that all workers count together, see :mod:`hermes.app.echoes`."""

    about: str
    values: tuple[Any, ...]


# From the worker


@attrs.frozen
class Alive:
    """The reactor turns."""


@attrs.frozen
class Ready:
    """It has started, and could accept connections."""


@attrs.frozen
class Failed:
    """It cannot start; it ends."""

    reason: str


@attrs.frozen
class Answer:
    """What became of an order: a value, or the kind of error (``lookup``, ``value``, ``fault``) and its text."""

    number: int
    result: Any = None
    error: str = ""
    text: str = ""


@implementer(IFileDescriptorReceiver)
class Link(Int32StringReceiver):
    """One end. ``received`` is called with each value and the sockets that came with it; ``lost`` when the other end is gone."""

    _log = Logger()
    MAX_LENGTH = MAX_OCTETS

    def __init__(self, received: Callable[[Any, list[socket.socket]], None], lost: Callable[[], None]) -> None:
        self._received = received
        self._lost = lost
        self._sockets: list[socket.socket] = []

    def send(self, value: object, sockets: Sequence[socket.socket] = ()) -> None:
        """Send a value; harmless when the other end is gone."""
        if not self.connected:
            return
        for one in sockets:
            # They go with the octets that are written next.
            self.transport.sendFileDescriptor(one.fileno())  # type: ignore[union-attr]
        self.sendString(pickle.dumps((len(sockets), value)))

    def fileDescriptorReceived(self, descriptor: int) -> None:  # noqa: N802 - Twisted calls it
        """Keep a socket for the value that it belongs to."""
        self._sockets.append(socket.socket(fileno=descriptor))

    @override
    def stringReceived(self, string: bytes) -> None:
        count, value = pickle.loads(string)  # noqa: S301 - from ourselves
        sockets, self._sockets = self._sockets[:count], self._sockets[count:]
        try:
            self._received(value, sockets)
        except Exception:
            self._log.failure("What came over the link could not be dealt with")

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost()


def connect(reactor: Any, end: socket.socket, link: Link) -> None:
    """Make a socket the transport of a link; it is taken over."""
    end.setblocking(False)
    reactor.adoptStreamConnection(end.fileno(), end.family, _One(link))
    end.close()


class _One(Factory[Any]):
    """Twisted asks a factory for the protocol of a connection."""

    noisy = False

    def __init__(self, link: Link) -> None:
        self._link = link

    @override
    def buildProtocol(self, addr: Any) -> Protocol:
        return self._link
