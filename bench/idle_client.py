"""
Idle SMTP sessions: ``python -m bench.idle_client PORT plain|TLS``.

Each number on its input is how many connections there shall be; when there are, it prints the number. They have been greeted,
have said EHLO, with ``TLS`` also STARTTLS, and then say nothing. At the end of its input each is asked once more whether it still
is there, and how many have answered is printed.
"""

from __future__ import annotations

import resource
import socket
import ssl
import sys

PATIENCE_SECONDS = 60.0


def main(port: int, tls: bool) -> None:
    """Do what the input says."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sessions: list[socket.socket] = []
    for line in sys.stdin:
        while len(sessions) < int(line):
            sessions.append(_session(port, context if tls else None))
        print(len(sessions), flush=True)
    print(sum(_ask(session, "NOOP", b"250") for session in sessions), flush=True)


def _session(port: int, context: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    # What follows the handshake would wait 40 ms each time, until the server has acknowledged the handshake's end.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _read(connection, b"220")
    _ask(connection, "EHLO client.example.net", b"250")
    if context is None:
        return connection
    _ask(connection, "STARTTLS", b"220")
    secured = context.wrap_socket(connection)
    _ask(secured, "EHLO client.example.net", b"250")
    return secured


def _ask(connection: socket.socket, command: str, code: bytes) -> bool:
    connection.sendall(f"{command}\r\n".encode())
    return _read(connection, code)


def _read(connection: socket.socket, code: bytes) -> bool:
    """Read a whole answer; a client that asks one thing at a time finds nothing behind it."""
    answer = b""
    while not answer.endswith(b"\r\n") or answer.splitlines()[-1][3:4] != b" ":
        octets = connection.recv(4096)
        if not octets:
            raise AssertionError("the server closed the connection")
        answer += octets
    if not answer.startswith(code):
        raise AssertionError(f"the answer was {answer!r}")
    return True


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "TLS")
