"""
Sockets whose short calls keep Python's lock.

Python lets go of its lock for every call of the system, since one may wait. On a socket that is not blocking none does: to
send an answer takes some microseconds. Whenever the reactor's thread let go, the thread of the spool was woken on another core
and took the lock, and the reactor waited until it came back. Functions of a ``ctypes.PyDLL`` keep it; other threads have it
when the reactor waits for events, as they should. What is large is copied for longer, and by then they had better go on.
"""

from __future__ import annotations

import ctypes
import os
import socket
from typing import Any

from twisted.internet.abstract import FileDescriptor

#: What is received at once: as much as Twisted's transports ask for.
ROOM_OCTETS = 64 * 1024

#: More than that is large: a message of usual size in one piece is not. To copy it takes as long as it takes to wake a thread.
LARGE_OCTETS = 16 * 1024

_system = ctypes.PyDLL(None, use_errno=True)
_send = _system.send
_send.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
_send.restype = ctypes.c_ssize_t
_receive = _system.recv
_receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_receive.restype = ctypes.c_ssize_t
_shutdown = _system.shutdown
_shutdown.argtypes = (ctypes.c_int, ctypes.c_int)
_close = _system.close
_close.argtypes = (ctypes.c_int,)

# One for all: what was received is copied before anybody else receives, for that takes the lock.
_room = ctypes.create_string_buffer(ROOM_OCTETS)
_room_address = ctypes.addressof(_room)


class QuickSocket:
    """A socket that is not blocking; what is not here is the socket's own."""

    __slots__ = ("_much_comes", "_socket")

    def __init__(self, plain: socket.socket) -> None:
        self._socket = plain
        # What comes is not known before; much comes mostly behind much.
        self._much_comes = False

    def send(self, data: bytes | memoryview) -> int:
        """As ``socket.send``."""
        if isinstance(data, memoryview):
            # Twisted's view of what is to be sent, mostly of all of it.
            whole = data.obj
            data = whole if isinstance(whole, bytes) and len(whole) == len(data) else bytes(data)
        if len(data) > LARGE_OCTETS:
            return self._socket.send(data)
        # Asked each time: the number of a socket that was closed may be another one's by now.
        count: int = _send(self._socket.fileno(), data, len(data), 0)
        if count < 0:
            raise _error()
        return count

    def recv(self, most: int) -> bytes:
        """As ``socket.recv``, and at most :data:`ROOM_OCTETS`."""
        if self._much_comes:
            octets = self._socket.recv(min(most, ROOM_OCTETS))
            self._much_comes = len(octets) > LARGE_OCTETS
            return octets
        count: int = _receive(self._socket.fileno(), _room_address, min(most, ROOM_OCTETS), 0)
        if count < 0:
            raise _error()
        self._much_comes = count > LARGE_OCTETS
        return ctypes.string_at(_room_address, count)

    def shutdown(self, how: int) -> None:
        """As ``socket.shutdown``."""
        if _shutdown(self._socket.fileno(), how) < 0:
            raise _error()

    def close(self) -> None:
        """As ``socket.close``; harmless when it is closed."""
        descriptor = self._socket.detach()
        if descriptor >= 0:
            _close(descriptor)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def make_quick(transport: Any) -> None:
    """Let a transport of Twisted's have a quick socket, where it is one with a socket of its own."""
    if isinstance(transport, FileDescriptor) and isinstance(getattr(transport, "socket", None), socket.socket):
        transport.socket = QuickSocket(transport.socket)  # type: ignore[attr-defined]
