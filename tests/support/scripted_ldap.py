"""A directory server on loopback that says what a test says: answers that slapd never gives, in the encoding of RFC 4511 5.1."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

#: Requests and responses, by their tags (RFC 4511 4.2 to 4.12).
BIND, UNBIND, SEARCH, MODIFY, EXTENDED = 0x60, 0x42, 0x63, 0x66, 0x77
_ENTRY, _REFERENCE = 0x64, 0x73

#: What the server says to a request: whole responses, without the message around them.
Script = Callable[[int, bytes], Sequence[bytes]]


def encoded(tag: int, *parts: bytes) -> bytes:
    """Anything in BER, with its length in the long form where it must be."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    octets = len(body).to_bytes(4, "big")
    return bytes((tag, 0x84)) + octets + body


def text(value: str | bytes) -> bytes:
    """An OCTET STRING."""
    return encoded(0x04, value.encode() if isinstance(value, str) else value)


def result(request: int, code: int, said: str = "") -> bytes:
    """The LDAPResult (RFC 4511 4.1.9) that ends the answer to a request."""
    tag = {BIND: 0x61, SEARCH: 0x65, MODIFY: 0x67, EXTENDED: 0x78}[request]
    return encoded(tag, encoded(0x0A, bytes((code,))), text(""), text(said))


def entry(dn: str, values: Mapping[str, Sequence[str]]) -> bytes:
    """A SearchResultEntry (RFC 4511 4.5.2)."""
    attributes = [
        encoded(0x30, text(name), encoded(0x31, *(text(value) for value in some))) for name, some in values.items()
    ]
    return encoded(_ENTRY, text(dn), encoded(0x30, *attributes))


def reference(url: str) -> bytes:
    """A SearchResultReference."""
    return encoded(_REFERENCE, text(url))


class ScriptedLDAP:
    """Listens until it is closed; ``asked`` has the requests, each with its tag."""

    def __init__(self, script: Script) -> None:
        self.asked: list[tuple[int, bytes]] = []
        outer = self

        class Session(socketserver.StreamRequestHandler):
            """One connection."""

            def handle(self) -> None:
                """Answer until the client leaves."""
                while (message := _read(self.rfile)) is not None:
                    number, request = _split(message)[1], message[2 + message[1] :]
                    tag, body = _split(request)
                    outer.asked.append((tag, body))
                    if tag == UNBIND:
                        return
                    for response in script(tag, body):
                        self.wfile.write(encoded(0x30, encoded(0x02, number), response))

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is, in the clear."""
        return f"ldap://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _read(stream: BinaryIO) -> bytes | None:
    """The inside of the next message; None at the end."""
    head = stream.read(2)
    if len(head) < 2:
        return None
    length = head[1]
    if length & 0x80:
        length = int.from_bytes(stream.read(length & 0x7F), "big")
    return stream.read(length)


def _split(octets: bytes) -> tuple[int, bytes]:
    """The tag and the inside of what the octets begin with."""
    length, start = octets[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(octets[2:start], "big")
    return octets[0], octets[start : start + length]
