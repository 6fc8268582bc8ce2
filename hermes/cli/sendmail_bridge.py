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

#: The same when the program has said all it had to say: the longest answer is that to a message, which has to be looked at first.
LINGER_SECONDS = 60.0

#: And when it has ended in the middle of something, so that nothing more can be said for it.
BROKEN_OFF_SECONDS = 10.0

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
        try:
            return _carry(connection, source.fileno(), sink.fileno())
        except OSError:
            # The server is gone in the middle, or the program no longer listens.
            return EX_IOERR


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
    said, patience = _Said(), SILENCE_SECONDS
    while time.monotonic() < end:
        ready, _, _ = select.select(readable, [], [], patience)
        if not ready:
            return EX_OK if patience == BROKEN_OFF_SECONDS else EX_IOERR
        if connection in ready:
            piece = connection.recv(PIECE_OCTETS)
            if not piece:
                return EX_OK
            while piece:
                piece = piece[os.write(sink, piece) :]
        if source in ready:
            piece = os.read(source, PIECE_OCTETS)
            if piece:
                # Blocks while the server does not read: nothing is piled up here.
                said.add(piece)
                connection.sendall(piece)
            else:
                # To the server a connection that is closed on one side is a lost one, and what it still has to answer would be
                # lost too. QUIT is answered last, and then it closes.
                readable.remove(source)
                patience = LINGER_SECONDS if said.whole else BROKEN_OFF_SECONDS
                if said.whole and not said.quit:
                    connection.sendall(b"QUIT\r\n")
    return EX_IOERR


class _Said:
    """What has to be known of the program's words when it has no more to say."""

    def __init__(self) -> None:
        self._end = b"\n"
        self._counted = False

    def add(self, piece: bytes) -> None:
        """It has said more."""
        known = (self._end + piece).upper()
        # Of a message that is sent in counted octets (RFC 3030 2) another command could be the missing ones.
        self._counted = self._counted or b"BDAT" in known
        self._end = known[-len(b"\nQUIT\r\n") :]

    @property
    def whole(self) -> bool:
        """
        True behind a whole line, where another command can follow.

        In a message that was broken off that would be a line of its text, which has no end as before.
        """
        return self._end.endswith(b"\n") and not self._counted

    @property
    def quit(self) -> bool:
        """True when it has taken its leave."""
        return self._end.endswith((b"\nQUIT\r\n", b"\nQUIT\n"))
