"""``hermes sendmail -bs``: SMTP at standard input and output, carried to the running server and back."""

from __future__ import annotations

import os
import select
import socket
import time
from typing import IO

from hermes.config.listener import Listener, parse_listener
from hermes.config.schema import Settings

EX_OK, EX_UNAVAILABLE, EX_IOERR, EX_TEMPFAIL = 0, 69, 74, 75

#: Silence after which it ends; RFC 5321 4.5.3.2 has nobody wait longer than ten minutes.
SILENCE_SECONDS = 600.0

#: A session, however busy: as long as smtp.session_time lets one be.
SESSION_SECONDS = 6 * 3600.0

#: The same when the program has said all it had to say, and did not say QUIT: answers come within this.
LINGER_SECONDS = 10.0

CONNECT_SECONDS = 30.0

#: What is carried at once, and held in each direction.
PIECE_OCTETS = 64 * 1024


def bridge(settings: Settings, source: IO[bytes], sink: IO[bytes]) -> int:
    """Carry octets both ways until the server ends the session; the exit code."""
    connection = _connected(settings)
    if connection is None:
        os.write(sink.fileno(), b"421 4.3.2 The mail server is not running: try again later\r\n")
        return EX_TEMPFAIL
    with connection:
        return _carry(connection, source.fileno(), sink.fileno())


def _connected(settings: Settings) -> socket.socket | None:
    for text in settings.smtp.listen:
        listener = parse_listener(text)
        try:
            if listener.kind == "unix":
                connection = socket.socket(socket.AF_UNIX)
                connection.settimeout(CONNECT_SECONDS)
                connection.connect(listener.path)
                return connection
            if listener.kind == "tcp":
                return socket.create_connection((_host(listener), listener.port), CONNECT_SECONDS)
        except OSError:
            continue
    return None


def _host(listener: Listener) -> str:
    return {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)  # noqa: S104


def _carry(connection: socket.socket, source: int, sink: int) -> int:
    end = time.monotonic() + SESSION_SECONDS
    readable: list[socket.socket | int] = [connection, source]
    while time.monotonic() < end:
        is_over = source not in readable
        ready, _, _ = select.select(readable, [], [], LINGER_SECONDS if is_over else SILENCE_SECONDS)
        if not ready:
            return EX_OK if is_over else EX_IOERR
        if source in ready:
            piece = os.read(source, PIECE_OCTETS)
            if piece:
                # Blocks while the server does not read: nothing is piled up here.
                connection.sendall(piece)
            else:
                # The server is not told: it would take it for a lost connection, and what it still has to answer would be lost.
                readable.remove(source)
        if connection in ready:
            piece = connection.recv(PIECE_OCTETS)
            if not piece:
                return EX_OK
            while piece:
                piece = piece[os.write(sink, piece) :]
    return EX_IOERR
