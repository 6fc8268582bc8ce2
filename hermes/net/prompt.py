"""
Sending at once.

What is written to a transport of Twisted's waits in its buffer until the reactor has been told to wait for room, has found some
and has been told to wait no more: three calls of the system beside the one that sends. An answer nearly always fits into the
socket.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor


def write_now(transport: Any, data: bytes) -> None:
    """
    Write to a transport; where it is a plain socket or a pipe, and nothing waits there, without a detour through its buffer.

    Back pressure stays the transport's business: what the socket does not take goes into the buffer. So does all of it when the
    connection is broken, and then the reactor finds that out in its own time, not in the middle of an answer.
    """
    if isinstance(transport, FileDescriptor) and _is_clear(transport):
        sent = transport.writeSomeData(data)
        if isinstance(sent, int):
            if sent == len(data):
                return
            data = data[sent:]
    transport.write(data)


def _is_clear(transport: FileDescriptor) -> bool:
    waits = transport.dataBuffer or transport._tempDataLen
    return bool(transport.connected) and not (transport.disconnecting or waits or getattr(transport, "TLS", False))
