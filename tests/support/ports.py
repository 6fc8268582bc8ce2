"""Ports for servers of tests."""

from __future__ import annotations

import contextlib
import random
import socket

#: Below those that the system gives to outgoing connections: while a server is down, nobody else comes to have its port.
_PORTS = range(10_000, 32_000)

_given: set[int] = set()


def free_port() -> int:
    """A port on loopback that nothing listens at now, and that was not given before."""
    while True:
        port = random.choice(_PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in _given:
                _given.add(port)
                return port
