"""
Sending, and closing, at once.

What is written to a transport of Twisted's waits in its buffer until the reactor has been told to wait for room, has found some
and has been told to wait no more: three calls of the system beside the one that sends. An answer nearly always fits into the
socket. The same it does before it closes a connection, and sends nothing once more.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure


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


def lose_now(transport: Any) -> None:
    """
    Close a connection when what was written has been sent: in the next turn, where that is so already.

    TLS has its own way, with a dialogue at the end, and has to hear the peer for it.
    """
    if isinstance(transport, FileDescriptor) and _is_clear(transport):
        transport.disconnecting = True
        reactor: Any = transport.reactor
        reactor.callLater(0, _lost, transport)
    else:
        transport.resumeProducing()
        transport.loseConnection()


def _lost(transport: Any) -> None:
    # The peer may have been first, and who has aborted the connection since ends it.
    if transport.connected and not getattr(transport, "_aborting", False):
        transport.connectionLost(Failure(CONNECTION_DONE))


def _is_clear(transport: FileDescriptor) -> bool:
    waits = transport.dataBuffer or transport._tempDataLen
    return bool(transport.connected) and not (transport.disconnecting or waits or getattr(transport, "TLS", False))
