"""
Opening the places where a server listens, in two steps: first all sockets are bound, which may fail and then harms nobody;
later, when everything behind them is ready, they begin to accept.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorSocket
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure

from hermes.config.listener import Listener

#: Connections that the kernel keeps for us while we are busy: a burst of a whole site's programs.
BACKLOG = 511


#: How long a process with more connections than another leaves new ones to it: long enough for one that is idle to be awake, and
#: not noticed when none is.
STAND_BACK_SECONDS = 0.002

#: Connections that it takes then, if they are still there: under load, when nobody is idle, standing back shall not hold up the
#: queue.
LEFT_OVER = 16


class ListenError(Exception):
    """A socket cannot be opened; the text says which, why, and what to do. ``in_use`` when somebody listens there."""

    def __init__(self, text: str, *, in_use: bool = False) -> None:
        super().__init__(text)
        self.in_use = in_use


def bind(listener: Listener, inherited: Callable[[str], int]) -> socket.socket:
    """
    Open a listening socket; raise :class:`ListenError`.

    ``inherited`` gives the descriptor to which systemd gave a name, or raises KeyError (:func:`inherited_socket`).
    """
    try:
        if listener.kind == "systemd":
            return _adopt(listener, inherited)
        return _bind_unix(listener.path) if listener.kind == "unix" else _bind_tcp(listener.host, listener.port)
    except OSError as error:
        why = _why_no_file(error, listener.path) if listener.kind == "unix" else _why(error)
        raise ListenError(f"cannot listen at {listener}: {why}", in_use=error.errno == errno.EADDRINUSE) from error


def inherited_socket(reactor: Any, name: str) -> int:
    """The descriptor of the socket that systemd handed over under that name (sd_listen_fds_with_names(3)); or KeyError."""
    # Twisted has read the environment, and taken the words out of it, when its endpoints were imported.
    endpoint: Any = serverFromString(reactor, f"systemd:domain=INET6:name={quoteStringArgument(name)}")
    descriptor: int = endpoint.fileno
    return descriptor


def accept(
    reactor: IReactorSocket,
    opened: socket.socket,
    factory: ServerFactory[Any],
    *,
    crowded: Callable[[], bool] | None = None,
) -> IListeningPort:
    """
    Begin to accept at a bound socket, which is taken over. TLS is the sessions' own business.

    With ``crowded`` it is that of other processes too, which want their part of the connections: it says whether another one
    has fewer.
    """
    with contextlib.closing(opened):
        path = _path_of(opened)
        mode = stat.S_IMODE(os.stat(path).st_mode) if path else 0
        if crowded is not None:
            port = _adopt_shared(reactor, opened, factory, crowded)
        else:
            port = reactor.adoptStreamPort(opened.fileno(), opened.family, factory)
        # Twisted has made both its own: a queue of 50, and a UNIX socket that is open to everybody.
        opened.listen(BACKLOG)
        if path:
            os.chmod(path, mode)
        return port


class _FairPort(tcp.Port):
    """
    A port at which other processes accept too.

    A burst of connections wakes all of them. The first one would take all that there are, as Twisted's ports do, and serve them
    alone; so they are taken one by one, and whoever has nothing else to do takes most. Where connections come one after another
    the same process would always be first: one that has more than another stands back for a moment.
    """

    #: Shutting the socket down would close it for the others too.
    _shouldShutdown = False  # noqa: N815 - Twisted's name
    crowded: Callable[[], bool]
    _standing_back: IDelayedCall | None = None

    @property
    def numberAccepts(self) -> int:  # noqa: N802 - Twisted's name
        return 1

    @numberAccepts.setter
    def numberAccepts(self, number: int) -> None:  # noqa: N802
        """Twisted would like to take as many as there were last time."""

    def doRead(self) -> None:  # noqa: N802 - Twisted calls it
        if self.crowded():
            self.stopReading()
            clock: Any = self.reactor
            self._standing_back = clock.callLater(STAND_BACK_SECONDS, self._take_what_is_left)
        else:
            super().doRead()

    def _take_what_is_left(self) -> None:
        """Nobody else has had the time."""
        self._standing_back = None
        for _ in range(LEFT_OVER):
            super().doRead()
        self.startReading()

    def connectionLost(self, reason: Failure) -> None:
        if self._standing_back is not None:
            self._standing_back.cancel()
        super().connectionLost(reason)


class _FairUNIXPort(_FairPort, unix.Port):
    """The same for a UNIX socket."""


def _adopt_shared(
    reactor: Any, opened: socket.socket, factory: ServerFactory[Any], crowded: Callable[[], bool]
) -> IListeningPort:
    if opened.family == socket.AF_UNIX:
        port: Any = _FairUNIXPort._fromListeningDescriptor(reactor, opened.fileno(), factory)
        # Twisted would open the file to everybody, and remove it at the end: it shall take the socket for one without a file.
        port._bindPath = b"\0"
    else:
        port = _FairPort._fromListeningDescriptor(reactor, opened.fileno(), opened.family, factory)
    port.crowded = crowded
    port.startListening()
    shared: IListeningPort = port
    return shared


def discard(listener: Listener, opened: socket.socket, *, shared: bool = False) -> None:
    """Close a bound socket at which nothing was accepted, and remove the file that :func:`bind` made for it."""
    opened.close()
    if listener.kind == "unix" and not shared:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(listener.path)


def _path_of(opened: socket.socket) -> str:
    """Where a UNIX socket is; empty for others, and for one without a file."""
    name = opened.getsockname() if opened.family == socket.AF_UNIX else ""
    return name if isinstance(name, str) else ""


def _bind_tcp(host: str, port: int) -> socket.socket:
    every_address = host == "*"
    if every_address and not socket.has_ipv6:
        host, every_address = "0.0.0.0", False  # noqa: S104 - it is what "*" asks for
    family = socket.AF_INET6 if every_address or ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit it: a reply is never held back to be joined with the next one.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            # One socket for both kinds of address only where every address is meant.
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if every_address else 1)
        opened.bind(("::" if every_address else host, port))
        return _ready(opened)
    except OSError as error:
        opened.close()
        if every_address and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            return _bind_tcp("0.0.0.0", port)  # noqa: S104 - a machine without IPv6
        raise


def _bind_unix(path: str) -> socket.socket:
    _remove_stale(path)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.bind(path)
        os.chmod(path, 0o660)
        return _ready(opened)
    except OSError:
        opened.close()
        raise


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens at: it was left behind by a process that was killed."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(errno.EEXIST, "there is a file of that name which is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _adopt(listener: Listener, inherited: Callable[[str], int]) -> socket.socket:
    try:
        descriptor = inherited(listener.name)
    except KeyError:
        known = os.environ.get("LISTEN_FDNAMES", "").replace(":", ", ") or "none"
        raise ListenError(
            f"cannot listen at {listener}: systemd has handed over no socket of that name (it has: {known}); "
            f"set FileDescriptorName={listener.name} in the .socket unit and start that"
        ) from None
    return _ready(socket.socket(fileno=os.dup(descriptor)))


def _ready(opened: socket.socket) -> socket.socket:
    opened.listen(BACKLOG)
    opened.setblocking(False)
    return opened


def _why_no_file(error: OSError, path: str) -> str:
    """The same errors mean something else where the place is a file."""
    if error.errno == errno.EADDRINUSE:
        return "something else listens there already; stop it, or choose another file"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.strerror}: the user that the server runs as must be able to write to {os.path.dirname(path)}"
    return error.strerror or str(error)


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "something else listens there already; stop it, or choose another port"
    if error.errno == errno.EACCES:
        return (
            "not allowed; ports below 1024 need CAP_NET_BIND_SERVICE or a socket from systemd (see etc/hermes.service), "
            "or choose a port above"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address"
    return error.strerror or str(error)
