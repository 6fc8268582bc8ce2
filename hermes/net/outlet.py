"""
Writing to a stream with as few calls of the system as possible.

``transport.write`` only stores the octets: the reactor is asked to watch the socket, finds it writable in its next turn, sends,
and is asked to stop watching. A short answer to a peer that waits for it can go out at once, for one call instead of four
(``docs/performance.md`` has the measurement). Whatever the kernel does not take goes the usual way, and so does everything
after it, so that octets keep their order and a peer that does not read is noticed as always.
"""

from __future__ import annotations

from typing import Any


class Outlet:
    """One transport's way out. All octets of a session must go through it, once it has been used."""

    __slots__ = ("_direct", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        # Plain TCP and UNIX streams have it (twisted.internet.abstract.FileDescriptor). Their class is asked, because a TLS
        # layer passes on the attributes of the stream below it, and what is written there would go out in the clear.
        has_door = hasattr(type(transport), "writeSomeData")
        self._direct: Any = transport.writeSomeData if has_door else None

    def write(self, data: bytes) -> None:
        """Send, now or when the peer reads."""
        if self._direct is not None:
            # After startTLS the same transport takes plain text for the TLS layer above it.
            if not getattr(self._transport, "TLS", False):
                sent = self._direct(data)
                if sent == len(data):
                    return
                if isinstance(sent, int):
                    data = data[sent:]
                # Else the connection is lost, which the transport finds out and tells in its own way.
            self._direct = None
        self._transport.write(data)
